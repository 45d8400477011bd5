"""What the jobs of a row have cost, and which of them have to save memory."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Near = tuple[int, int]
"""Where a job belongs: (order, segment). Rows of a lower order go first; a worker keeps what it
needs for a segment, so it is the first choice for the other jobs of that segment."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the jobs of a row have cost.

    `redone` counts jobs that were run again because a worker was lost, by method.
    """

    jobs: int = 0
    worker_s: float = 0.0
    redone: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Row:
    jobs: int = 0
    worker_s: float = 0.0
    redone: Counter[str] = field(default_factory=Counter)
    lowered: set[tuple[int, str]] = field(default_factory=set)  # segment, method


class Ledger:
    """The accounts of the rows that are in work."""

    def __init__(self) -> None:
        self._rows: dict[int, _Row] = {}

    def redone(self, near: Near, method: str) -> None:
        """A job is run again."""
        self._row(near).redone[method] += 1

    def ran(self, near: Near, method: str, worker_s: float, *, low_memory: bool) -> None:
        """A worker has run a job, in the low-memory form if that was needed."""
        row = self._row(near)
        row.jobs += 1
        row.worker_s += worker_s
        if low_memory:
            self.lower(near, method)

    def lower(self, near: Near, method: str) -> None:
        """This method takes its low-memory form for this segment from now on, if it has one."""
        self._row(near).lowered.add((near[1], method))

    def is_low(self, near: Near, method: str) -> bool:
        """Whether this method takes its low-memory form for this segment."""
        return near[0] in self._rows and (near[1], method) in self._rows[near[0]].lowered

    def settle(self, order: int) -> Account:
        """The account of a row, which is forgotten."""
        row = self._rows.pop(order, _Row())
        return Account(row.jobs, row.worker_s, dict(row.redone))

    def _row(self, near: Near) -> _Row:
        return self._rows.setdefault(near[0], _Row())
