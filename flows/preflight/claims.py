"""Which row reads and which row writes which file, over all rows of a manifest.

All rows are taken, one by one, before any of them is checked. What is kept of a file is 16 bytes.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache

from flows.preflight.identity import file_key, short_hash
from flows.preflight.subtitle_files import REMEDY, side_car_of
from flows.rows.columns import INPUTS, TRUTH
from flows.rows.rows import BadRow, Row
from sonic_ops.core.errors import FieldError

KEPT_KEYS = 4096
"""Files whose identity is remembered for other rows that read them."""

REMEDY_OUTPUT = "Give every row an output of its own."

_READ = (*INPUTS, TRUTH, "manifest")
_WRITTEN = ("output", "subtitles")


class Claims:
    """The ids and files of rows. The first row that claims an id or a file to write has it."""

    def __init__(self) -> None:
        self._row_of_id: dict[bytes, int] = {}
        # A row and one of its columns, as one number: row * number of columns + column.
        self._readers: dict[bytes, int] = {}
        self._writers: dict[bytes, int] = {}
        self._twins: dict[int, int] = {}
        self._lost: defaultdict[int, list[int]] = defaultdict(list)
        self._key = lru_cache(KEPT_KEYS)(file_key)

    def take(self, row: Row | BadRow) -> None:
        """Note what a row is called, what it reads and what it writes."""
        if row.id:
            self._row_of_id.setdefault(short_hash(row.id), row.number)
        if isinstance(row, Row):
            self.read(row.number, {name: getattr(row, name) for name in INPUTS})
            self.write(row.number, row.output, side_car_of(row))

    def read(self, number: int, files: Mapping[str, str | None]) -> None:
        """Note the files that a row reads, by column; row 0 is the manifest itself."""
        for column, url in files.items():
            if url is not None:
                reader = number * len(_READ) + _READ.index(column)
                self._readers.setdefault(self._key(url), reader)

    def write(self, number: int, *files: str | None) -> None:
        """Note the output of a row and its subtitles."""
        for column, url in enumerate(files):
            if url is not None:
                writer = number * len(_WRITTEN) + column
                first = self._writers.setdefault(file_key(url), writer)
                if first // len(_WRITTEN) != number:
                    self._twins[writer] = first // len(_WRITTEN)

    def close(self) -> None:
        """Find the files that are both read and written, now that all rows are known."""
        for key in self._writers.keys() & self._readers.keys():
            self._lost[self._writers[key]].append(self._readers[key])

    def id_errors(self, row: Row | BadRow) -> Iterator[FieldError]:
        """Return an error if an earlier row has the same id."""
        first = self._row_of_id.get(short_hash(row.id), row.number) if row.id else row.number
        if first != row.number:
            yield FieldError(
                f"row number {row.number} has the id {row.id!r} of row number {first}",
                remedy="Give every row an id of its own.",
                field="id",
            )

    def file_errors(self, row: Row) -> Iterator[FieldError]:
        """Return an error for every file that an earlier row writes or any row reads."""
        for index, column in enumerate(_WRITTEN):
            writer = row.number * len(_WRITTEN) + index
            twin, readers = self._twins.get(writer), self._lost.get(writer, ())
            if twin is None and not readers:
                continue
            url = row.output if column == "output" else side_car_of(row) or ""
            if twin is not None:
                yield _twin(column, url, twin)
            for reader in readers:
                number, read_as = divmod(reader, len(_READ))
                yield _lost(column, url, row.number, number, _READ[read_as])


def _twin(column: str, url: str, first: int) -> FieldError:
    if column == "output":
        problem, remedy = f"{url} is already the output of row number {first}", REMEDY_OUTPUT
    else:
        problem, remedy = f"row number {first} writes its subtitles to {url} already", REMEDY
    return FieldError(problem, remedy=remedy, field=column)


def _lost(column: str, url: str, own: int, reader: int, read_as: str) -> FieldError:
    """Make the error of a file that one row would write and another reads."""
    what = url if column == "output" else f"the file {url} of its subtitles"
    whose = "this row" if reader == own else f"row number {reader}"
    is_read = "is the manifest" if reader == 0 else f"is the {read_as} of {whose}"
    return FieldError(
        f"{what} {is_read} and would be lost", remedy="Write to another file.", field=column
    )
