"""The lines of a manifest, one after another, as they stand in the file.

Parquet, CSV or JSON Lines; a local path or any fsspec address. Lines are read in batches: the
length of a manifest does not show in memory. What the cells mean is decided in `rows.py`.
"""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import PurePosixPath
from typing import IO, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from sonic_ops.core.errors import ManifestError, MissingFileError
from sonic_ops.core.files import open_address

_Cells: TypeAlias = tuple[Mapping[str, object], str | None]

REQUIRED = ("id", "portrait", "audio", "output")
BATCH_ROWS = 1024
SHOWN_COLUMNS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a manifest; `number` counts rows from 1. `problem` says why it has no cells."""

    number: int
    cells: Mapping[str, object]
    problem: str | None = None


class Manifest:
    """A manifest as it stood when it was opened: it is read more than once, hours apart."""

    def __init__(self, address: str, copy: IO[bytes]) -> None:
        self.address = address
        self._reader = _reader_of(address)
        self._copy = copy

    def lines(self) -> Iterator[Line]:
        """The lines from the first on; one pass at a time.

        Raises ManifestError if the file cannot be read, lacks a column, or holds no rows.
        """
        number = 0
        self._copy.seek(0)
        try:
            with os.fdopen(os.dup(self._copy.fileno()), "rb") as file:
                for number, (cells, problem) in enumerate(self._reader(self.address, file), 1):
                    yield Line(number, cells, problem)
        except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
            raise _unreadable(self.address, error) from error
        if number == 0:
            raise ManifestError(
                f"The manifest {self.address} holds no rows", remedy="Add a row per video."
            )


@contextmanager
def open_manifest(address: str) -> Iterator[Manifest]:
    """Take a copy of a manifest. Raises ManifestError if it cannot be opened."""
    with tempfile.TemporaryFile(prefix="sonic-") as copy:
        try:
            manifest = Manifest(address, copy)
            with open_address(address) as file:
                shutil.copyfileobj(file, copy)
        except MissingFileError as error:
            raise ManifestError(
                f"The manifest {address} cannot be opened", remedy="Check the address."
            ) from error
        except OSError as error:
            raise _unreadable(address, error) from error
        yield manifest


def _parquet(address: str, file: IO[bytes]) -> Iterator[_Cells]:
    table = pq.ParquetFile(file)
    _require_columns(address, table.schema_arrow.names)
    for batch in table.iter_batches(BATCH_ROWS):
        for cells in batch.to_pylist():
            yield cells, None


def _csv(address: str, file: IO[bytes]) -> Iterator[_Cells]:
    lines = csv.reader(TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    names = [name.strip() for name in next(lines, [])]
    _require_columns(address, names)
    for values in lines:
        if len(values) > len(names):
            yield {}, f"has {len(values)} cells, but there are {len(names)} columns"
        elif values:
            yield dict(zip(names, values, strict=False)), None


def _json_lines(_address: str, file: IO[bytes]) -> Iterator[_Cells]:
    for text in TextIOWrapper(file, encoding="utf-8-sig"):
        if text.strip():
            yield _json_line(text)


def _json_line(text: str) -> _Cells:
    try:
        cells = json.loads(text)
    except ValueError as error:
        return {}, f"is no JSON ({error})"
    if not isinstance(cells, dict):
        return {}, "is no JSON object"
    return cells, None


_READERS: dict[str, Callable[[str, IO[bytes]], Iterator[_Cells]]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
}


ENDINGS = tuple(_READERS)


def _reader_of(address: str) -> Callable[[str, IO[bytes]], Iterator[_Cells]]:
    suffix = PurePosixPath(address).suffix.lower()
    if suffix not in _READERS:
        raise ManifestError(
            f"The manifest {address} has the ending '{suffix}', which says no known format",
            remedy=f"Give a file that ends in {', '.join(_READERS)}; a spreadsheet can be saved as "
            "CSV in UTF-8.",
        )
    return _READERS[suffix]


def _require_columns(address: str, names: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        shown = ", ".join(map(repr, names[:SHOWN_COLUMNS])) or "none"
        raise ManifestError(
            f"The manifest {address} has no column {', '.join(missing)}; its columns are {shown}",
            remedy=f"Every manifest needs the columns {', '.join(REQUIRED)}, in small letters; a "
            "CSV has commas between its cells.",
        )


def _unreadable(address: str, error: Exception) -> ManifestError:
    return ManifestError(
        f"The manifest {address} cannot be read: {error}",
        remedy="Write it again as Parquet, as CSV in UTF-8, or as JSON Lines.",
    )
