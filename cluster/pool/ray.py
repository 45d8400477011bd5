"""The pool of Ray actors, and the border of Ray's exceptions.

Ray starts processes, stores results and reports deaths. The dispatcher decides placement; the
supervisor handles failures. Ray restarts no actor and runs no task again.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any

import ray
from ray.exceptions import ObjectLostError, RayActorError, RayError
from ray.exceptions import OutOfMemoryError as RayOutOfMemoryError
from ray.util.metrics import Gauge, Histogram

from cluster.config import ClusterConfig
from cluster.pool.actor import WorkerActor
from cluster.pool.calls import AGAIN, MakeWorker, Outcome, Watch
from cluster.pool.dispatcher import Call, Dispatcher, InputLostError, Worker
from cluster.pool.lineage import Job
from cluster.pool.ray_session import demand_room, num_fit, ray_running
from cluster.pool.supervisor import Process, WorkerSupervisor
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import RenderError, SonicError, WorkerLostError

FIRST_DEMAND, GROWTH = 8, 2
"""Workers that a joined cluster is asked for at first, and then for each that is there."""

_PULSE = "pulse"
_NODE_ID = "ray.io/node-id"
_BOUNDS_S = [0.01, 0.1, 1, 10, 100, 1000]
_THREADS = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")  # of torch and of cv2
_log = logging.getLogger(__name__)


class RayPool:
    """Actors that hold weights. One thread talks to them; submitters only wait for it."""

    def __init__(
        self, config: ClusterConfig, models: ModelsConfig, most: int | None, make: MakeWorker
    ) -> None:
        self._config, self._most = config, most
        self._new_actor = partial(_new_actor, config, make, models)
        self._fit = 1
        # For Prometheus and Ray's dashboard; a histogram counts the jobs as well.
        self._waiting = Gauge("sonic_jobs_waiting", "jobs that wait for a free worker")
        tags = {"tag_keys": ("method",)}
        self._seconds = Histogram("sonic_job_seconds", "seconds of jobs", _BOUNDS_S, **tags)
        self._dispatcher = Dispatcher(self, max_retries=config.max_retries)
        self._supervisor = WorkerSupervisor(self, self._dispatcher, config)
        self.submit, self.get = self._dispatcher.submit, self._dispatcher.get
        self.wait, self.cancel_row = self._dispatcher.wait, self._dispatcher.cancel_row
        self.pop_costs = self._dispatcher.pop_costs
        self._events: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._ended = Event()
        self._thread = Thread(target=self._loop, name="pool", daemon=True)

    def open(self) -> None:
        """Wait until the first worker has its weights; others join later. Raises ConfigError."""
        self._thread.start()
        self._supervisor.wait_for_first()

    def close(self) -> None:
        """End the workers; whoever waits gets an error."""
        self._ended.set()
        self.wake()
        self._thread.join()
        self._dispatcher.close(WorkerLostError("the pool is closed", remedy=AGAIN))
        self._supervisor.end()

    @property
    def num_workers(self) -> int:
        # Those that a cluster may grow to are not there yet, and may never be.
        there = max(self._fit, len(self._supervisor.processes))
        return max(1, min(self._supervisor.size, there))

    @property
    def num_busy(self) -> int:
        return self._dispatcher.num_busy

    @property
    def processes(self) -> tuple[Process, ...]:
        """Return the workers that have their weights."""
        return self._supervisor.processes

    # What the dispatcher asks for

    def send(self, worker: Worker, call: Call) -> None:
        assert isinstance(worker, Process)
        job = call.job
        num_returns = 1 if job.persistent else 1 + job.num_returns
        arguments = (job.method, job.num_returns, job.persistent, call.low_memory, *call.arguments)
        try:
            refs = worker.handle.run.options(num_returns=num_returns).remote(*arguments)
        except (RayError, TypeError, ValueError) as error:  # what cannot be pickled, for example
            self._dispatcher.failed(worker, job, _our(error))
            return
        ticket, *results = [refs] if job.persistent else refs
        self._when(ticket, partial(self._on_ticket, worker, job, tuple(results)))

    def fetch(self, handles: Sequence[Any]) -> list[Any]:
        try:
            return [ray.get(h) if isinstance(h, ray.ObjectRef) else h for h in handles]
        except ObjectLostError as error:
            raise InputLostError from error
        except RayError as error:
            raise _our(error) from error

    def wake(self) -> None:
        self._events.put(lambda: None)

    # What the supervisor asks for

    def start(self, avoid: Set[str]) -> Process:
        process = Process(node="", handle=self._new_actor(avoid))
        self._when(process.handle.begin.remote(), partial(self._on_begun, process))
        return process

    def end(self, process: Process) -> None:
        # Ray ends a process that is stopped as well, some seconds later.
        with suppress(RayError, ValueError):
            ray.kill(process.handle)

    def ping(self, process: Process) -> None:
        pong = process.handle.ping.options(concurrency_group=_PULSE).remote()
        self._when(pong, partial(self._on_pong, process))

    def nodes(self) -> set[str]:
        return {node["NodeID"] for node in ray.nodes() if node["Alive"]}

    def num_wanted(self) -> int:
        if self._config.workers:
            return self._config.workers
        self._fit = wanted = num_fit(self._config)
        if self._config.address and self._most:  # actors that wait are what an autoscaler sees
            wanted = max(wanted, GROWTH * len(self._supervisor.processes), FIRST_DEMAND)
        return max(1, min(wanted, self._most or wanted))

    # The thread of the pool

    def _loop(self) -> None:
        next_watch_s = pause_s = 0.0
        try:
            while not self._ended.is_set():
                with suppress(Empty):
                    self._events.get(timeout=pause_s)()
                    while True:
                        self._events.get_nowait()()
                if time.monotonic() >= next_watch_s:
                    self._watch()
                    next_watch_s = time.monotonic() + self._supervisor.watch_s
                pause_s = max(next_watch_s - time.monotonic(), 0)
                pause_s = min(pause_s, self._dispatcher.pump() or pause_s)
        except Exception as error:  # nobody would be told anything any more
            _log.exception("the pool has failed")
            self._dispatcher.close(_our(error))
            self._supervisor.fail(_our(error))

    def _watch(self) -> None:
        self._waiting.set(self._dispatcher.num_ready)
        try:
            self._supervisor.watch()
        except (RayError, OSError) as error:  # its head may be back at the next look
            _log.warning("the cluster does not answer: %s", error)

    def _when(self, ref: Any, handle: Callable[["Future[Any]"], None]) -> None:
        """Call `handle` in the thread of the pool as soon as a ref has a value or an error."""
        ref.future().add_done_callback(lambda future: self._events.put(partial(handle, future)))

    def _on_begun(self, process: Process, future: "Future[Any]") -> None:
        try:
            outcome, node, pid = future.result()
        except RayError as error:
            self._supervisor.could_not_begin(process, _our(error))
            return
        if outcome.error:
            self._supervisor.could_not_begin(process, outcome.error)
        else:
            (processor,) = outcome.results
            self._supervisor.began(process, node, pid, processor, outcome)

    def _on_pong(self, process: Process, future: "Future[Any]") -> None:
        self._supervisor.answered(process)
        if isinstance(error := future.exception(), RayError):
            self._supervisor.lose(process, type(error).__name__)

    def _on_ticket(
        self, process: Process, job: Job, results: tuple[Any, ...], future: "Future[Any]"
    ) -> None:
        try:
            outcome: Outcome = future.result()
        except RayOutOfMemoryError:
            self._supervisor.lose(process, "the machine ran out of memory", out_of_memory=True)
        except RayActorError as error:
            self._supervisor.lose(process, type(error).__name__)
        except ObjectLostError:
            self._watch()  # or the dispatcher does not know which of them
            self._dispatcher.input_lost(process, job)
        except Exception as error:  # whatever Ray raises where it cannot bring a value
            self._dispatcher.failed(process, job, _our(error))
        else:
            self._on_outcome(process, job, results, outcome)

    def _on_outcome(
        self, process: Process, job: Job, results: tuple[Any, ...], outcome: Outcome
    ) -> None:
        if outcome.error:
            if outcome.trace:
                outcome.error.add_note(f"in the worker:\n{outcome.trace}")
            self._dispatcher.failed(process, job, outcome.error, outcome)
            return
        self._seconds.observe(outcome.worker_s, tags={"method": job.method})
        values = outcome.results if job.persistent else results
        self._dispatcher.done(process, job, values, outcome)


def _new_actor(
    config: ClusterConfig, make_worker: MakeWorker, models: ModelsConfig, avoid: Set[str]
) -> Any:
    """Ask for an actor on any node but some; it waits for room in the cluster if there is none."""
    # Pings have a thread of their own, so that a long job does not look like death.
    host = ray.remote(concurrency_groups={_PULSE: 1})(WorkerActor)
    options = host.options(
        num_cpus=config.cpus_per_worker,
        num_gpus=config.gpus_per_worker,
        memory=config.memory_bytes,
        label_selector={_NODE_ID: f"!in({','.join(sorted(avoid))})"} if avoid else None,
        max_restarts=0,
        max_task_retries=0,
        runtime_env={"env_vars": dict.fromkeys(_THREADS, str(config.threads_per_worker))},
    )
    return options.remote(make_worker, models, _node)


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _our(error: Exception) -> SonicError:
    """Turn an exception of Ray into ours; nobody above knows Ray's."""
    made: SonicError
    if isinstance(error, RayActorError | RayOutOfMemoryError):
        made = WorkerLostError(f"a worker was lost ({type(error).__name__})", remedy=AGAIN)
    else:
        made = RenderError(f"Ray failed: {type(error).__name__}: {error}", remedy=AGAIN)
    made.__cause__ = error
    return made


@contextmanager
def open_ray_pool(
    config: ClusterConfig,
    models: ModelsConfig,
    most: int | None,
    make_worker: MakeWorker,
    watch: Watch,
) -> Iterator[RayPool]:
    """Join the cluster that the configuration names, or start one on this machine."""
    with ray_running(config, watch):
        demand_room(config)
        pool = RayPool(config, models, most, make_worker)
        try:
            pool.open()
            yield pool
        finally:
            pool.close()
