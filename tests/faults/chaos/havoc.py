"""What goes wrong, in an order and at moments that a seed decides."""

import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.chaos.command import Command
from tests.faults.chaos.nodes import Cluster, Node, send
from tests.faults.chaos.store import Proxy
from tests.faults.chaos.wire import Wire

GAP_S: Final = 5.0
"""The mean time between two faults."""
LONGEST_S: Final = 9.0
"""How long a fault lasts that ends by itself, at most."""
JUMP_S: Final = 3600
ROOM_BYTES: Final = 1 << 20
"""What a worker may still take of memory when its limit is set."""

Undo = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Stage:
    """What can be broken."""

    cluster: Cluster
    wire: Wire
    store: Proxy
    command: Command


def _signal(found: list[int], number: int) -> Undo | None:
    """Send a signal to the first of some processes; what was stopped continues later."""
    if not found or not send(found[0], number):
        return None
    return lambda: send(found[0], signal.SIGCONT) if number == signal.SIGSTOP else None


def _degraded(stage: Stage, *, loss: float = 0, delay_s: float = 0, doubled: float = 0) -> Undo:
    stage.wire.degrade(loss=loss, delay_s=delay_s, doubled=doubled)
    return stage.wire.degrade


def _cut(stage: Stage, node: Node) -> Undo:
    stage.wire.degrade(cut=node.number)
    return stage.wire.degrade


def _break_store(stage: Stage) -> Undo:
    stage.store.share = 0.3

    def mend() -> None:
        stage.store.share = 0.0

    return mend


def _set_clock(node: Node, offset_s: int) -> Undo | None:
    """Let the clock of a node jump; it is set right later, which is a jump too."""
    if not node.clock.can_be_set:
        return None
    node.clock.set(offset_s)
    return lambda: node.clock.set(0)


def _fill(node: Node) -> Undo:
    """Leave no room on the disk of a node."""
    ballast = node.disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    return lambda: ballast.unlink(missing_ok=True)


def _limit(found: list[int]) -> Undo | None:
    """Give a worker no more memory than it has, and little more."""
    for pid in found[:1]:
        with suppress(OSError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + ROOM_BYTES
            resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
            return lambda: None
    return None


_KILL, _STOP = signal.SIGKILL, signal.SIGSTOP


def _head(stage: Stage) -> list[int]:
    return stage.cluster.nodes[0].processes("gcs_server ")


Begin = Callable[[Stage, Node], Undo | None]
"""Lets something go wrong; what ends it, or None if there is nothing that could."""

FAULTS: Final[dict[str, tuple[int, Begin]]] = {
    "worker killed": (4, lambda _, node: _signal(node.workers(), _KILL)),
    "worker stopped": (3, lambda _, node: _signal(node.workers(), _STOP)),
    "worker out of memory": (3, lambda _, node: _limit(node.workers())),
    "raylet and object store killed": (2, lambda _, node: _signal(node.raylet(), _KILL)),
    "raylet and object store stopped": (2, lambda _, node: _signal(node.raylet(), _STOP)),
    "head killed": (1, lambda stage, _: _signal(_head(stage), _KILL)),
    "program killed": (1, lambda stage, _: _signal(stage.command.program(), _KILL)),
    "command killed": (1, lambda stage, _: _signal(stage.command.supervisor(), _KILL)),
    "program stopped": (1, lambda stage, _: _signal(stage.command.program(), _STOP)),
    "Prefect killed": (1, lambda stage, _: _signal(stage.command.prefect(), _KILL)),
    "packets lost": (2, lambda stage, _: _degraded(stage, loss=0.2)),
    "packets late": (2, lambda stage, _: _degraded(stage, delay_s=0.3)),
    "packets doubled": (1, lambda stage, _: _degraded(stage, doubled=0.3)),
    "node cut off": (2, _cut),
    "store fails": (5, lambda stage, _: _break_store(stage)),
    "disk full": (3, lambda _, node: _fill(node)),
    "clock ahead": (2, lambda _, node: _set_clock(node, JUMP_S)),
    "clock behind": (2, lambda _, node: _set_clock(node, -JUMP_S)),
}
"""How often each fault is chosen, against the others, and how it begins."""


class Havoc:
    """Lets things go wrong, one after the other; those that last overlap."""

    def __init__(self, stage: Stage, chance: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._stage, self._chance = stage, chance
        self._undo: list[tuple[float, Undo]] = []
        self._next_s = time.monotonic() + self._gap_s()

    def _gap_s(self) -> float:
        return min(self._chance.expovariate(1 / GAP_S), 4 * GAP_S)

    def look(self) -> str | None:
        """Do what is due; the fault that has begun."""
        now_s = time.monotonic()
        for due in [due for due in self._undo if due[0] <= now_s]:
            self._undo.remove(due)
            due[1]()
        if now_s < self._next_s:
            return None
        # The same numbers are drawn whatever there is to break: a seed repeats its faults.
        shares = [share for share, _ in FAULTS.values()]
        (name,) = self._chance.choices([*FAULTS], shares)
        node = self._chance.choice(self._stage.cluster.nodes)
        until_s = now_s + self._chance.uniform(1, LONGEST_S)
        self._next_s = now_s + self._gap_s()
        undo = FAULTS[name][1](self._stage, node)
        if undo is None:
            return None
        self._undo.append((until_s, undo))
        self.counts[name] += 1
        return f"{name} (node {node.number})"

    def end(self) -> None:
        """End what still goes wrong."""
        while self._undo:
            self._undo.pop()[1]()
