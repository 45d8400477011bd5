"""The results table: a line per row of the manifest, beside it as `<manifest>.results.parquet`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from flows import urls
from flows.rows.rows import BadRow
from sonic_ops.core.constants import FAILED
from sonic_ops.core.errors import ManifestError, SonicError
from sonic_ops.core.files import exists, open_own, printable, storage_fault, written
from sonic_ops.core.shown import without_secrets

Status: TypeAlias = Literal["done", "skipped", "failed", "locked", "waiting"]

_OLD_STATUS: Final = {"elsewhere": "locked"}
"""What version 0.1.0 called them."""

RESULTS_ENDING: Final = ".results.parquet"
PREVIEWS_ENDING: Final = ".preview-results.parquet"
"""Of the results of previews: no results of rows end so, whatever their manifest is called."""
FINISHED = {"done", "skipped"}
NOT_MARKED: Final = "not marked"
"""What is said of a video that does not say itself that it was made with AI."""

BUG_REMEDY = "This is a fault of the program: please report it with the text beside the row."
BATCH_ROWS = 1024

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("status", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("error_class", pa.string()),
        ("error", pa.string()),
        ("remedy", pa.string()),
        ("output", pa.string()),
        ("portrait", pa.string()),
        ("num_frames", pa.int64()),
        ("video_s", pa.float64()),
        ("wall_s", pa.float64()),
        ("worker_s", pa.float64()),
        ("planned_worker_s", pa.float64()),
        ("peak_memory_mb", pa.float64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("audio_offset_ms", pa.float64()),
        ("provenance", pa.string()),
        ("fingerprint", pa.string()),
        ("preset", pa.string()),
        ("model", pa.string()),
        ("seed", pa.int64()),
        ("version", pa.string()),
        ("machine", pa.string()),
        ("attempts", pa.int64()),
        ("notes", pa.string()),
        ("place", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one row; None where there is nothing to say.

    `verdict` says whether the video can be used, `reason` why not, in one sentence.
    `video_s` is the length of the video, `wall_s` the time from the row's start to its end,
    `worker_s` what the workers spent on it, `planned_worker_s` what the plan said, where no part of
    it was done before, `peak_memory_mb` the most this process has held,
    `audio_offset_ms` how late the audio of the file is, None where that cannot be measured,
    `preset` to `machine` what it was made with,
    `provenance` how the file says that it was made with AI, `place` the line of the manifest.
    """

    row: int
    id: str
    status: Status
    verdict: str | None = None
    reason: str | None = None
    error_class: str | None = None
    error: str | None = None
    remedy: str | None = None
    output: str | None = None
    portrait: str | None = None
    num_frames: int | None = None
    video_s: float | None = None
    wall_s: float | None = None
    worker_s: float | None = None
    planned_worker_s: float | None = None
    peak_memory_mb: float | None = None
    width: int | None = None
    height: int | None = None
    audio_offset_ms: float | None = None
    provenance: str | None = None
    fingerprint: str | None = None
    preset: str | None = None
    model: str | None = None
    seed: int | None = None
    version: str | None = None
    machine: str | None = None
    attempts: int = 0
    notes: str = ""
    place: str = ""

    def __post_init__(self) -> None:
        for name in ("reason", "error", "remedy", "portrait", "notes", "place"):
            if text := getattr(self, name):
                object.__setattr__(self, name, without_secrets(text))

    def to_write(self) -> dict[str, object]:
        """Return the values as they are written and printed: `output` without a password too."""
        output = self.output and printable(self.output)
        return asdict(self) | {"output": output}


_URLS = ("output", "portrait")
ResultLine: TypeAlias = tuple[RowResult, Mapping[str, object]]
"""A result, and what passes through from the manifest."""


def result_from(content: Mapping[str, Any]) -> RowResult:
    """Restore a result that an earlier run wrote, perhaps of another version. Raises TypeError."""
    known = {name: content[name] for name in SCHEMA.names if name in content}
    known["status"] = _OLD_STATUS.get(str(known.get("status")), known.get("status"))
    for name in _URLS:
        known[name] = known.get(name) and urls.local_path(known[name])
    return RowResult(**known)


def rejected(row: BadRow) -> RowResult:
    """Return the result of a row that was not rendered because of invalid cells."""
    said = "; ".join(sentence_of(error) for error in row.errors)
    return RowResult(
        row=row.number,
        id=row.id,
        status="failed",
        verdict=FAILED,
        reason=said,
        error_class=type(row.errors[0]).__name__,
        error=said,
        remedy=" ".join(error.remedy for error in row.errors),
        output=row.output or None,
        place=row.place,
    )


def sentence_of(error: SonicError) -> str:
    """Format an error as a sentence, with its column if it has one."""
    return f"column {error.field}: {error.message}" if error.field else error.message


def results_url(manifest: str, output_folder: str | None, *, ending: str = RESULTS_ENDING) -> str:
    """Beside the manifest; in the output folder if one is given or the manifest's is read-only."""
    name = f"{PurePosixPath(manifest).stem}{ending}"
    return urls.join(output_folder or urls.folder_of(manifest), name)


def report_url(results: str) -> str:
    """Return where the report of a results table lies: beside it."""
    return f"{results.removesuffix('results.parquet')}report.html"


def measures_url(results: str) -> str:
    """Return where the figures of all videos of a results table lie: beside it."""
    return f"{results.removesuffix('results.parquet')}measures.parquet"


def results_of(url: str, output_folder: str | None) -> str:
    """Find the results table of a manifest, or return the table itself."""
    if url.endswith((RESULTS_ENDING, PREVIEWS_ENDING)):
        return url
    return results_url(url, output_folder)


def require_results(url: str, output_folder: str | None) -> str:
    """Find the results table of a manifest. Raises ManifestError if there is none yet."""
    table = results_of(url, output_folder)
    if not exists(table):
        raise ManifestError(
            f"There are no results at {urls.printable(table)}",
            remedy="Render the manifest first, or name the folder of its results with --output.",
        )
    return table


def write_results(url: str, lines: Callable[[], Iterable[ResultLine]]) -> None:
    """Write the table whole, batch by batch; `lines` is called twice. Raises RenderError."""
    kinds = _kinds_of_extras(lines())
    names = {name: f"manifest_{name}" if name in SCHEMA.names else name for name in kinds}
    schema = pa.schema([*SCHEMA, *((names[name], kind) for name, kind in kinds.items())])
    try:
        with written(url) as path, pq.ParquetWriter(path, schema) as writer:
            for batch in _batches(lines()):
                columns = [
                    _array([_cell(result, name) for result, _ in batch], SCHEMA.field(name).type)
                    for name in SCHEMA.names
                ]
                columns += [
                    _array([extras.get(name) for _, extras in batch], kind)
                    for name, kind in kinds.items()
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    except OSError as error:
        raise storage_fault(error) from error


def read_results(url: str) -> Iterator[RowResult]:
    """Read the results of an earlier table; nothing if it is damaged.

    Raises OSError where it cannot be read: it must not be taken for empty, and be replaced.
    """
    try:
        with open_own(url) as file:
            table = pq.ParquetFile(file)
            known = [name for name in SCHEMA.names if name in table.schema_arrow.names]
            for batch in table.iter_batches(BATCH_ROWS, columns=known):
                yield from map(result_from, batch.to_pylist())
    except (FileNotFoundError, TypeError, pa.ArrowException):
        return


def _batches(lines: Iterable[ResultLine]) -> Iterator[list[ResultLine]]:
    lines = iter(lines)
    while batch := list(islice(lines, BATCH_ROWS)):
        yield batch


def _kinds_of_extras(lines: Iterable[ResultLine]) -> dict[str, pa.DataType]:
    """Find the type of every column that passes through; text if its values differ in type."""
    kinds: dict[str, pa.DataType] = {}
    for batch in _batches(lines):
        for name in dict.fromkeys(name for _, extras in batch for name in extras):
            kind = _kind([extras.get(name) for _, extras in batch])
            kinds[name] = _common(kinds.get(name, pa.null()), kind)
    return kinds


def _kind(values: Sequence[object]) -> pa.DataType:
    try:
        return pa.array(values).type
    except (pa.ArrowException, OverflowError, UnicodeError):
        return pa.string()


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    numbers = all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other))
    return pa.float64() if numbers else pa.string()


def _cell(result: RowResult, name: str) -> object:
    value = getattr(result, name)
    return printable(value) if value and name in _URLS else value


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.float64():  # whole numbers among them, however large
        return pa.array([None if value is None else float(value) for value in values], kind)
    if kind != pa.string():
        return pa.array(values, kind)
    texts = (None if value is None else str(value) for value in values)
    return pa.array([text and text.encode(errors="replace").decode() for text in texts], kind)


assert SCHEMA.names == [entry.name for entry in fields(RowResult)]
