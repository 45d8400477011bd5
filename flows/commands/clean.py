"""`sonic clean`: says what it would remove, with sizes, and removes it when told to."""

from collections.abc import Callable

from flows.addresses import is_folder
from flows.commands.leftovers import Leftover, leftovers_in, leftovers_of
from flows.console.units import size_in_words
from flows.rows.manifest import open_manifest
from sonic_ops.core.files import storage_fault


def clean(target: str, output_folder: str | None, say: Callable[[str], None], *, yes: bool) -> None:
    """Remove what is left in a folder, or beside the outputs of a manifest, if `yes`.

    Raises ManifestError, and RenderError where a store does not answer.
    """
    try:
        found = _found(target, output_folder)
        orphans = [leftover for leftover in found if not leftover.is_kept]
        kept = [leftover for leftover in found if leftover.is_kept]
        _say_all("kept", kept, say)
        _say_all("removed" if yes else "to be removed", orphans, say)
        if yes:
            for leftover in orphans:
                leftover.remove()
        elif orphans:
            say("nothing is removed yet: the same command with --yes removes it")
    except OSError as error:
        raise storage_fault(error) from error


def _found(target: str, output_folder: str | None) -> list[Leftover]:
    if is_folder(target):
        return list(leftovers_in(target))
    with open_manifest(target) as manifest:
        return list(leftovers_of(manifest, output_folder))


def _say_all(title: str, leftovers: list[Leftover], say: Callable[[str], None]) -> None:
    total = sum(leftover.size_bytes for leftover in leftovers)
    say(f"{title}: {len(leftovers)}, {size_in_words(total)}")
    for leftover in leftovers:
        say(f"  {size_in_words(leftover.size_bytes):>9}  {leftover.address}  ({leftover.what})")
