"""What the flows of one run share: not addresses, so it does not travel as a parameter."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from cluster.pool.base import Pool
from flows.console.progress import Reporter
from flows.preflight.checks import PlannedRow
from flows.rows.config import RenderConfig
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.receipts import lease_target
from flows.state.results import RowResult
from flows.state.row_store import Ledger
from flows.supervisor.channel import tell


@dataclass(frozen=True, slots=True)
class Session:
    """The pool of a run, its rows in flight by their ids, and what has become of the others.

    `report` is where the report of the run will be.
    """

    config: RenderConfig
    pool: Pool
    reporter: Reporter
    ledger: Ledger
    journal: Journal
    leases: Leases
    report: str | None = None
    rows: dict[str, PlannedRow] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def record(self, result: RowResult) -> None:
        """Take the result of a row; one that was rendered survives this process. Raises OSError."""
        self.ledger.record(result)
        if result.status in ("done", "failed"):
            self.journal.record(result)
        if result.status != "elsewhere":
            tell(ended=result.id)

    def advance(self, row: PlannedRow, stage: str, done: int, total: int) -> None:
        """Show progress; here a row ends early if the user has stopped the run.

        Raises InWorkElsewhereError if another command has taken the row over.
        """
        if self.stopped.is_set():
            raise KeyboardInterrupt
        self.leases.check(lease_target(row.row.output))
        self.reporter.advance(row.row.id, stage, done, total)


_CURRENT: ContextVar[Session] = ContextVar("session")


def current_session() -> Session:
    """The session of this run; threads see it if they run in a copy of the context."""
    return _CURRENT.get()


@contextmanager
def opened(session: Session) -> Iterator[Session]:
    """Make a session the current one."""
    token = _CURRENT.set(session)
    try:
        yield session
    finally:
        _CURRENT.reset(token)
