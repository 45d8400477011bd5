"""Jobs and what they need of each other: which are ready, and which must run again.

Tensors live on the machine that made them. If that is lost, whoever still needs them makes the job
that made them run again, and so on, back to jobs that read files. To run a job twice does no harm:
it gives the same bits, and files are written once.
"""

import time
from bisect import insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count
from typing import Any

from cluster.pool.costs import Affinity
from sonic_ops.core.errors import SonicError


class State(Enum):
    """Where a job is. The results of a LOST job are gone; it runs again if somebody needs them."""

    WAITING = auto()
    READY = auto()
    SENT = auto()
    DONE = auto()
    LOST = auto()
    FAILED = auto()


@dataclass(eq=False, slots=True)
class Job:
    """A method, its arguments (values or refs), and what has become of it."""

    number: int
    method: str
    arguments: tuple[Any, ...]
    affinity: Affinity
    num_returns: int
    persistent: bool
    state: State = State.LOST
    missing: "set[Job]" = field(default_factory=set)
    readers: "set[Job]" = field(default_factory=set)
    ready_s: float = 0.0
    results: tuple[Any, ...] = ()
    node: str | None = None
    error: SonicError | None = None
    was_sent: bool = False
    has_run: bool = False
    num_lost: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Jobs of a lower rank go first."""
        return self.affinity[0], self.number

    @property
    def inputs(self) -> "Iterator[Job]":
        """Return the jobs that make the arguments."""
        return (argument.job for argument in self.arguments if isinstance(argument, Ref))


@dataclass(frozen=True, slots=True)
class Ref:
    """Result `index` of a job."""

    job: Job
    index: int


class JobGraph:
    """All jobs that have not run, and those whose results they need."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = count()
        self._open: set[Job] = set()
        self._lost_nodes: set[str] = set()
        self.ready: list[Job] = []
        """Jobs whose inputs are there, by rank."""

    def add(
        self,
        method: str,
        arguments: tuple[Any, ...],
        affinity: Affinity,
        num_returns: int,
        persistent: bool,
    ) -> Job:
        """Add a job, which becomes ready when its inputs exist."""
        job = Job(next(self._numbers), method, arguments, affinity, num_returns, persistent)
        self.require(job)
        return job

    def require(self, job: Job) -> None:
        """Let a job run as soon as its inputs are there; what is lost of them is made again."""
        self._withdraw(job)
        job.state = State.WAITING
        self._open.add(job)
        job.missing = {made for made in job.inputs if not self.is_there(made)}
        for made in job.missing:
            if made.error:
                self.fail(job, made.error)
                return
            made.readers.add(job)
            if made.state is State.LOST:
                self.require(made)
        self._offer(job)

    def is_there(self, job: Job) -> bool:
        """Return whether the results of a job exist."""
        if job.state is State.DONE and job.node in self._lost_nodes:
            job.state, job.results = State.LOST, ()
        return job.state is State.DONE

    def send(self, job: Job) -> tuple[Any, ...]:
        """Start a ready job; return its arguments with refs replaced by results."""
        self._withdraw(job)
        job.state, job.was_sent = State.SENT, True
        return tuple(
            argument.job.results[argument.index] if isinstance(argument, Ref) else argument
            for argument in job.arguments
        )

    def done(self, job: Job, results: tuple[Any, ...], node: str) -> None:
        """Mark a job as done on a node, which readies its readers."""
        job.state, job.results, job.has_run = State.DONE, results, True
        job.node = None if job.persistent else node
        if job.persistent:
            job.arguments = ()  # or chains of refs would keep all that ever was
        self._open.discard(job)
        readers, job.readers = job.readers, set()
        for reader in readers:
            reader.missing.discard(job)
            self._offer(reader)

    def fail(self, job: Job, error: SonicError) -> None:
        """End a job, and all that wait for it, with an error."""
        if job.state is State.FAILED:
            return
        self._withdraw(job)
        job.state, job.error, job.arguments = State.FAILED, error, ()
        self._open.discard(job)
        readers, job.readers = job.readers, set()
        for reader in readers:
            if job in reader.missing:
                self.fail(reader, error)

    def fail_all(self, error: SonicError, order: int | None = None) -> None:
        """End the jobs of a row that have not run, or those of all rows, with an error."""
        for job in [job for job in self._open if order in {None, job.affinity[0]}]:
            self.fail(job, error)

    def lose_node(self, node: str) -> None:
        """Forget the results that were on a lost node."""
        self._lost_nodes.add(node)
        self._review()

    def lose_results(self, jobs: Iterable[Job]) -> None:
        """Forget unreadable results: those on lost nodes, else all of them."""
        made = [job for job in jobs if not job.persistent]
        there = [job for job in made if self.is_there(job)]
        for job in there if there == made else ():
            job.state, job.results = State.LOST, ()
        self._review()

    def _review(self) -> None:
        """Look again at what the jobs that have not been sent need."""
        for job in list(self._open):
            if job.state in {State.WAITING, State.READY}:
                self.require(job)

    def _offer(self, job: Job) -> None:
        if job.state is State.WAITING and not job.missing:
            job.state, job.ready_s = State.READY, self._clock()
            insort(self.ready, job, key=lambda ready: ready.rank)

    def _withdraw(self, job: Job) -> None:
        if job.state is State.READY:
            self.ready.remove(job)
