"""Where jobs run: the protocol of a pool, and the pool that is this process.

A `Ref` stands for a value that may live on another machine. Jobs take refs and give refs, so no
tensor passes through whoever submits them.
"""

import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import cv2
import torch

from cluster.config import ClusterConfig
from cluster.pool.accounts import STARTING, Affinity, CostTracker, RowCosts
from cluster.pool.calls import MakeWorker, Watch, call
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig

__all__ = ["Affinity", "LocalPool", "Pool", "Ref", "RowCosts", "open_pool"]

Ref = Any


class Pool(Protocol):
    """Runs the methods of `RenderWorker`."""

    @property
    def num_workers(self) -> int:
        """Workers that there are or will be: how much work is worth having under way."""
        ...

    @property
    def num_busy(self) -> int:
        """Workers that run a job at this moment."""
        ...

    def submit(
        self,
        method: str,
        *arguments: Any,
        affinity: Affinity = (0, 0),
        num_returns: int = 1,
        persistent: bool = False,
    ) -> tuple[Ref, ...]:
        """Run a method with values or refs; refs of its results, in order.

        `persistent`: the results are small (addresses, None) and outlive the worker; other results
        are tensors, which may be lost with a machine and are then made again from the arguments.
        """
        ...

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        """The values of refs, for small ones. Raises SonicError if a job failed."""
        ...

    def wait(self, refs: Sequence[Ref]) -> None:
        """Wait until the jobs of refs have run. Raises SonicError if one failed."""
        ...

    def cancel_row(self, order: int) -> None:
        """Forget the jobs of a row that have not begun: it is finished, or has failed."""
        ...

    def pop_costs(self, order: int) -> RowCosts:
        """What the jobs of a row have cost since the last call; the row is forgotten."""
        ...


@dataclass(frozen=True, slots=True)
class _Value:
    value: Any


class LocalPool:
    """Runs every job at once in this process: how a laptop renders, and how one debugs."""

    num_workers = 1

    def __init__(self, config: ClusterConfig, worker: object) -> None:
        self._worker = worker
        self._threads = config.threads_per_worker
        self._costs = CostTracker()
        self._lock = Lock()

    @property
    def num_busy(self) -> int:
        return int(self._lock.locked())

    def submit(
        self,
        method: str,
        *arguments: Any,
        affinity: Affinity = (0, 0),
        num_returns: int = 1,
        persistent: bool = False,
    ) -> tuple[Ref, ...]:
        values = [a.value if isinstance(a, _Value) else a for a in arguments]
        with self._lock:
            torch.set_num_threads(self._threads)  # it holds for the calling thread
            cv2.setNumThreads(self._threads)
            low_memory = self._costs.is_low(affinity, method)
            outcome = call(
                self._worker, method, values, num_returns=num_returns, low_memory=low_memory
            )
            self._costs.ran(
                affinity,
                method,
                outcome.worker_s,
                low_memory=outcome.low_memory,
                stop_s=time.monotonic(),
                peaks=outcome.peaks,
            )
        if outcome.error:
            raise outcome.error
        return tuple(_Value(result) for result in outcome.results)

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        return [ref.value for ref in refs]

    def wait(self, refs: Sequence[Ref]) -> None:
        pass  # a job has run when it has been submitted

    def cancel_row(self, order: int) -> None:
        pass

    def pop_costs(self, order: int) -> RowCosts:
        with self._lock:
            return self._costs.pop_costs(order)


@contextmanager
def open_pool(
    config: ClusterConfig,
    models: ModelsConfig,
    *,
    most: int | None = None,
    make_worker: MakeWorker = RenderWorker,
    watch: Watch = lambda *_: nullcontext(),
) -> Iterator[Pool]:
    """The pool that the configuration asks for; it is closed at the end.

    If the configuration leaves the number of workers open, there are at most `most`: as many as
    have something to do. `watch` is told of processes without which the pool is lost. Raises
    ConfigError if the weights are wrong or the workers do not fit.
    """
    if config.workers == 0:
        pool = LocalPool(config, make_worker(models))
        pool.submit("load", affinity=(STARTING, 0))
        yield pool
        return
    _prepare_ray(local=config.address is None)
    # Ray takes seconds to import, and a run in this process does not need it.
    from cluster.pool.ray import open_ray_pool

    with open_ray_pool(config, models, most, make_worker, watch) as ray_pool:
        yield ray_pool


def _prepare_ray(*, local: bool) -> None:
    """Settings that Ray reads when it is imported; what the user has set stays."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the dispatcher handles them
    if local and "ray" not in sys.modules:
        # Ray listens on the address of the network card unless it is told that there is no cluster,
        # and keeps its token in the home folder unless it is given one.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
