"""Where jobs run: the protocol of a pool, and the pool that is this process.

A `Ref` stands for a value that may live on another machine. Jobs take refs and give refs, so no
tensor passes through whoever submits them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

import cv2
import torch

from cluster.config import ClusterConfig
from cluster.pool.calls import call
from cluster.pool.costs import Affinity, CostTracker, RowCosts

__all__ = ["Affinity", "LocalPool", "Pool", "Ref", "RowCosts"]

Ref = Any


class Pool(Protocol):
    """Runs the methods of `RenderWorker`."""

    @property
    def num_workers(self) -> int:
        """Return workers that there are or will be: how much work is worth having under way."""
        ...

    @property
    def num_busy(self) -> int:
        """Count the workers that run a job at this moment."""
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

        `persistent`: the results are small (URLs, None) and outlive the worker; other results
        are tensors, which may be lost with a machine and are then made again from the arguments.
        """
        ...

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        """Return the values of refs, for small ones. Raises SonicError if a job failed."""
        ...

    def wait(self, refs: Sequence[Ref]) -> None:
        """Wait until the jobs of refs have run. Raises SonicError if one failed."""
        ...

    def cancel_row(self, order: int) -> None:
        """Forget the jobs of a row that have not begun: it is finished, or has failed."""
        ...

    def pop_costs(self, order: int) -> RowCosts:
        """Return what the jobs of a row have cost since the last call, and forget the row."""
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
