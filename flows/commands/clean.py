"""`sonic clean`: list orphaned files with their sizes, and remove them with --yes."""

from collections.abc import Callable

from flows.commands.orphans import Orphan, orphans_in, orphans_of
from flows.console.units import size_in_words
from flows.rows.config import RenderConfig
from flows.rows.manifest import open_manifest
from flows.urls import is_folder
from sonic_ops.core.files import storage_fault


def clean(
    target: str,
    output_folder: str | None,
    say: Callable[[str], None],
    *,
    yes: bool,
    config: RenderConfig | None = None,
) -> None:
    """Remove what is left in a folder, or beside the outputs of a manifest, if `yes`.

    With a preset, work of the manifest's rows for other settings goes too.
    Raises ManifestError, and RenderError where a store does not answer.
    """
    try:
        found = _found(target, output_folder, config)
        orphans = [orphan for orphan in found if not orphan.is_kept]
        kept = [orphan for orphan in found if orphan.is_kept]
        _say_all("kept", kept, say)
        _say_all("removed" if yes else "to be removed", orphans, say)
        if yes:
            for orphan in orphans:
                orphan.remove()
        elif orphans:
            say("nothing removed yet; run the command again with --yes")
    except OSError as error:
        raise storage_fault(error) from error


def _found(target: str, output_folder: str | None, config: RenderConfig | None) -> list[Orphan]:
    if is_folder(target):
        return list(orphans_in(target))
    with open_manifest(target) as manifest:
        return list(orphans_of(manifest, output_folder, config))


def _say_all(title: str, orphans: list[Orphan], say: Callable[[str], None]) -> None:
    total = sum(orphan.size_bytes for orphan in orphans)
    say(f"{title}: {len(orphans)}, {size_in_words(total)}")
    for orphan in orphans:
        say(f"  {size_in_words(orphan.size_bytes):>9}  {orphan.url}  ({orphan.what})")
