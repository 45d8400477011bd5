"""The figures of all rows: as a table for other programs, and their means with intervals.

Beside those of the videos stand those of baselines: the portrait shown all the time, the video with
the audio of other times, and the ground truth of rows that name one.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.report.views import ENTRY, shown
from flows.state.results import RowResult
from sonic_ops.quality.analysis import VideoAnalysis
from sonic_ops.quality.baselines import HEARD
from sonic_ops.quality.catalogue import ENTRIES, Entry
from sonic_ops.quality.measures import Measures

_SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("of", pa.string()),
        ("start_s", pa.float64()),
        ("stop_s", pa.float64()),
        ("is_whole", pa.bool_()),
        *((entry.name, pa.float64()) for entry in ENTRIES),
    ]
)
VIDEO: Final = "video"
BASELINES: Final = {
    "still": "Still image",
    "shuffled": "Audio of other times",
    "truth": "Ground truth",
}
"""What videos are compared with, as the page calls it."""
_BATCH: Final = 4096
_DRAWS: Final = 2000


class FigureTable:
    """A line for every video, for every 30 s of it, and for its baselines, batch by batch."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._lines: list[dict[str, object]] = []

    def add(
        self, result: RowResult, analysis: VideoAnalysis, truth: VideoAnalysis | None = None
    ) -> None:
        """Take the figures of one video and its baselines."""
        self._add(result, VIDEO, 0.0, analysis.duration_s, analysis.measures)
        for part in analysis.parts:
            self._add(result, VIDEO, part.start_s, part.stop_s, part.measures, is_whole=False)
        for name, measures in baselines_of(analysis, truth).items():
            self._add(result, name, 0.0, analysis.duration_s, measures)
        if len(self._lines) >= _BATCH:
            self.flush()

    def _add(
        self,
        result: RowResult,
        of: str,
        start_s: float,
        stop_s: float,
        measures: Measures,
        *,
        is_whole: bool = True,
    ) -> None:
        about = {"row": result.row, "id": result.id, "of": of, "start_s": start_s, "stop_s": stop_s}
        self._lines.append(about | {"is_whole": is_whole} | asdict(measures))

    def flush(self) -> None:
        """Write what has been taken."""
        self._writer.write_table(pa.Table.from_pylist(self._lines, schema=_SCHEMA))
        self._lines = []


@contextmanager
def open_table(path: Path) -> Iterator[FigureTable]:
    """Open a Parquet file for figures."""
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        table = FigureTable(writer)
        yield table
        table.flush()


def baselines_of(analysis: VideoAnalysis, truth: VideoAnalysis | None) -> dict[str, Measures]:
    """Return the baselines of a video by their names in `BASELINES`."""
    known = {"still": analysis.still, "shuffled": analysis.shuffled}
    return known if truth is None else known | {"truth": truth.measures}


class Figures:
    """The figures of whole videos and of their baselines, row by row."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], list[float]] = {}

    def add(self, analysis: VideoAnalysis, truth: VideoAnalysis | None = None) -> None:
        """Take those of one row."""
        for of, measures in ({VIDEO: analysis.measures} | baselines_of(analysis, truth)).items():
            for name in HEARD if of == "shuffled" else ENTRY:
                if (value := getattr(measures, name)) is not None:
                    self._values.setdefault((of, name), []).append(value)

    def of_videos(self) -> dict[str, list[float]]:
        """Return all values of every figure of the videos."""
        return {name: values for (of, name), values in self._values.items() if of == VIDEO}

    def compared(self) -> list["Compared"]:
        """Return the means of all figures that any video has."""
        return [
            Compared(
                entry,
                mean_of(entry, self._values[VIDEO, name]),
                {of: mean_of(entry, self._values.get((of, name), ())) for of in BASELINES},
            )
            for name, entry in ENTRY.items()
            if (VIDEO, name) in self._values
        ]


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure over rows, in words; a dash where no row has it."""

    mean: str
    interval: str
    num_rows: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of the videos beside that of the baselines."""

    entry: Entry
    video: Mean
    baselines: Mapping[str, Mean]


def mean_of(entry: Entry, values: Sequence[float]) -> Mean:
    """Return the mean over rows, and its 95 % interval where there are at least two.

    Percentile bootstrap over rows, Efron, Ann. Statist. 7 (1979); the same draws every time.
    """
    known = np.array(values)
    if len(known) < 2:
        return Mean(shown(float(known[0]) if len(known) else None, entry.digits), "", len(known))
    rng = np.random.default_rng(0)
    means = [known[rng.integers(len(known), size=len(known))].mean() for _ in range(_DRAWS)]
    low, high = (shown(float(v), entry.digits) for v in np.percentile(means, [2.5, 97.5]))
    return Mean(shown(float(known.mean()), entry.digits), f"{low} to {high}", len(known))
