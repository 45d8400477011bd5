"""The figures of all rows: as a table for other programs, and their means with intervals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.report.views import shown
from flows.results import RowResult
from sonic_ops.quality.catalogue import ENTRIES, Entry
from sonic_ops.quality.looking import Look

_SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("is_whole", pa.bool_()),
        *((entry.name, pa.float64()) for entry in ENTRIES),
    ]
)
_BATCH: Final = 4096
_DRAWS: Final = 2000


class FigureTable:
    """A line for every video and for every 30 s of it, written batch by batch."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._lines: list[dict[str, object]] = []

    def add(self, result: RowResult, look: Look) -> None:
        """Take the figures of one video."""
        spans = [(0.0, look.duration_s, True, look.measures)]
        spans += [(part.start_s, part.stop_s, False, part.measures) for part in look.parts]
        for start_s, stop_s, is_whole, measures in spans:
            about = {"row": result.row, "id": result.id, "start_s": start_s, "stop_s": stop_s}
            self._lines.append(about | {"is_whole": is_whole} | asdict(measures))
        if len(self._lines) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what has been taken."""
        self._writer.write_table(pa.Table.from_pylist(self._lines, schema=_SCHEMA))
        self._lines = []


@contextmanager
def open_table(path: Path) -> Iterator[FigureTable]:
    """A Parquet file to put figures into."""
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        table = FigureTable(writer)
        yield table
        table.flush()


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure over rows."""

    entry: Entry
    mean: str
    interval: str
    num_rows: int


def mean_of(entry: Entry, values: Sequence[float]) -> Mean:
    """The mean over rows, and its 95 % interval where there are at least two.

    Percentile bootstrap over rows, Efron, Ann. Statist. 7 (1979); the same draws every time.
    """
    known = np.array(values)
    if len(known) < 2:
        return Mean(entry, shown(float(known.mean()), entry.digits), "", len(known))
    rng = np.random.default_rng(0)
    means = [known[rng.integers(len(known), size=len(known))].mean() for _ in range(_DRAWS)]
    low, high = (shown(float(v), entry.digits) for v in np.percentile(means, [2.5, 97.5]))
    return Mean(entry, shown(float(known.mean()), entry.digits), f"{low} to {high}", len(known))
