"""The network between the nodes: a process that loses, delays and doubles their packets.

Each node has a TUN device, and every packet between two nodes passes through here. Kernels without
`netem` can do this, too. What a node sends to itself never comes here.
"""

import fcntl
import heapq
import itertools
import multiprocessing
import os
import random
import select
import struct
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

SUBNET = "10.77.0"
MTU = 9000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LOSS, _DELAY_S, _DOUBLED, _CUT, _NUM_LOST, _NUM_DELAYED, _NUM_DOUBLED = range(7)
_UNCUT = -1.0


def address_of(node: int) -> str:
    """The address of a node on the wire."""
    return f"{SUBNET}.{node + 1}"


class Wire:
    """Nodes in network namespaces of their own, `node1` and on; node 0 is in that of the caller."""

    def __init__(self, num_nodes: int, seed: str) -> None:
        self._state = multiprocessing.Array("d", [0, 0, 0, _UNCUT, 0, 0, 0])
        ends = [_tun(node) for node in range(num_nodes)]
        fork = multiprocessing.get_context("fork")
        self._process = fork.Process(target=_carry, args=(ends, self._state, seed), daemon=True)
        self._process.start()
        for end in ends:
            os.close(end)

    def degrade(
        self, *, loss: float = 0.0, delay_s: float = 0.0, doubled: float = 0.0, cut: int = -1
    ) -> None:
        """Treat packets so from now on: shares of all, the longest delay, a node that is cut."""
        self._state[_LOSS], self._state[_DELAY_S], self._state[_DOUBLED] = loss, delay_s, doubled
        self._state[_CUT] = cut

    def counts(self) -> dict[str, int]:
        """Packets so far that were lost, delayed and doubled."""
        lost, delayed, doubled = self._state[_NUM_LOST : _NUM_DOUBLED + 1]
        return {"lost": int(lost), "delayed": int(delayed), "doubled": int(doubled)}


def _tun(node: int) -> int:
    """Make the device of a node, with its address; what reads and writes its packets."""
    name, end = f"wire{node}", os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22s", name.encode(), _IFF_TUN | _IFF_NO_PI, b""))
    inside = []
    if node:
        space = f"node{node}"
        _ip("netns", "add", space)
        _ip("link", "set", name, "netns", space)
        inside = ["-n", space]
        _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{address_of(node)}/24", "dev", name)
    _ip(*inside, "link", "set", name, "mtu", str(MTU), "up")
    return end


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _carry(ends: Sequence[int], state: Any, seed: str) -> None:
    """Bring each packet to the node that it is for, or not, for ever."""
    chance, order = random.Random(seed), itertools.count()
    held: list[tuple[float, int, int, bytes]] = []  # by when they are due
    while True:
        wait_s = max(held[0][0] - time.monotonic(), 0) if held else 1.0
        for end in select.select(ends, [], [], wait_s)[0]:
            packet = os.read(end, 1 << 16)
            target = packet[19] - 1 if len(packet) >= 20 and packet[0] >> 4 == 4 else -1
            if not 0 <= target < len(ends):
                continue
            for delay_s in _fate(state, chance, {target, ends.index(end)}):
                due = (time.monotonic() + delay_s, next(order), ends[target], packet)
                heapq.heappush(held, due)
        while held and held[0][0] <= time.monotonic():
            *_, end, packet = heapq.heappop(held)
            with suppress(OSError):  # the queue of the device is full: lost, as on any wire
                os.write(end, packet)


def _fate(state: Any, chance: random.Random, nodes: set[int]) -> list[float]:
    """How late each copy of a packet arrives; none of a lost one. Counts what is done to it."""
    if state[_CUT] in nodes or chance.random() < state[_LOSS]:
        state[_NUM_LOST] += 1
        return []
    delays = [chance.random() * state[_DELAY_S]]
    state[_NUM_DELAYED] += bool(state[_DELAY_S])
    if chance.random() < state[_DOUBLED]:
        state[_NUM_DOUBLED] += 1
        delays.append(delays[0] + 0.01)
    return delays
