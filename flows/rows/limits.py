"""How much one row of a table may hold: a file of some kilobytes can unpack to gigabytes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Final, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.rows.arrow_values import python_values

MAX_CELL: Final = 1 << 20
"""Characters of a cell: a transcript of ten hours has fewer."""
MAX_LINE: Final = 4 << 20
"""Characters of a line, and of a record of CSV."""
MAX_VALUES: Final = 10_000
"""Columns of a table, and values in a cell."""
MAX_DEPTH: Final = 32
"""Lists in lists, of a cell."""
MAX_VALUE_BYTES: Final = 8 << 20
"""Bytes of a value of Parquet that is no text, such as a list."""
MAX_UNPACKED_BYTES: Final = 512 << 20
"""What a column of Parquet, or a file of Excel may unpack to."""
_NESTED = (Mapping, Sequence)


def excess(cells: Mapping[str, object]) -> str:
    """Say what is too large in the cells of a row; empty if nothing is."""
    if len(cells) > MAX_VALUES:
        return f"has {len(cells):,} cells, and {MAX_VALUES:,} are the most"
    for name, value in cells.items():
        if isinstance(value, str | bytes):
            if len(value) > MAX_CELL:
                return _in_cell(name, _characters(len(value)))
        elif isinstance(value, _NESTED) and _is_large(value):
            return _in_cell(name, f"more than {MAX_VALUES:,} values, or {MAX_DEPTH} lists in lists")
    return ""


def bounded_lines(text: TextIO) -> Iterator[str]:
    """Read lines; of one that is longer than `MAX_LINE` only the beginning, still too long."""
    while line := text.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(("\n", "\r")):
            rest = text.readline(MAX_LINE + 1)
        yield line


def check_parquet(file: pq.ParquetFile, file_bytes: int) -> str:
    """Say what of a Parquet file would not fit into memory, by its metadata; empty if all does."""
    metadata = file.metadata
    if metadata.num_columns > MAX_VALUES:
        return f"it has {metadata.num_columns:,} columns, and {MAX_VALUES:,} are the most"
    # Of groups, not of their columns: pyarrow ends the process over the metadata of damaged ones.
    size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    if size > max(MAX_UNPACKED_BYTES, 1000 * file_bytes):
        return f"it unpacks from {file_bytes:,} to {size:,} bytes"
    return ""


def open_parquet(file: IO[bytes]) -> pq.ParquetFile:
    """Open a Parquet file whose texts stay in dictionaries, where a long one is there once."""
    texts = [field.name for field in pq.read_schema(file) if _is_text(field.type)]
    return pq.ParquetFile(file, read_dictionary=texts)


def columns_of(
    names: Sequence[str], batch: pa.RecordBatch
) -> tuple[list[list[Any]], dict[int, str]]:
    """Return the values of a batch by column, and what is wrong with its rows by their places."""
    columns: list[list[Any]] = []
    problems: dict[int, str] = {}
    for name, column in zip(names, batch.columns, strict=True):
        large = dict(_long_texts(column) if _is_dictionary(column) else _large_values(column))
        problems |= {row: _in_cell(name, what) for row, what in large.items()}
        columns.append(python_values(_without(column, large) if large else column))
    return columns, problems


def _without(column: pa.Array, rows: Mapping[int, str]) -> pa.Array:
    """Return a column with nulls in some rows; a dictionary is not copied."""
    keep = pa.array([row not in rows for row in range(len(column))])
    if not isinstance(column, pa.DictionaryArray):
        return pc.if_else(keep, column, None)
    indices = pc.if_else(keep, column.indices, None)
    return pa.DictionaryArray.from_arrays(indices, column.dictionary, safe=False)


def _is_dictionary(column: pa.Array) -> bool:
    return isinstance(column, pa.DictionaryArray) and _is_text(column.type.value_type)


def _is_text(kind: pa.DataType) -> bool:
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)
    return any(is_kind(kind) for is_kind in kinds)


def _long_texts(column: pa.DictionaryArray) -> Iterator[tuple[int, str]]:
    lengths = pc.binary_length(column.dictionary)
    if (pc.max(lengths).as_py() or 0) > MAX_CELL:
        for row, length in enumerate(lengths.take(column.indices).to_pylist()):
            if (length or 0) > MAX_CELL:
                yield row, _characters(length)


def _large_values(column: pa.Array) -> Iterator[tuple[int, str]]:
    if column.nbytes > MAX_VALUE_BYTES:
        for row in range(len(column)):
            if (size := column.slice(row, 1).nbytes) > MAX_VALUE_BYTES:
                yield row, f"{size:,} bytes, and {MAX_VALUE_BYTES:,} are the most"


def _characters(length: int) -> str:
    return f"{length:,} characters, and {MAX_CELL:,} are the most"


def _in_cell(name: str, what: str) -> str:
    shown = name if len(name) <= 40 else f"{name[:40]}..."
    return f"has in its column {shown} {what}"


def _is_large(value: Any) -> bool:
    """Return whether a nested value has more values or levels than it may, without recursion."""
    level, num_values = [value], 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str | bytes):
                num_values += len(item) // 100
            elif isinstance(item, _NESTED):
                below += item.values() if isinstance(item, Mapping) else item
        num_values += len(below)
        if num_values > MAX_VALUES or not below:
            return num_values > MAX_VALUES
        level = below
    return True
