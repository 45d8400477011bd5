"""What runs in the process of a worker. Knows nothing of Ray."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cluster.pool.calls import MakeWorker, Outcome, call
from sonic_ops.core.config import ModelsConfig


class WorkerActor:
    """A worker and its calls; it answers pings while a job runs."""

    def __init__(
        self, make_worker: MakeWorker, models: ModelsConfig, node: Callable[[], str]
    ) -> None:
        self._make_worker = make_worker
        self._models = models
        self._node = node
        self._worker: Any = None

    def begin(self) -> tuple[Outcome, str, int]:
        """Load the weights: the kind of processor as the outcome, the node, the process."""
        return call(self, "load", ()), self._node(), os.getpid()

    def load(self) -> str:
        """Make the worker and load its weights; its kind of processor. Raises ConfigError."""
        self._worker = self._make_worker(self._models)
        return str(self._worker.load())

    def run(
        self, method: str, num_returns: int, persistent: bool, low_memory: bool, *arguments: Any
    ) -> Any:
        """Run a job: its outcome, then its results. A persistent job has them in the outcome."""
        outcome = call(
            self._worker, method, arguments, num_returns=num_returns, low_memory=low_memory
        )
        if persistent:
            return outcome
        return replace(outcome, results=()), *(outcome.results or [None] * num_returns)

    def ping(self) -> None:
        """Answer."""
