"""A pool in virtual time: the real planner and dispatcher, and jobs that only take so long.

The clock moves when every row waits, so what comes out does not depend on the machine.
"""

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Condition
from typing import Any

from cluster.pool.dispatcher import Call, Dispatcher, Worker
from cluster.pool.lineage import Job, Ref

ROUND_TRIP_S = 0.003
"""From the end of a job to the beginning of the next one of its worker."""


class VirtualPool:
    """Workers of different speeds; `cost_s` says what a job takes at speed 1."""

    def __init__(self, speeds: Sequence[float], cost_s: Callable[[Call], float]) -> None:
        self.now_s = self.worked_s = 0.0
        self.num_workers = len(speeds)
        self._cost_s = cost_s
        self._dispatcher = Dispatcher(self, max_retries=0, clock=lambda: self.now_s)
        self.submit = self._dispatcher.submit
        self.cancel_row, self.pop_costs = self._dispatcher.cancel_row, self._dispatcher.pop_costs
        self.workers = [Worker("somewhere") for _ in speeds]
        self._speeds = dict(zip(self.workers, speeds, strict=True))
        self._ends: list[tuple[float, int, Worker, Job]] = []
        self._numbers = count()
        self._changed = Condition()
        self._waiting: list[list[Ref]] = []
        self._num_active = 0
        for worker in self.workers:
            self._dispatcher.join(worker)

    @property
    def num_busy(self) -> int:
        return self._dispatcher.num_busy

    @property
    def efficiency(self) -> float:
        """What the jobs took, over what the workers could have done."""
        return self.worked_s / (self.now_s * sum(self._speeds.values()))

    def render(self, rows: Sequence[Callable[[], object]], rows_in_flight: int) -> None:
        """Run rows, so many at a time."""
        self._num_active = rows_in_flight
        left = iter(rows)
        with ThreadPoolExecutor(rows_in_flight) as threads:
            for ended in [threads.submit(self._some, left) for _ in range(rows_in_flight)]:
                ended.result()

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        self.wait(refs)
        return self._dispatcher.get(refs)

    def wait(self, refs: Sequence[Ref]) -> None:
        mine = list(refs)
        with self._changed:
            self._waiting.append(mine)
            self._num_active -= 1
            self._release()
            while any(mine is waiting for waiting in self._waiting):
                if self._num_active:
                    self._changed.wait()
                else:
                    self._advance()
                    self._release()

    def send(self, worker: Worker, call: Call) -> None:
        cost_s = self._cost_s(call)
        self.worked_s += cost_s
        ends_s = self.now_s + ROUND_TRIP_S + cost_s / self._speeds[worker]
        heapq.heappush(self._ends, (ends_s, next(self._numbers), worker, call.job))

    def fetch(self, handles: Sequence[Any]) -> list[Any]:
        return list(handles)

    def wake(self) -> None:
        pass

    def _some(self, left: Any) -> None:
        """Run rows as long as there are any."""
        while True:
            with self._changed:
                row = next(left, None)
                if row is None:
                    self._num_active -= 1
                    self._changed.notify_all()
                    return
            row()

    def _advance(self) -> None:
        """Go on to the next moment at which something happens."""
        pause_s = self._dispatcher.pump()
        assert self._ends, "all rows wait, and no job is under way"
        if pause_s is not None and self.now_s + pause_s < self._ends[0][0]:
            self.now_s += pause_s
            return
        self.now_s, _, worker, job = heapq.heappop(self._ends)
        self._dispatcher.done(worker, job, (None,) * job.num_returns)

    def _release(self) -> None:
        """Let those go on whose jobs have run."""
        for waiting in list(self._waiting):
            if all(ref.job.has_run for ref in waiting):
                self._waiting = [other for other in self._waiting if other is not waiting]
                self._num_active += 1
        self._changed.notify_all()
