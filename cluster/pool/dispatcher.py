"""Which job runs where, and what happens when a worker is lost. Knows nothing of Ray.

A job is sent when its inputs are there, one at a time to a worker, rows of a lower order first. The
jobs of a segment go to its preferred worker, the one that did the last job and holds what the next
ones need. An idle worker takes a job that has waited too long for a busy preferred worker, and
becomes the preferred one. From this one rule it follows that a fast worker gets more, that a new
worker is used, that the segments of a lost one find another, and that a row fills the gaps of the
one before it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Condition
from typing import Any, Protocol

from cluster.pool import calls
from cluster.pool.costs import STARTING, Affinity, CostTracker, RowCosts
from cluster.pool.lineage import Job, JobGraph, Ref, State
from sonic_ops.core.errors import RenderError, SonicError, WorkerLostError

LOCALITY_WAIT_S = 0.1
"""How long a job waits for its busy preferred worker before another worker may take it."""


@dataclass(eq=False, slots=True)
class Worker:
    """Runs one job at a time; what it makes lives on its node."""

    node: str
    job: Job | None = None
    num_jobs: int = 0
    number: int = 0
    """In the order in which workers joined."""
    job_s: float | None = None
    """How long it has been at its job, as far as the supervisor has seen."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent to a worker; refs have become what the executor knows their values by."""

    job: Job
    arguments: tuple[Any, ...]
    low_memory: bool


class InputLostError(Exception):
    """Values that an executor should fetch are gone."""


class Executor(Protocol):
    """What carries jobs to workers. It reports back by the methods of the dispatcher."""

    def send(self, worker: Worker, call: Call) -> None:
        """Begin a job and return at once."""
        ...

    def fetch(self, handles: Sequence[Any]) -> list[Any]:
        """Return the values of results. Raises InputLostError."""
        ...

    def wake(self) -> None:
        """There is something new: call `pump` soon."""
        ...


class Dispatcher:
    """The jobs, homes and workers of a pool. All methods may be called from any thread."""

    def __init__(
        self,
        executor: Executor,
        *,
        max_retries: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._executor = executor
        self._max_retries = max_retries
        self._clock = clock
        self._changed = Condition()
        self._graph = JobGraph(clock)
        self._workers: list[Worker] = []
        self._preferred: dict[Affinity, Worker] = {}
        self._costs = CostTracker()
        self._num_joined = 0
        self._closed: SonicError | None = None

    # What a submitter calls

    def submit(
        self,
        method: str,
        *arguments: Any,
        affinity: Affinity = (0, 0),
        num_returns: int = 1,
        persistent: bool = False,
    ) -> tuple[Ref, ...]:
        """Take a job; refs of its results."""
        with self._changed:
            job = self._graph.add(method, arguments, affinity, num_returns, persistent)
            if self._closed:
                self._graph.fail(job, self._closed)
        self._executor.wake()
        return tuple(Ref(job, index) for index in range(num_returns))

    def wait(self, refs: Sequence[Ref]) -> None:
        """Wait until the jobs of refs have run. Raises the error of one that failed."""
        with self._changed:
            for job in [ref.job for ref in refs]:
                while not job.has_run:
                    if job.error:
                        raise job.error
                    self._changed.wait()

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        """Return the values of refs. Raises the error of a failed job."""
        while True:
            handles = [self._handle(ref) for ref in refs]
            try:
                return self._executor.fetch(handles)
            except InputLostError:
                with self._changed:
                    jobs = list(dict.fromkeys(ref.job for ref in refs))
                    self._graph.lose_results(jobs)
                    for job in [job for job in jobs if job.state is State.LOST]:
                        self._again(job, "its results are gone")

    def cancel_row(self, order: int) -> None:
        """Forget the jobs of a row that have not run."""
        with self._changed:
            self._graph.fail_all(RenderError("the row was given up", remedy=calls.AGAIN), order)
            self._changed.notify_all()

    def pop_costs(self, order: int) -> RowCosts:
        """Return the costs of a row and forget it."""
        with self._changed:
            self._preferred = {
                affinity: w for affinity, w in self._preferred.items() if affinity[0] != order
            }
            return self._costs.pop_costs(order)

    # What the executor calls

    @property
    def num_ready(self) -> int:
        """Jobs that wait for a free worker."""
        return len(self._graph.ready)

    def mean_s(self, method: str) -> float | None:
        """Average the seconds of the jobs of a method; None before one has succeeded."""
        with self._changed:
            return self._costs.mean_s(method)

    @property
    def num_workers(self) -> int:
        """Count the workers that are there now."""
        return len(self._workers)

    @property
    def num_busy(self) -> int:
        """Count the workers that have a job now."""
        with self._changed:
            return sum(worker.job is not None for worker in self._workers)

    def join(self, worker: Worker, start: calls.Outcome | None = None) -> None:
        """Give work to one more worker; `start` is what it took to load its weights."""
        with self._changed:
            if start:
                self._costs.ran(
                    (STARTING, 0), "load", start.worker_s, low_memory=False, peaks=start.peaks
                )
            self._closed = None
            worker.number = self._num_joined
            self._num_joined += 1
            self._workers.append(worker)

    def pump(self) -> float | None:
        """Send ready jobs to free workers; in how many seconds to try again, if need be."""
        with self._changed:
            sent = [
                (worker, self._call(worker, job))
                for worker in self._workers
                if worker.job is None and (job := self._choose(worker))
            ]
            waiting = self._graph.ready and any(w.job is None for w in self._workers)
            since_s = min(job.ready_s for job in self._graph.ready) if waiting else None
        for worker, call in sent:
            self._executor.send(worker, call)
        if since_s is None:
            return None
        return max(since_s + LOCALITY_WAIT_S - self._clock(), LOCALITY_WAIT_S / 10)

    def done(
        self,
        worker: Worker,
        job: Job,
        results: tuple[Any, ...],
        outcome: calls.Outcome = calls.NOT_MEASURED,
    ) -> None:
        """Take the results of a job: values if it is persistent, else handles."""
        with self._changed:
            if self._freed(worker, job):
                self._ran(worker, job, outcome)
                self._costs.done(job.method, outcome.worker_s)
                self._graph.done(job, results, worker.node)
                self._changed.notify_all()

    def failed(
        self,
        worker: Worker,
        job: Job,
        error: SonicError,
        outcome: calls.Outcome = calls.NOT_MEASURED,
    ) -> None:
        """Fail a job that would fail again."""
        with self._changed:
            if self._freed(worker, job):
                self._ran(worker, job, outcome)
                self._fail(job, error)

    def input_lost(self, worker: Worker, job: Job) -> None:
        """Requeue a job whose inputs are lost."""
        with self._changed:
            if self._freed(worker, job):
                self._graph.lose_results(job.inputs)
                self._again(job, "its inputs are gone")

    def lost(self, worker: Worker, why: str = "it died", *, out_of_memory: bool = False) -> None:
        """Handle the loss of a worker; `out_of_memory` if the system killed it for that."""
        with self._changed:
            if worker not in self._workers:
                return
            self._workers.remove(worker)
            self._preferred = {
                affinity: w for affinity, w in self._preferred.items() if w is not worker
            }
            job, worker.job = worker.job, None
            if job is None or job.state is not State.SENT:
                return
            if out_of_memory and self._costs.is_low(job.affinity, job.method):
                self._fail(job, calls.out_of_memory(job.method))
                return
            if out_of_memory:
                self._costs.lower(job.affinity, job.method)
            self._again(job, why)

    def lost_node(self, node: str) -> None:
        """Handle the loss of a node with everything its workers made."""
        with self._changed:
            for worker in [worker for worker in self._workers if worker.node == node]:
                self.lost(worker, "its machine is gone")
            self._graph.lose_node(node)

    def close(self, error: SonicError) -> None:
        """End all jobs with an error, and new ones too, until a worker joins."""
        with self._changed:
            self._closed = error
            self._graph.fail_all(error)
            self._changed.notify_all()

    # How it works; all of this runs under the lock

    def _choose(self, worker: Worker) -> Job | None:
        """Choose the next job of a free worker."""
        patient_s = self._clock() - LOCALITY_WAIT_S
        other = None
        for job in self._graph.ready:
            if other is not None and job.affinity[0] > other.affinity[0]:
                break
            preferred = self._preferred.get(job.affinity)
            if preferred is worker:
                return job
            if other is None and (
                preferred is None or (preferred.job and job.ready_s <= patient_s)
            ):
                other = job
        return other

    def _call(self, worker: Worker, job: Job) -> Call:
        if job.was_sent:
            self._costs.retries(job.affinity, job.method)
        worker.job, worker.job_s = job, None
        worker.num_jobs += 1
        self._preferred[job.affinity] = worker
        return Call(job, self._graph.send(job), self._costs.is_low(job.affinity, job.method))

    def _ran(self, worker: Worker, job: Job, outcome: calls.Outcome) -> None:
        self._costs.ran(
            job.affinity,
            job.method,
            outcome.worker_s,
            low_memory=outcome.low_memory,
            worker=worker.number,
            stop_s=self._clock(),
            peaks=outcome.peaks,
        )

    def _freed(self, worker: Worker, job: Job) -> bool:
        """Take a job off its worker; False if nobody expects it any more.

        That is so if its worker counts as lost, or its row was dropped, and maybe settled.
        """
        if worker.job is not job:
            return False
        worker.job = None
        return job.state is State.SENT

    def _again(self, job: Job, why: str) -> None:
        """Run a job once more, because its worker, its inputs or its results were lost."""
        if job.state is State.FAILED:
            return
        job.num_lost += 1
        if job.num_lost > self._max_retries:
            self._fail(job, _given_up(job, why))
        else:
            self._graph.require(job)
            self._executor.wake()

    def _fail(self, job: Job, error: SonicError) -> None:
        self._graph.fail(job, error)
        self._changed.notify_all()

    def _handle(self, ref: Ref) -> Any:
        """Return the executor's handle of a value that exists."""
        with self._changed:
            while not self._graph.is_there(ref.job):
                if ref.job.error:
                    raise ref.job.error
                if ref.job.state is State.LOST:
                    self._graph.require(ref.job)
                    self._executor.wake()
                else:
                    self._changed.wait()
            return ref.job.results[ref.index]


def _given_up(job: Job, why: str) -> WorkerLostError:
    return WorkerLostError(
        f"{job.method} of segment {job.affinity[1]} has lost its worker {job.num_lost} times; "
        f"the last time, {why}",
        remedy="Check the workers' logs; the usual reason is memory, or a store that does not "
        f"answer. {calls.AGAIN}",
    )
