"""The whole download: every file of every source, and a note of what came from where."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sonic_ops.core.errors import ConfigError
from sonic_ops.released.hub import HubFile, check_space, fetch_file, gigabytes, list_files
from sonic_ops.released.sources import NOTICE, SOURCES

ORIGINS = "ORIGINS"


def require_acceptance(accepted: bool, say: Callable[[str], None]) -> None:
    """Say under which licences the weights are. Raises ConfigError if they are not accepted."""
    say("The weights of the released model, and their licences:")
    for source in SOURCES:
        say(f"  {source.repository}: {source.licence}")
    say(NOTICE)
    if not accepted:
        raise ConfigError(
            "You have not accepted the licences of these weights",
            remedy="Read them; if you accept them, run again with --accept-licences.",
        )


def fetch(folder: Path, say: Callable[[str], None], endpoint: str | None = None) -> None:
    """Fetch and check everything; what is there and whole is kept.

    Raises ConfigError or RenderError as `list_files`, `check_space` and `fetch_file` do.
    """
    files = [file for source in SOURCES for file in list_files(source, folder, endpoint)]
    missing = check_space(files, folder)
    whole = sum(file.size_bytes for file in files)
    say(f"{gigabytes(missing)} of {gigabytes(whole)} to download into {folder}")
    num_fetched = 0
    for file in files:
        if fetch_file(file, endpoint, say=say):
            num_fetched += 1
            say(f"{file.target.relative_to(folder)}: {gigabytes(file.size_bytes)}")
    (folder / ORIGINS).write_text(_origins(files))
    say(f"{num_fetched} of {len(files)} files downloaded, all checksums match")


def _origins(files: Sequence[HubFile]) -> str:
    lines = [NOTICE, ""]
    lines += [f"{f.repository}@{f.revision} {f.name} {f.checksum}" for f in files]
    return "\n".join(lines) + "\n"
