"""A pool of processes on this machine, without Ray: for one video, and for one worker.

The processes are forked from one that has already imported what they need (`prefork.prepare`).
Results travel through this process as bytes that it does not open. A process that dies is replaced,
and its job runs again; one whose job takes far too long is killed.
"""

import logging
import os
import pickle  # between our own processes, as Ray does; nothing that was read from a file
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Thread
from typing import Any

import cv2
import torch

from cluster.config import ClusterConfig
from cluster.pool.calls import AGAIN, MakeWorker, Outcome, call
from cluster.pool.dispatcher import Call, Dispatcher, Worker
from cluster.pool.lineage import Job
from cluster.pool.prefork import FORKSERVER
from cluster.pool.supervisor import WATCH_S, limit_of
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import SonicError, WorkerLostError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packed:
    """A value as bytes, which only the processes open."""

    content: bytes


@dataclass(eq=False, slots=True)
class Process(Worker):
    """A worker and what runs its jobs."""

    executor: ProcessPoolExecutor | None = None
    pid: int = 0
    sent_s: float = 0.0


class ProcessPool:
    """Processes that hold weights. Submitters only wait; one thread hands out the jobs."""

    def __init__(
        self, config: ClusterConfig, models: ModelsConfig, make_worker: MakeWorker, num_workers: int
    ) -> None:
        self.num_workers = num_workers
        self._config = config
        self._begin = partial(_begin, make_worker, models, config.threads_per_worker)
        self._dispatcher = Dispatcher(self, max_retries=config.max_retries)
        self.submit, self.get = self._dispatcher.submit, self._dispatcher.get
        self.wait, self.cancel_row = self._dispatcher.wait, self._dispatcher.cancel_row
        self.pop_costs = self._dispatcher.pop_costs
        self._processes: list[Process] = []
        self._news, self._ended = Event(), Event()
        self._thread = Thread(target=self._loop, name="pool", daemon=True)

    @property
    def num_busy(self) -> int:
        """Count the workers that run a job at this moment."""
        return self._dispatcher.num_busy

    def open(self) -> None:
        """Start the processes; jobs wait until the first one has its weights."""
        self._thread.start()
        for _ in range(self.num_workers):
            self._start()

    def close(self) -> None:
        """End the processes; whoever waits gets an error."""
        self._ended.set()
        self.wake()
        self._thread.join()
        self._dispatcher.close(WorkerLostError("the pool is closed", remedy=AGAIN))
        for process in self._processes:
            assert process.executor
            process.executor.shutdown(wait=False, cancel_futures=True)

    # What the dispatcher asks for

    def send(self, worker: Worker, call: Call) -> None:
        """Begin a job and return at once."""
        assert isinstance(worker, Process)
        assert worker.executor
        job, worker.sent_s = call.job, time.monotonic()
        arguments = (job.method, job.num_returns, job.persistent, call.low_memory, call.arguments)
        try:
            future = worker.executor.submit(_run, *arguments)
        except (BrokenProcessPool, RuntimeError):  # it has died while it had nothing to do
            self._lost(worker)
        else:
            future.add_done_callback(partial(self._on_ended, worker, job))

    def fetch(self, handles: Sequence[Any]) -> list[Any]:
        """Return the values of results."""
        return [_opened(handle) for handle in handles]

    def wake(self) -> None:
        """There is something new."""
        self._news.set()

    def _loop(self) -> None:
        wait_s: float | None = None
        while not self._ended.is_set():
            self._news.wait(WATCH_S if wait_s is None else min(wait_s, WATCH_S))
            self._news.clear()
            wait_s = self._dispatcher.pump()
            self._end_hung()

    def _end_hung(self) -> None:
        """Kill the processes whose jobs have hung; the jobs run again elsewhere."""
        for process in self._processes:
            if (job := process.job) is None:
                continue
            limit_s = limit_of(job, self._dispatcher.mean_s(job.method), self._config)
            if time.monotonic() - process.sent_s > limit_s:
                _log.warning("%s did not end within %.0f s", job.method, limit_s)
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

    def _start(self) -> None:
        executor = ProcessPoolExecutor(1, mp_context=FORKSERVER)
        process = Process(node="", executor=executor)
        self._processes.append(process)
        executor.submit(self._begin).add_done_callback(partial(self._on_begun, process))

    def _on_begun(self, process: Process, future: "Future[tuple[Outcome, int]]") -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is None:
            outcome, process.pid = future.result()
            error = outcome.error
        if error is None:
            self._dispatcher.join(process, outcome)
            self.wake()
        elif isinstance(error, SonicError):
            self._dispatcher.close(error)
        else:
            said = f"a worker could not start ({type(error).__name__}: {error})"
            self._dispatcher.close(WorkerLostError(said, remedy=AGAIN))

    def _on_ended(self, process: Process, job: Job, future: "Future[Outcome]") -> None:
        if future.cancelled():
            return
        if isinstance(future.exception(), BrokenProcessPool):
            self._lost(process)
        elif error := future.exception():  # what cannot be pickled, for example
            said = f"{job.method} failed: {type(error).__name__}: {error}"
            self._dispatcher.failed(process, job, WorkerLostError(said, remedy=AGAIN))
        elif (outcome := future.result()).error:
            if outcome.trace:
                outcome.error.add_note(f"in the worker:\n{outcome.trace}")
            self._dispatcher.failed(process, job, outcome.error, outcome)
        else:
            self._dispatcher.done(process, job, outcome.results, outcome)
        self.wake()

    def _lost(self, process: Process) -> None:
        """Replace a process that has died; its job runs again, in another process."""
        if self._ended.is_set() or process not in self._processes:
            return
        _log.warning("a worker has died; its work is done again")
        self._processes.remove(process)
        self._dispatcher.lost(process)
        self._start()


@contextmanager
def open_process_pool(
    config: ClusterConfig, models: ModelsConfig, make_worker: MakeWorker, num_workers: int
) -> Iterator[ProcessPool]:
    """Open a pool of so many processes, and close it at the end."""
    pool = ProcessPool(config, models, make_worker, num_workers)
    pool.open()
    try:
        yield pool
    finally:
        pool.close()


def num_fitting(config: ClusterConfig) -> int:
    """Count the workers that the processors of this machine are enough for."""
    return max(1, int(len(os.sched_getaffinity(0)) / config.cpus_per_worker))


# What runs in the processes

_workers: list[Any] = []
"""The worker of a process, once it has its weights."""


def _begin(make_worker: MakeWorker, models: ModelsConfig, num_threads: int) -> tuple[Outcome, int]:
    torch.set_num_threads(num_threads)
    cv2.setNumThreads(num_threads)
    return call(_Loader(make_worker, models), "load", ()), os.getpid()


@dataclass(frozen=True, slots=True)
class _Loader:
    make_worker: MakeWorker
    models: ModelsConfig

    def load(self) -> str:
        _workers.append(self.make_worker(self.models))
        return str(_workers[0].load())


def _run(
    method: str, num_returns: int, persistent: bool, low_memory: bool, arguments: tuple[Any, ...]
) -> Outcome:
    """Run a job; its results are packed, except those that are small."""
    opened = [_opened(argument) for argument in arguments]
    outcome = call(_workers[0], method, opened, num_returns=num_returns, low_memory=low_memory)
    if persistent:
        return outcome
    packed = (Packed(pickle.dumps(result, protocol=5)) for result in outcome.results)
    return replace(outcome, results=tuple(packed))


def _opened(value: Any) -> Any:
    return pickle.loads(value.content) if isinstance(value, Packed) else value
