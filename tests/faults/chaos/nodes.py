"""Three nodes of Ray on one wire, and whoever looks after them: starts again what has died."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.faults.chaos.clocks import Clock
from tests.faults.chaos.wire import address_of

PORT = 6399
NUM_NODES = 3
DISK_BYTES = 64 << 20
"""The disk of temporary files of a node."""
NOTICED_S = 3.0
"""How long a node is dead before it is started again."""
START_S = 300.0
_MARK = "SONIC_CHAOS_NODE"
_EQUAL = {"RAY_worker_niceness": "0"}
"""Ray lets workers go last, which on a machine with other work is never."""


def environ(pid: int) -> bytes:
    """The environment that a process was started with; none if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def command_line(pid: int) -> str:
    """The command line of a process; none if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


def pids() -> Iterator[int]:
    """All processes of this machine, in order."""
    yield from sorted(
        int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()
    )


def send(pid: int, number: int) -> bool:
    """Send a signal; whether there was such a process."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


class Node:
    """One node: a worker finds room on it."""

    def __init__(self, number: int, folder: Path) -> None:
        self.number, self.disk = number, folder / f"disk{number}"
        self.clock = Clock(number, folder)
        self._log = folder / f"node{number}.log"
        self._starting: subprocess.Popen[bytes] | None = None
        self._dead_s: float | None = None
        self.disk.mkdir()
        size = f"size={DISK_BYTES}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "disk", str(self.disk)], check=True)

    def processes(self, words: str) -> list[int]:
        """Its processes whose command line holds these words."""
        mark = f"{_MARK}={self.number}".encode()
        return [pid for pid in pids() if words in command_line(pid) and mark in environ(pid)]

    def raylet(self) -> list[int]:
        return self.processes("raylet/raylet ")

    def workers(self) -> list[int]:
        return self.processes("ray::WorkerActor")

    def start(self) -> None:
        """Begin to start it, after the end of everything that is left of it."""
        self.end()
        here, head = address_of(self.number), f"{address_of(0)}:{PORT}"
        command = ["ray", "start", f"--node-ip-address={here}", "--num-cpus=1"]
        command += ["--disable-usage-stats", f"--object-store-memory={100 << 20}"]
        if self.number:
            space = ["ip", "netns", "exec", f"node{self.number}"]
            command = [*space, *command, f"--address={head}"]
        else:
            command += ["--head", f"--port={PORT}", "--include-dashboard=false"]
        env = os.environ | {_MARK: str(self.number), "TMPDIR": str(self.disk)}
        env |= _EQUAL | self.clock.env()
        with self._log.open("ab") as log:
            self._starting = subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def end(self) -> None:
        """Kill everything of it."""
        while left := self.processes(""):
            for pid in left:
                send(pid, signal.SIGKILL)
            if self._starting:
                self._starting.poll()
            time.sleep(0.05)
        self._starting = self._dead_s = None

    def is_up(self) -> bool:
        """Whether it works, as far as its processes show; it is not while it starts."""
        needed = [self.raylet(), *([] if self.number else [self.processes("gcs_server ")])]
        return self._starting is None and all(needed)

    def look(self) -> bool:
        """Whether it needs to be started: it has been dead for a while."""
        if self._starting is not None:
            if self._starting.poll() is None:
                return False
            self._starting = None
        if self.is_up():
            self._dead_s = None
            return False
        self._dead_s = self._dead_s or time.monotonic()
        return time.monotonic() - self._dead_s > NOTICED_S


class Cluster:
    """All nodes; the first one is the head, without which no other lives."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node(number, folder) for number in range(NUM_NODES)]
        self.num_restarts = 0

    def start(self) -> None:
        """Start all, and wait for them. Raises TimeoutError."""
        until_s = time.monotonic() + START_S
        while not all(node.is_up() for node in self.nodes):
            if time.monotonic() > until_s:
                raise TimeoutError("the nodes of Ray did not start")
            self.look_after()
            time.sleep(0.2)
        self.num_restarts = 0

    def look_after(self) -> None:
        """Start again what has died."""
        head, *others = self.nodes
        if head.look():
            self.num_restarts += 1
            for node in others:
                node.end()
            head.start()
        elif head.is_up():
            for node in others:
                if node.look():
                    self.num_restarts += 1
                    node.start()

    def workers(self) -> list[int]:
        """The processes of all workers."""
        return [pid for node in self.nodes for pid in node.workers()]
