"""The results table: a line per row of the manifest, beside it as `<manifest>.results.parquet`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from flows import addresses
from flows.rows import BadRow
from sonic_ops.errors import SonicError
from sonic_ops.files import storage_fault, written

Status: TypeAlias = Literal["done", "skipped", "failed"]

BUG_REMEDY = "This is a fault of the program: please report it with the text beside the row."

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("status", pa.string()),
        ("error_class", pa.string()),
        ("error", pa.string()),
        ("remedy", pa.string()),
        ("output", pa.string()),
        ("num_frames", pa.int64()),
        ("video_s", pa.float64()),
        ("wall_s", pa.float64()),
        ("worker_s", pa.float64()),
        ("peak_memory_mb", pa.float64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("fingerprint", pa.string()),
        ("attempts", pa.int64()),
        ("notes", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row; None where there is nothing to say.

    `video_s` is the length of the video, `wall_s` the time from the row's start to its end,
    `worker_s` what the workers spent on it, `peak_memory_mb` the most this process has held.
    """

    row: int
    id: str
    status: Status
    error_class: str | None = None
    error: str | None = None
    remedy: str | None = None
    output: str | None = None
    num_frames: int | None = None
    video_s: float | None = None
    wall_s: float | None = None
    worker_s: float | None = None
    peak_memory_mb: float | None = None
    width: int | None = None
    height: int | None = None
    fingerprint: str | None = None
    attempts: int = 0
    notes: str = ""
    extras: dict[str, object] = field(default_factory=dict)


def rejected(row: BadRow) -> RowResult:
    """The result of a row that was not rendered because cells of it are wrong."""
    return RowResult(
        row=row.number,
        id=row.id,
        status="failed",
        error_class=type(row.errors[0]).__name__,
        error="; ".join(sentence_of(error) for error in row.errors),
        remedy=" ".join(error.remedy for error in row.errors),
        output=row.output or None,
        extras=dict(row.extras),
    )


def sentence_of(error: SonicError) -> str:
    """The sentence of an error, with its column where it has one."""
    return f"column {error.field}: {error.message}" if error.field else error.message


def results_address(manifest: str, output_folder: str | None) -> str:
    """Beside the manifest; in the output folder if one is given or the manifest's is read-only."""
    name = f"{PurePosixPath(manifest).stem}.results.parquet"
    return addresses.join(output_folder or addresses.folder_of(manifest), name)


def write_results(address: str, results: Sequence[RowResult]) -> None:
    """Write the table whole, with the rows in the order of the manifest. Raises RenderError."""
    ordered = sorted(results, key=lambda result: result.row)
    columns = {
        name: pa.array([getattr(result, name) for result in ordered], kind)
        for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    }
    for name in _extra_names(ordered):
        values = [result.extras.get(name) for result in ordered]
        columns[f"manifest_{name}" if name in columns else name] = _any_array(values)
    try:
        with written(address) as path:
            pq.write_table(pa.table(columns), path)
    except OSError as error:
        raise storage_fault(error) from error


def _extra_names(results: Iterable[RowResult]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.extras))


def _any_array(values: Sequence[object]) -> pa.Array:
    """Values of any type; text if they have no type in common."""
    try:
        return pa.array(values)
    except pa.ArrowException:
        return pa.array([None if value is None else str(value) for value in values])


assert SCHEMA.names == [entry.name for entry in fields(RowResult) if entry.name != "extras"]
