"""The processes of a pool, from when they are asked for until they are lost. Knows nothing of Ray.

A process counts as lost if it has died, if its machine is gone, if it answers no ping for
`worker_timeout_s`, or if its job takes far longer than others of its method. As many as are
missing are asked for again; they join when there is room. All compute on the kind of processor
that the first one has.
"""

import logging
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from cluster.config import ClusterConfig
from cluster.pool.calls import AGAIN, Outcome
from cluster.pool.dispatcher import Dispatcher, Worker
from cluster.pool.lineage import Job
from sonic_ops.core.errors import ConfigError, NoWorkersError, SonicError

WATCH_S = 2.0
"""How often to look for machines that are gone, and for processes that are missing."""

BEATS = 4
"""Pings in the time after which a process that answers none counts as lost."""

OVERDUE = 20
"""A job counts as hung after this many times the mean of its method."""

PAUSE_S = 5.0
"""How long no process is started after one that could not start."""

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Process(Worker):
    """A worker, or what will be one; `silent_s` is how long it has owed an answer."""

    handle: Any = None
    pid: int = 0
    processor: str = ""
    has_begun: bool = False
    owes_answer: bool = False
    silent_s: float = 0.0


class WorkerBackend(Protocol):
    """What starts processes and ends them."""

    def start(self, avoid: Set[str]) -> Process:
        """Ask for a process on any machine but some.

        `WorkerSupervisor.began` or `.could_not_begin` is called later.
        """
        ...

    def end(self, process: Process) -> None:
        """End a process, whatever it does."""
        ...

    def ping(self, process: Process) -> None:
        """Ask for an answer. `WorkerSupervisor.answered` is called later."""
        ...

    def nodes(self) -> set[str]:
        """Return the nodes that are alive."""
        ...

    def num_wanted(self) -> int:
        """Return the number of processes wanted."""
        ...


class WorkerSupervisor:
    """Keeps as many processes at work as are wanted. One thread calls its methods."""

    def __init__(
        self,
        backend: WorkerBackend,
        dispatcher: Dispatcher,
        config: ClusterConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._backend, self._dispatcher, self._config = backend, dispatcher, config
        self._clock = clock
        self._beat_s = config.worker_timeout_s / BEATS
        self.watch_s = min(WATCH_S, self._beat_s)
        self._processes: list[Process] = []
        self._nodes: set[str] = set()
        self._processors: set[str] = set()
        self._avoided: set[str] = set()
        self._first = Event()
        self._start_error: SonicError | None = None
        self._last_error: SonicError | None = None
        self._start_again_s = 0.0
        self._last_beat_s = self._last_seen_s = clock()

    @property
    def processes(self) -> tuple[Process, ...]:
        """Return the processes at work."""
        return tuple(process for process in self._processes if process.has_begun)

    @property
    def size(self) -> int:
        """Count those at work, and those that have been asked for."""
        return len(self._processes)

    def wait_for_first(self) -> None:
        """Wait until somebody can work. Raises ConfigError, or the error of the pool."""
        timeout_s = self._config.start_timeout_s
        if not self._first.wait(timeout_s):
            last = f"; the last one: {self._last_error.message}" if self._last_error else ""
            raise ConfigError(
                f"no worker started within {timeout_s:g} s{last}",
                remedy="Wait for room in the cluster, lower what a worker needs (`cluster."
                "cpus_per_worker`, `.gpus_per_worker`), or raise `.start_timeout_s`.",
            )
        if self._start_error:
            raise self._start_error

    def watch(self) -> None:
        """Look after everybody; to be called every `watch_s`."""
        now_s = self._clock()
        passed_s = now_s - self._last_beat_s
        if passed_s >= self._beat_s:
            # If this process itself was stopped for a while, no other is to blame.
            self._beat(min(passed_s, 2 * self._beat_s))
            self._last_beat_s = now_s
        self._check_nodes()
        if now_s >= self._start_again_s:
            for _ in range(self._backend.num_wanted() - len(self._processes)):
                self._processes.append(self._backend.start(self._avoided))
        if self.processes or not self._first.is_set():
            self._last_seen_s = now_s
        elif now_s - self._last_seen_s > self._config.start_timeout_s:
            self._dispatcher.close(_nobody(self._config.start_timeout_s, len(self._avoided)))

    def began(
        self, process: Process, node: str, pid: int, processor: str, start: Outcome | None = None
    ) -> None:
        """Give work to a process that has its weights, unless its processor is of another kind."""
        process.node, process.pid, process.processor = node, pid, processor
        if not self._accepts(process):
            self._avoided.add(node)
            self._remove(process)
            return
        process.has_begun = True
        self._nodes.add(node)
        self._processors.add(processor)
        self._dispatcher.join(process, start)
        self._first.set()

    def _accepts(self, process: Process) -> bool:
        """Return whether a process may work beside the others, which is logged if it is new."""
        if not self._processors or process.processor in self._processors:
            return True
        others = ", ".join(sorted(self._processors))
        if self._config.mixed_processors:
            _log.warning(
                "workers compute on different processors (%s and %s): the same command may give "
                "other bits",
                others,
                process.processor,
            )
            return True
        _log.warning(
            "node %s is not used: it computes on %s, and the first worker on %s, so the same "
            "command could give other bits. Set `cluster.mixed_processors: true` to use both",
            process.node,
            process.processor,
            others,
        )
        return False

    def could_not_begin(self, process: Process, error: SonicError) -> None:
        """Give up a process that cannot start; a configuration error ends the pool."""
        self._remove(process)
        self._start_again_s = self._clock() + PAUSE_S
        if isinstance(error, ConfigError) and not self._first.is_set():
            self.fail(error)
        else:
            self._last_error = error
            _log.warning("a worker could not start: %s", error)

    def fail(self, error: SonicError) -> None:
        """Nobody needs to wait any longer."""
        if not self._first.is_set():
            self._start_error = error
            self._first.set()

    def answered(self, process: Process) -> None:
        """Note that a process answered its ping."""
        process.owes_answer, process.silent_s = False, 0.0

    def lose(self, process: Process, why: str, *, out_of_memory: bool = False) -> None:
        """Handle a process that is dead or hangs."""
        if process in self._processes:
            _log.warning("worker %d is lost (%s); its work is done again", process.pid, why)
            self._remove(process)
            self._dispatcher.lost(process, why, out_of_memory=out_of_memory)

    def end(self) -> None:
        """End everybody."""
        for process in self._processes:
            self._backend.end(process)

    def _check_nodes(self) -> None:
        for node in self._nodes - self._backend.nodes():
            self._nodes.discard(node)
            for process in [process for process in self.processes if process.node == node]:
                self.lose(process, "its machine is gone")
            self._dispatcher.lost_node(node)

    def _beat(self, passed_s: float) -> None:
        for process in self.processes:
            self._check_job(process, passed_s)
        for process in self.processes:
            if not process.owes_answer:
                process.owes_answer = True
                self._backend.ping(process)
                continue
            process.silent_s += passed_s
            if process.silent_s >= self._config.worker_timeout_s:
                self.lose(process, f"no answer for {process.silent_s:.0f} s")

    def _check_job(self, process: Process, passed_s: float) -> None:
        """Lose a process whose job has hung, although it answers pings."""
        if (job := process.job) is None:
            return
        # The first time, how long it has been at it is not known.
        process.job_s = 0.0 if process.job_s is None else process.job_s + passed_s
        limit_s = limit_of(job, self._dispatcher.mean_s(job.method), self._config)
        if process.job_s >= limit_s:
            name = f"{job.method} of segment {job.affinity[1]}"
            self.lose(process, f"{name} did not end within {limit_s:.0f} s")

    def _remove(self, process: Process) -> None:
        self._processes.remove(process)
        self._backend.end(process)


def limit_of(job: Job, mean_s: float | None, config: ClusterConfig) -> float:
    """Return how long a job may take, by the mean of its method; and twice that after a loss."""
    if mean_s is None:
        return config.job_timeout_s
    return max(OVERDUE * mean_s, config.worker_timeout_s) * 2.0**job.num_lost


def _nobody(timeout_s: float, num_avoided: int) -> NoWorkersError:
    other = f"; {num_avoided} nodes with other processors were not used" if num_avoided else ""
    return NoWorkersError(
        f"there has been no worker for {timeout_s:g} s{other}",
        remedy=f"Check the resources of the cluster. {AGAIN}",
    )
