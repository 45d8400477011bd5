"""An executor without processes: jobs are run when a test says so, machines end when it says so."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cluster.pool.calls import call
from cluster.pool.dispatcher import Call, Dispatcher, InputLostError, Worker
from cluster.pool.lineage import Ref


class Sums:
    """The jobs."""

    def number(self, value: int) -> int:
        return value

    def add(self, *values: int) -> int:
        return sum(values)

    def both(self, value: int) -> tuple[int, int]:
        return value, -value

    def decode(self, *, low_memory: bool = False) -> str:
        return "low" if low_memory else "high"

    def wrong(self) -> int:
        raise ValueError("this never works")


class Hands:
    """Workers of some machines; what they make is kept by machine, as (machine, place)."""

    def __init__(self, *nodes: str, max_retries: int = 3) -> None:
        self.now_s = 0.0
        self.is_eager = False
        self.calls: dict[Worker, Call] = {}
        self.kept: dict[str, list[Any]] = defaultdict(list)
        self.dispatcher = Dispatcher(self, max_retries=max_retries, clock=lambda: self.now_s)
        self.workers = [self.join(node) for node in nodes]

    def send(self, worker: Worker, call: Call) -> None:
        self.calls[worker] = call

    def fetch(self, handles: Sequence[Any]) -> list[Any]:
        return [self._value(handle) for handle in handles]

    def wake(self) -> None:
        if self.is_eager:
            self.run()

    def submit(self, method: str, *arguments: Any, **options: Any) -> Ref:
        """Submit a job; its first result."""
        return self.dispatcher.submit(method, *arguments, **options)[0]

    def join(self, node: str) -> Worker:
        """A worker more."""
        worker = Worker(node)
        self.dispatcher.join(worker)
        return worker

    def pump(self, passed_s: float = 0.0) -> dict[Worker, tuple[Any, ...]]:
        """Let time pass and send what can be sent; what every worker has to do: method, near."""
        self.now_s += passed_s
        self.dispatcher.pump()
        return {worker: (call.job.method, call.job.affinity) for worker, call in self.calls.items()}

    def finish(self, worker: Worker) -> None:
        """Run what a worker has to do, and report it."""
        sent = self.calls.pop(worker)
        try:
            arguments = [self._value(a) if isinstance(a, tuple) else a for a in sent.arguments]
        except InputLostError:
            self.dispatcher.input_lost(worker, sent.job)
            return
        outcome = call(
            Sums(),
            sent.job.method,
            arguments,
            num_returns=sent.job.num_returns,
            low_memory=sent.low_memory,
        )
        if outcome.error:
            self.dispatcher.failed(worker, sent.job, outcome.error)
            return
        results = outcome.results
        if not sent.job.persistent:
            kept = self.kept[worker.node]
            kept.extend(results)
            first = len(kept) - len(results)
            results = tuple((worker.node, first + index) for index in range(len(results)))
        self.dispatcher.done(worker, sent.job, results, replace(outcome, worker_s=1.0))

    def run(self) -> None:
        """Run all that can be run."""
        while self.pump(passed_s=1.0):
            for worker in list(self.calls):
                self.finish(worker)

    def end(self, worker: Worker, *, out_of_memory: bool = False) -> None:
        """A worker dies."""
        self.calls.pop(worker, None)
        self.dispatcher.lost(worker, out_of_memory=out_of_memory)

    def end_node(self, node: str, *, told: bool = True) -> None:
        """A machine dies; its workers are gone, and what they made."""
        self.kept.pop(node, None)
        for worker in [worker for worker in self.calls if worker.node == node]:
            self.end(worker)
        if told:
            self.dispatcher.lost_node(node)

    def value(self, ref: Ref) -> int:
        """The value of a ref; all that can be run is run for it."""
        self.is_eager = True
        self.run()
        (value,) = self.dispatcher.get([ref])
        self.is_eager = False
        return int(value)

    def _value(self, handle: Any) -> Any:
        if not isinstance(handle, tuple):
            return handle
        node, place = handle
        if place >= len(self.kept.get(node, ())):
            raise InputLostError
        return self.kept[node][place]
