"""What the jobs of a row have cost, and which of them have to save memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cluster.pool.peaks import NO_PEAKS, Peaks

Affinity = tuple[int, int]
"""Where a job belongs: (order, segment). Rows of a lower order go first; a worker keeps what it
needs for a segment, so it is the first choice for the other jobs of that segment."""


STARTING: Final = -1
"""The order of what belongs to no row: that workers load their weights."""

STAGES: Final = {"encode_chunk": "encode audio", "decode": "decode", "encode": "decode"}
"""The stage that a method belongs to, where it is not denoising."""

_MAX_SPANS: Final = 500
_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """One worker at one stage of a row for a while; seconds count from any moment."""

    worker: int
    stage: str
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class RowCosts:
    """What the jobs of a row have cost.

    By method: `retries` counts jobs that were run again because a worker was lost, `seconds` is
    what workers spent, `peaks` the most memory that one of them held.
    """

    jobs: int = 0
    worker_s: float = 0.0
    retries: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    peaks: Mapping[str, Peaks] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()


@dataclass(slots=True)
class _Row:
    jobs: int = 0
    worker_s: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, Peaks] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    pause_s: float = _PAUSE_S
    retries: Counter[str] = field(default_factory=Counter)
    low_memory_note: set[tuple[int, str]] = field(default_factory=set)  # segment, method


class CostTracker:
    """Tracks the costs of the rows in progress."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}
        self._done: dict[str, tuple[int, float]] = {}  # by method, of all rows

    def retries(self, affinity: Affinity, method: str) -> None:
        """Count a job that runs again."""
        self._row(affinity).retries[method] += 1

    def ran(
        self,
        affinity: Affinity,
        method: str,
        worker_s: float,
        *,
        low_memory: bool,
        worker: int = 0,
        stop_s: float = 0.0,
        peaks: Peaks = NO_PEAKS,
    ) -> None:
        """Record a finished job, and whether it needed the low-memory form."""
        row = self._row(affinity)
        row.jobs += 1
        row.worker_s += worker_s
        row.seconds[method] = row.seconds.get(method, 0.0) + worker_s
        row.peaks[method] = row.peaks.get(method, NO_PEAKS).highest(peaks)
        stage = STAGES.get(method, "denoise")
        row.spans.append(Span(worker, stage, stop_s - worker_s, stop_s))
        while len(row.spans) > _MAX_SPANS:
            row.spans = joined(row.spans, row.pause_s)
            if row.pause_s > _whole_s(row.spans):  # no two can be joined any more
                row.spans = row.spans[:_MAX_SPANS]
            row.pause_s *= 2
        if low_memory:
            self.lower(affinity, method)

    def done(self, method: str, worker_s: float) -> None:
        """Count a job that has succeeded towards the mean of its method."""
        count, total_s = self._done.get(method, (0, 0.0))
        self._done[method] = count + 1, total_s + worker_s

    def mean_s(self, method: str) -> float | None:
        """Average the seconds of the jobs of a method; None before one has succeeded."""
        count, total_s = self._done.get(method, (0, 0.0))
        return total_s / count if count else None

    def lower(self, affinity: Affinity, method: str) -> None:
        """Run a method in its low-memory form for a segment from now on, if it has one."""
        self._row(affinity).low_memory_note.add((affinity[1], method))

    def is_low(self, affinity: Affinity, method: str) -> bool:
        """Return whether a method runs in the low-memory form for a segment."""
        return (
            affinity[0] in self._rows
            and (affinity[1], method) in self._rows[affinity[0]].low_memory_note
        )

    def pop_costs(self, order: int) -> RowCosts:
        """Return the costs of a row and forget them."""
        row = self._rows.pop(order, _Row())
        spans = tuple(joined(row.spans, row.pause_s))
        by_method = dict(row.retries), dict(row.seconds), dict(row.peaks)
        return RowCosts(row.jobs, row.worker_s, *by_method, spans)

    def _row(self, affinity: Affinity) -> _Row:
        return self._rows.setdefault(affinity[0], _Row())


def joined(spans: Sequence[Span], pause_s: float) -> list[Span]:
    """Return spans of one worker at one stage made one, if no more than `pause_s` is between them.

    They come by worker and by start.
    """
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.worker, span.stage, span.start_s)):
        last = found[-1] if found else span
        same = (last.worker, last.stage) == (span.worker, span.stage)
        if found and same and span.start_s - last.stop_s <= pause_s:
            found[-1] = replace(last, stop_s=max(last.stop_s, span.stop_s))
        else:
            found.append(span)
    return sorted(found, key=lambda span: (span.worker, span.start_s))


def _whole_s(spans: Sequence[Span]) -> float:
    return max(span.stop_s for span in spans) - min(span.start_s for span in spans)
