"""A command in a terminal of its own: what it prints, keys that are pressed, what it leaves."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

CTRL_C = b"\x03"
MARK = "SONIC_TEST_RUN"
PATIENCE_S = 600.0
"""How long a busy machine may take to get somewhere."""


class Terminal:
    """The command is the session leader, so that keys reach it and its process group."""

    def __init__(self, *command: str) -> None:
        self.text = ""
        self.mark = uuid4().hex
        self.pid, self._tty = pty.fork()
        if not self.pid:
            os.environ[MARK] = self.mark
            # A terminal starts programs that can be stopped, whatever has started the tests.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.execvp(command[0], command)
        self.status: int | None = None

    def read(self, wait_s: float = 0.05) -> None:
        """Take what the command prints, and its exit status once it has one."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        with suppress(OSError):  # everybody has closed the terminal
            while select.select([self._tty], [], [], wait_s)[0]:
                if not (said := os.read(self._tty, 1 << 16)):
                    break
                self.text += said.decode(errors="replace")

    def wait_until(self, is_true: Callable[["Terminal"], object]) -> None:
        """Wait until something is true of the command."""
        until_s = time.monotonic() + PATIENCE_S
        while not is_true(self):
            assert self.status is None, self.text
            assert time.monotonic() < until_s, self.text
            self.read()

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._tty, key)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Return the exit status of the command; a signal that ended it as a shell gives it."""
        until_s = time.monotonic() + timeout_s
        while self.status is None:
            assert time.monotonic() < until_s, f"after {timeout_s} s: {self.text}"
            self.read()
        self.read()
        return self.status if self.status >= 0 else 128 - self.status

    def processes(self) -> dict[int, str]:
        """Return all processes of the command, wherever they are, with their command lines."""
        found = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes():
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(folder.name)] = line
        return found

    def process(self, words: str) -> int:
        """Return the first process whose command line holds these words."""
        return min(pid for pid, line in self.processes().items() if re.search(words, line))

    def states(self) -> dict[int, str]:
        """Return the state of each process as the system abbreviates it."""
        stats = {pid: Path(f"/proc/{pid}/stat").read_text() for pid in self.processes()}
        return {pid: stat.rpartition(")")[2].split()[0] for pid, stat in stats.items()}

    def close(self) -> None:
        """End everything, and the terminal."""
        while left := self.processes():
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
        os.close(self._tty)


@contextmanager
def terminal(*command: str) -> Iterator[Terminal]:
    """Run a command in a terminal, and leave nothing of it behind."""
    opened = Terminal(*command)
    try:
        yield opened
    finally:
        opened.close()
