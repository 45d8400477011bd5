"""What the flows of one run share: not addresses, so it does not travel as a parameter."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from cluster.pool import Pool
from flows.config import RenderConfig
from flows.preflight import PlannedRow
from flows.progress import Reporter
from flows.results import RowResult


@dataclass(frozen=True, slots=True)
class Session:
    """The pool and the rows of a run by their ids, and what has become of them so far."""

    config: RenderConfig
    pool: Pool
    reporter: Reporter
    rows: Mapping[str, PlannedRow]
    results: list[RowResult]
    failures: Counter[str] = field(default_factory=Counter)
    stopped: threading.Event = field(default_factory=threading.Event)

    def record(self, result: RowResult) -> None:
        """Take the result of a row and show it."""
        self.results.append(result)
        self.reporter.finish(result)

    def advance(self, row_id: str, stage: str, done: int, total: int) -> None:
        """Show progress; here a row ends early if the user has stopped the run."""
        if self.stopped.is_set():
            raise KeyboardInterrupt
        self.reporter.advance(row_id, stage, done, total)


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
