"""The lines of a manifest, one after another, as they stand in the file.

Parquet (a file or a folder of parts), Excel, CSV, TSV or JSON Lines, compressed or not; a local
path or any fsspec URL. Lines are read in batches: the length of a manifest does not show in
memory.
What the cells mean is decided in `rows.py`.
"""

import bz2
import gzip
import lzma
import os
import posixpath
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePosixPath
from typing import IO

from flows.rows.limits import excess
from flows.rows.tables import ENDINGS, NO_REMEDY, Reader, reader_of, unreadable
from flows.urls import is_folder, name_of, path_of
from sonic_ops.core.errors import ManifestError, MissingFileError
from sonic_ops.core.files import local_path, open_url, reached
from sonic_ops.core.near_names import meant

__all__ = ["ENDINGS", "PACKED_ENDINGS", "Line", "Manifest", "open_manifest"]

MAX_BYTES = 4 << 30
"""What a manifest may unpack to: ten million rows have less."""
_BLOCK_BYTES = 1 << 20
MAX_NAME_BYTES = 220  # file systems take 255; results and journals add endings
_PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
PACKED_ENDINGS = (".gz", ".bz2", ".xz")
_DAMAGED = (OSError, EOFError, lzma.LZMAError, zlib.error)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a manifest; `number` counts rows from 1. `problem` says why it has no cells.

    `place` is where a person finds it, such as `m.csv line 7`.
    """

    number: int
    cells: Mapping[str, object]
    problem: str | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class _TablePart:
    """A file of the manifest, in the copy of all of them."""

    name: str
    reader: Reader
    start: int
    stop: int


class Manifest:
    """A manifest as it stood when it was opened: it is read more than once, hours apart."""

    def __init__(self, url: str, copy: IO[bytes], parts: list[_TablePart]) -> None:
        self.url = url
        self._copy, self._parts = copy, parts
        self.notes = tuple(dict.fromkeys(note for part in parts for note in self._notes(part)))

    def lines(self) -> Iterator[Line]:
        """Read the lines from the first on; one pass at a time.

        Raises ManifestError if the file cannot be read, lacks a column, or holds no rows.
        """
        number = 0
        for part in self._parts:
            for record in part.reader.records(self.url, self._opened(part)):
                number += 1
                place = f"{part.name} {part.reader.unit} {record.number}"
                problem = record.problem or excess(record.cells) or None
                yield Line(number, {} if problem else record.cells, problem, place)
        if number == 0:
            raise ManifestError(
                f"The manifest {self.url} holds no rows", remedy="Add a row per video."
            )

    def _notes(self, part: _TablePart) -> Iterator[str]:
        for note in part.reader.notes(self._opened(part)):
            yield f"{part.name} is {note}"

    def _opened(self, part: _TablePart) -> IO[bytes]:
        if len(self._parts) > 1:
            return BytesIO(os.pread(self._copy.fileno(), part.stop - part.start, part.start))
        self._copy.seek(0)
        return os.fdopen(os.dup(self._copy.fileno()), "rb")


@contextmanager
def open_manifest(url: str) -> Iterator[Manifest]:
    """Take a copy of a manifest. Raises ManifestError if it cannot be opened."""
    name = os.fsencode(name_of(url))
    if len(name) > MAX_NAME_BYTES:
        raise ManifestError(
            f"The name of the manifest is longer than {MAX_NAME_BYTES} bytes, and the results are "
            "called after it",
            remedy="Give the manifest a shorter name.",
        )
    with tempfile.TemporaryFile(prefix="sonic-") as copy:
        try:
            parts = [_copied(part, copy) for part in _parts_of(url)]
        except MissingFileError as error:
            raise ManifestError(
                f"The manifest cannot be opened: {error}",
                remedy=f"{meant(local_path(url))}Check the path or URL.",
            ) from error
        except _DAMAGED as error:
            raise ManifestError(
                f"The manifest {url} cannot be read: {_reason(error)}", remedy=NO_REMEDY
            ) from error
        copy.flush()
        yield Manifest(url, copy, parts)


def _parts_of(url: str) -> list[str]:
    """List the files of a manifest: itself, or the Parquet files of a folder by their names."""
    if url.startswith(("http://", "https://")) or not is_folder(url):
        return [url]
    with reached(url) as (filesystem, path):
        found = sorted(map(str, filesystem.find(path)))
    inside = ((name, posixpath.relpath(name, path)) for name in found)
    parts = [
        filesystem.unstrip_protocol(name) if "://" in url else name
        for name, below in inside
        if below.endswith(".parquet")
        and not below.endswith("results.parquet")
        and not any(folder.startswith(("_", ".")) for folder in below.split("/"))
    ]
    if not parts:
        raise ManifestError(
            f"{url} is a folder without Parquet files, and not a manifest",
            remedy="Name the file of the manifest, or a folder of Parquet parts.",
        )
    return parts


def _copied(url: str, copy: IO[bytes]) -> _TablePart:
    """Append a file to the copy, unpacked."""
    start = copy.tell()
    with open_url(url) as file:
        head = file.read(8)
    unpack = next((opener for magic, opener in _PACKED if head.startswith(magic)), None)
    with open_url(url) as file:
        copied = unpack(file) if unpack else file
        while block := copied.read(_BLOCK_BYTES):
            copy.write(block)
            if copy.tell() - start > MAX_BYTES:
                raise unreadable(url, f"it has, or unpacks to, more than {MAX_BYTES:,} bytes")
    stop = copy.tell()
    copy.flush()
    head = os.pread(copy.fileno(), 4096, start)
    path = PurePosixPath(path_of(url))
    path = path.with_suffix("") if path.suffix.lower() in PACKED_ENDINGS else path
    reader = reader_of(url, path.suffix.lower(), head)
    return _TablePart(name_of(path_of(url)), reader, start, stop)


def _reason(error: Exception) -> str:
    if isinstance(error, EOFError | lzma.LZMAError | zlib.error | gzip.BadGzipFile):
        return "its compression is damaged, or it was cut off"
    return str(getattr(error, "strerror", None) or error)
