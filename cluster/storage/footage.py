"""Footage as a worker reads it: fetched and compared with its checksum once, for all segments."""

from functools import lru_cache
from typing import IO

from cluster.storage.artifacts import fetched_whole, version_of

KEPT = 2
"""Files that a worker keeps open, of rows in flight."""


def open_footage(url: str) -> IO[bytes]:
    """Open the file at its start; it stays open until the next call. Raises DamagedFileError."""
    file = _opened(url, version_of(url))
    file.seek(0)
    return file


@lru_cache(KEPT)
def _opened(url: str, _version: str) -> IO[bytes]:
    with fetched_whole(url) as path:
        # A copy loses its name now, and is read all the same: a worker that is killed leaves none.
        return path.open("rb")
