"""Tables as people have them: Parquet, Excel, CSV with any comma, JSON Lines.

A reader gives records one after another; a record that is broken says so and stops no other.
"""

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import count, islice
from os import SEEK_END
from typing import IO, Any, Protocol, TypeAlias
from zipfile import BadZipFile, ZipFile

import pyarrow as pa

from flows.rows.columns import COLUMN_NAMES, REQUIRED
from flows.rows.csv_records import csv_records, without_comments
from flows.rows.limits import (
    MAX_LINE,
    MAX_UNPACKED_BYTES,
    MAX_VALUES,
    bounded_lines,
    check_parquet,
    columns_of,
    open_parquet,
)
from sonic_ops.core.errors import ManifestError
from sonic_ops.core.texts import Encoding, encoding_of

BATCH_ROWS = 1024
SHOWN_COLUMNS = 20
MAX_EMPTY = 10_000_000
"""Empty cells of a sheet of Excel beside its rows, and between them, where a row counts as 20."""
HEADER_ROWS = 100
"""Rows that may stand above the header, such as a title or comments."""
NO_REMEDY = "Write it again as Parquet, Excel (.xlsx), CSV or JSON Lines."
_Row: TypeAlias = tuple[int, list[object], str | None]
"""The number of a row in the file, its cells, and what is wrong with it."""
_DAMAGED_BYTES = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one row; `number` is its line or row in the file, `problem` why it has none."""

    number: int
    cells: Mapping[str, object]
    problem: str | None = None


class Reader(Protocol):
    """Reads one kind of table; `unit` is what people count in it."""

    unit: str

    def notes(self, file: IO[bytes]) -> Iterable[str]:
        """Say what the user should know about a file, to follow `m.csv is`."""

    def records(self, url: str, file: IO[bytes]) -> Iterator[Record]:
        """Read the records; closes the file. Raises ManifestError."""


class ParquetReader:
    """Reads Parquet in batches."""

    unit = "row"

    def notes(self, file: IO[bytes]) -> Iterable[str]:
        """Return an empty note."""
        file.close()
        return ()

    def records(self, url: str, file: IO[bytes]) -> Iterator[Record]:
        """Read the rows with values of Python."""
        try:
            with file:
                table = open_parquet(file)
                if problem := check_parquet(table, file.seek(0, SEEK_END)):
                    raise unreadable(url, problem)
                names = column_names(url, table.schema_arrow.names)
                numbers = count(1)
                for batch in table.iter_batches(BATCH_ROWS):
                    columns, problems = columns_of(names, batch)
                    for row, values in enumerate(zip(*columns, strict=True)):
                        cells = dict(zip(names, values, strict=True))
                        yield Record(next(numbers), cells, problems.get(row))
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise unreadable(url, "it is damaged, or not Parquet") from error


class JsonLinesReader:
    """Reads an object per line."""

    unit = "line"

    def notes(self, file: IO[bytes]) -> Iterable[str]:
        """Say how the text is read if it is not UTF-8."""
        return _encoding_notes(file)

    def records(self, url: str, file: IO[bytes]) -> Iterator[Record]:
        """Read the objects; names of columns may differ from line to line."""
        with file:
            encoding = _encoding(file)
            lines = TextIOWrapper(file, encoding=encoding.name, errors=encoding.errors)
            try:
                for number, text in enumerate(bounded_lines(lines), 1):
                    if text.strip():
                        yield _json_record(number, text)
            except UnicodeDecodeError as error:
                raise unreadable(url, f"its text is not in {encoding.name.upper()}") from error


def _json_record(number: int, text: str) -> Record:
    if len(text) > MAX_LINE:
        return Record(number, {}, f"has more than {MAX_LINE:,} characters")
    if _DAMAGED_BYTES.search(text):
        return Record(number, {}, "has bytes that are not UTF-8")
    try:
        cells = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Record(number, {}, f"is not JSON ({error})")
    if not isinstance(cells, dict):
        return Record(number, {}, "is not a JSON object")
    if COLUMN_NAMES.issuperset(cells):
        return Record(number, cells)
    return Record(number, {known_name(name, cells): value for name, value in cells.items()})


class CsvReader:
    """Reads text with a separator, which the header decides."""

    unit = "line"

    def notes(self, file: IO[bytes]) -> Iterable[str]:
        """Say how the text is read if it is not UTF-8."""
        return _encoding_notes(file)

    def records(self, url: str, file: IO[bytes]) -> Iterator[Record]:
        """Read the rows below the header; a broken line is a record with a problem."""
        with file:
            encoding = _encoding(file)
            text = TextIOWrapper(file, encoding=encoding.name, errors=encoding.errors, newline="")
            try:
                rows = csv_records(without_comments(bounded_lines(text)), is_header=_is_header)
                yield from _below_header(url, rows, damaged=encoding.errors != "strict")
            except UnicodeDecodeError as error:
                raise unreadable(url, f"its text is not in {encoding.name.upper()}") from error


class ExcelReader:
    """Reads the first sheet of an Excel file that has the columns."""

    unit = "row"

    def notes(self, file: IO[bytes]) -> Iterable[str]:
        """Return an empty note."""
        file.close()
        return ()

    def records(self, url: str, file: IO[bytes]) -> Iterator[Record]:
        """Read the values of the cells; what formulas gave when the file was saved."""
        from openpyxl import load_workbook  # late: most manifests are not of Excel
        from openpyxl.utils.exceptions import InvalidFileException

        try:
            with file, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what it does not draw, such as charts
                _check_size(url, file)
                book = load_workbook(file, read_only=True, data_only=True)
                sheets = [_sheet_rows(sheet) for sheet in book.worksheets]
                fitting = [rows for rows in sheets if _has_header(rows())]
                first = (fitting or sheets[:1] or [lambda: iter(())])[0]
                yield from _below_header(url, first())
        except (BadZipFile, InvalidFileException, KeyError, ValueError, SyntaxError, OSError) as e:
            raise unreadable(url, "it is damaged, or not an Excel file") from e


def _check_size(url: str, file: IO[bytes]) -> None:
    """Raise ManifestError for an archive that unpacks to more than fits into memory."""
    with ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_UNPACKED_BYTES:
        raise unreadable(url, f"it unpacks to {size:,} bytes")


def _sheet_rows(sheet: Any) -> Callable[[], Iterator[_Row]]:
    sheet.reset_dimensions()  # some programs write a wrong size

    def rows() -> Iterator[_Row]:
        num_empty = 0
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            values = _without_empty_end(list(cells))
            num_empty += len(cells) - len(values) + 20 * (not values)
            if num_empty > MAX_EMPTY:  # the number of a row or a column is text in the file
                raise ValueError
            yield number, values, None

    return rows


_EXCEL, _TEXT = ExcelReader(), CsvReader()
_READERS: dict[str, Reader] = {
    ".parquet": ParquetReader(),
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".jsonl": JsonLinesReader(),
    ".ndjson": JsonLinesReader(),
    ".xlsx": _EXCEL,
}
ENDINGS = tuple(_READERS)
_LOOSE: dict[str, Reader] = {".txt": _TEXT, ".tab": _TEXT, ".xlsm": _EXCEL, "": _TEXT}
"""Endings that a manifest may have, but that files beside manifests have as well."""


def reader_of(url: str, ending: str, head: bytes) -> Reader:
    """Choose the reader by the first bytes of a file, and else by its ending.

    Raises ManifestError.
    """
    if head.startswith(b"PAR1"):
        return _READERS[".parquet"]
    if head.startswith(b"PK\x03\x04") and b"opendocument" not in head:
        return _EXCEL
    if head.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04")):
        raise unreadable(url, "it is an old Excel file, an encrypted one, or OpenDocument")
    if re.match(rb"\s*<(!doctype|html|\?xml)", head, re.IGNORECASE):
        raise unreadable(url, "it is a web page, and not a table")
    reader = (_READERS | _LOOSE).get(ending)
    if reader is None:
        raise ManifestError(
            f"The manifest {url} has the ending '{ending}', which says no known format",
            remedy=f"Give a file that ends in {', '.join(ENDINGS)}, or one of them with .gz.",
        )
    return reader


def column_names(url: str, written: Iterable[object], place: str = "") -> list[str]:
    """Name the columns: capitals and spaces do not matter in those that are known.

    Raises ManifestError if one is missing, or there twice.
    """
    shown = [_clean(name) for name in written]
    if len(shown) > MAX_VALUES:
        raise unreadable(url, f"it has {len(shown):,} columns, and {MAX_VALUES:,} are the most")
    names: list[str] = []
    for number, name in enumerate(shown, 1):
        known = known_name(name or f"column {number}", shown)
        if known in names and known in COLUMN_NAMES:
            raise ManifestError(
                f"The manifest {url} has the column {known} twice{place}",
                remedy="Remove one of them, or give it another name.",
            )
        names.append(f"{known} ({number})" if known in names else known)
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        # A file that is no manifest is not quoted: it may be anybody's.
        is_ours = len(missing) < len(REQUIRED)
        there = ", ".join(map(repr, filter(None, shown[:SHOWN_COLUMNS] * is_ours))) or "others"
        raise ManifestError(
            f"The manifest {url} has no column {', '.join(missing)}; its columns are {there}",
            remedy=f"Every manifest needs the columns {', '.join(REQUIRED)} in its first row.",
        )
    return names


def known_name(name: str, others: Iterable[str]) -> str:
    """Give the column that a name means, such as `face_box` for `Face Box`, else the name."""
    if name in COLUMN_NAMES:
        return name
    likely = _clean(name).lower().replace(" ", "_").replace("-", "_")
    return likely if likely in COLUMN_NAMES and likely not in others else name


def unreadable(url: str, reason: str) -> ManifestError:
    """Make the error of a manifest that cannot be read."""
    return ManifestError(f"The manifest {url} cannot be read: {reason}", remedy=NO_REMEDY)


def _below_header(url: str, rows: Iterator[_Row], *, damaged: bool = False) -> Iterator[Record]:
    """Give the rows below the header the names of their columns; rows without a value are none."""
    above: list[_Row] = []
    for number, values, problem in rows:
        above.append((number, values, problem))
        if _is_header(values) or len(above) == HEADER_ROWS:
            break
    full = [row for row in above if any(map(_is_full, row[1]))]
    header = above[-1] if above and _is_header(above[-1][1]) else (full or [(1, [], None)])[0]
    written = _without_empty_end(header[1])
    names = column_names(url, written, f" in line {header[0]}")
    for number, values, problem in rows:
        if problem is not None:
            yield Record(number, {}, problem)
        elif damaged and _DAMAGED_BYTES.search("".join(map(str, values))):
            yield Record(number, {}, "has bytes that are not UTF-8")
        elif len(values) > len(names) and any(map(_is_full, values[len(names) :])):
            held = len(_without_empty_end(values))
            yield Record(number, {}, f"has {held} cells, but there are {len(names)} columns")
        elif any(map(_is_full, values)):
            yield Record(number, dict(zip(names, values, strict=False)))


def _has_header(rows: Iterable[_Row]) -> bool:
    return any(_is_header(values) for _, values, _ in islice(rows, HEADER_ROWS))


def _is_header(values: Iterable[object]) -> bool:
    names = [_clean(value) for value in values]
    return {known_name(name, ()) for name in names}.issuperset(REQUIRED)


def _without_empty_end(values: list[object]) -> list[object]:
    filled = [number for number, value in enumerate(values, 1) if _is_full(value)]
    return values[: filled[-1]] if filled else []


def _is_full(value: object) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _clean(name: object) -> str:
    """Return the name of a column without blanks around it.

    Without marks that cannot be seen.
    """
    return "" if name is None else str(name).strip().strip("\ufeff\u200b").strip()


def _encoding(file: IO[bytes]) -> Encoding:
    encoding = encoding_of(iter(lambda: file.read(1 << 20), b""))
    file.seek(0)
    return encoding


def _encoding_notes(file: IO[bytes]) -> Iterable[str]:
    with file:
        note = _encoding(file).note
    return (note,) if note else ()
