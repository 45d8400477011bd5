"""Addresses of input files, and output files that are seen whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import fsspec.core

from sonic_ops.errors import MissingFileError


@contextmanager
def open_address(address: str) -> Iterator[IO[bytes]]:
    """Open a local path or any fsspec address for reading. Raises MissingFileError."""
    filesystem, path = _resolve(address)
    try:
        file = filesystem.open(path, "rb")
    except OSError as error:
        raise _missing(address, type(error).__name__) from error
    with file:
        yield file


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; it takes the name of `target` if all goes well."""
    draft = target.with_name(f".draft-{target.name}")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _resolve(address: str) -> tuple[fsspec.AbstractFileSystem, str]:
    try:
        filesystem, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise _missing(address, str(error)) from error
    return filesystem, path


def _missing(address: str, reason: str) -> MissingFileError:
    return MissingFileError(
        f"{address} cannot be opened ({reason})",
        remedy="Check the address; a relative one counts from the folder of the manifest.",
    )
