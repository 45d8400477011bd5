"""`sonic render` of a manifest, begun again until every row is finished."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.chaos.nodes import command_line, environ, pids

_MARK = "SONIC_CHAOS_COMMAND"
_FOREIGN = re.compile(r"Traceback|StackTrace|\(raylet\)|\.cc:\d")
_AGAIN = re.compile(r"run again because workers were lost: ([^;\"]*)")


class Command:
    """A command line, and the processes of its last run."""

    def __init__(self, arguments: Sequence[str], env: dict[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "flows", *arguments]
        self._env, self._log = os.environ | env | {_MARK: log.name}, log
        self._process: subprocess.Popen[bytes] | None = None
        self.num_runs = 0

    def start(self) -> None:
        """Run it, or run it again."""
        self.num_runs += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll() if self._process else None

    def wait_for_helpers(self, timeout_s: float) -> list[str]:
        """Wait until no process of it is left; those that are still there after that time."""
        until_s = time.monotonic() + timeout_s
        while (left := self._processes("")) and time.monotonic() < until_s:
            time.sleep(0.1)
        return [command_line(pid) for pid in left]

    def supervisor(self) -> list[int]:
        return [self._process.pid] if self._process and self.status() is None else []

    def program(self) -> list[int]:
        """What renders: the child of the supervisor with the same command line."""
        return [pid for pid in self._processes("-m flows render") if [pid] != self.supervisor()]

    def prefect(self) -> list[int]:
        return self._processes("prefect.server")

    def _processes(self, words: str) -> list[int]:
        mark = f"{_MARK}={self._log.name}".encode()
        return [pid for pid in pids() if words in command_line(pid) and mark in environ(pid)]

    def text(self) -> str:
        """Everything it has said in all its runs."""
        return self._log.read_text("utf-8", "replace")

    def foreign_lines(self) -> list[str]:
        """What was printed that is nobody's sentence: of Ray's C++, or a traceback."""
        return [line for line in self.text().splitlines() if _FOREIGN.search(line)]

    def num_ended(self) -> int:
        """Rows that have ended, as all its runs have said."""
        return self.text().count('"row-ended"')

    def num_jobs_again(self) -> int:
        """Jobs that were run again because their workers were lost."""
        counted = _AGAIN.findall(self.text())
        return sum(int(number) for jobs in counted for number in re.findall(r"(\d+) x", jobs))
