"""The table that moves in a terminal: rows in flight, workers, what is left of the whole run.

It is drawn once a second whatever happens, and shows as many rows as fit: what it costs depends
neither on the number of rows nor on how fast they advance.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cluster.pool.base import Pool
from flows.console.progress import LineReporter, Reporter, RowClock, say_outcome, time_left
from flows.console.terminal import Terminal, shown
from flows.rows.plan import RowPlan
from flows.rows.planned import PlannedRow
from flows.state.results import RowResult

DRAWN_HZ = 1.0
MOST_ROWS = 16
"""Rows that are shown, if the terminal is high enough; it keeps some lines for what is said."""

OTHER_LINES = 8
USE_SHARE = 0.1
"""What a look at the workers counts in the use that is shown: about the last ten seconds."""


@dataclass(slots=True)
class Tally:
    """How much of a run is done. What a row is worth follows from its plan."""

    num_rows: int = 0
    worth: float = 0.0
    ended: Counter[str] = field(default_factory=Counter)
    ended_worth: float = 0.0

    @classmethod
    def of(cls, plans: Iterable[RowPlan]) -> "Tally":
        """Start the tally of a run."""
        tally = cls()
        for plan in plans:
            tally.num_rows += 1
            tally.worth += plan.num_unet_calls
        return tally

    def fraction(self, in_flight: Iterable[RowClock]) -> float:
        """Return the share of the work that is done."""
        done = sum(row.fraction * row.planned.plan.num_unet_calls for row in in_flight)
        return min((self.ended_worth + done) / max(self.worth, 1), 1.0)


@contextmanager
def open_reporter(terminal: Terminal, tally: Tally, pool: Pool) -> Iterator[Reporter]:
    """Open a reporter of the terminal's form."""
    if terminal.form != "live":
        yield LineReporter(terminal)
        return
    reporter = LiveReporter(terminal, tally, pool)
    live = Live(
        console=terminal.console,
        get_renderable=reporter.drawn,
        refresh_per_second=DRAWN_HZ,
        transient=True,
    )
    with live:
        yield reporter


class LiveReporter:
    """A line per row in flight; a row that has ended leaves its line above the table."""

    def __init__(self, terminal: Terminal, tally: Tally, pool: Pool) -> None:
        self._terminal, self._tally, self._pool = terminal, tally, pool
        self._lock = Lock()
        self._rows: dict[str, RowClock] = {}
        self._started_s = time.monotonic()
        self._use: float | None = None

    def start(self, planned: PlannedRow) -> None:
        """Report that a row starts."""
        with self._lock:
            self._rows[planned.row.id] = RowClock(planned)

    def advance(self, row_id: str, stage: str, done: int, total: int) -> None:
        """Note where the row stands; the table shows it when it is drawn."""
        with self._lock:
            self._rows[row_id].update(stage, done, total)

    def say(self, text: str) -> None:
        """Say what is good to know, above the table."""
        self._terminal.say(text)

    def finish(self, result: RowResult) -> None:
        """Take the row out of the table and say what became of it."""
        with self._lock:
            row = self._rows.pop(result.id)
            self._tally.ended[result.status] += 1
            self._tally.ended_worth += row.planned.plan.num_unet_calls
        say_outcome(result, self._terminal)

    def drawn(self) -> Group:
        """Draw the rows in flight, longest first, and a line about the run."""
        with self._lock:
            rows = list(self._rows.items())
            return Group(*_lines(rows, self._terminal.console), Text(self._summary()))

    def _summary(self) -> str:
        tally, num_ended = self._tally, self._tally.ended.total()
        busy = float(self._pool.num_busy)
        self._use = busy if self._use is None else self._use + USE_SHARE * (busy - self._use)
        elapsed_s = time.monotonic() - self._started_s
        parts = [
            f"{num_ended:,} of {tally.num_rows:,} rows have ended",
            f"{tally.ended['failed']:,} failed" if tally.ended["failed"] else "",
            f"{self._use:.1f} of {self._pool.num_workers} workers busy",
            time_left(elapsed_s, tally.fraction(self._rows.values())),
        ]
        return ", ".join(part for part in parts if part)


def _lines(rows: list[tuple[str, RowClock]], console: Console) -> Iterator[Table | Text]:
    num_shown = max(1, min(MOST_ROWS, console.height - OTHER_LINES))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=32)
    for _ in range(3):
        table.add_column(no_wrap=True)
    for row_id, row in rows[:num_shown]:
        bar = ProgressBar(total=1.0, completed=row.fraction, width=20)
        table.add_row(Text(shown(row_id)), bar, row.text(), row.time_left())
    yield table
    if len(rows) > num_shown:
        yield Text(f"and {len(rows) - num_shown:,} more rows in flight")
