"""Find and end the processes that descend from one. On Linux, none can escape from its owner."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PAUSE_S = 0.02


def own_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_running(pid: int) -> bool:
    """Tell whether a process exists and has not ended."""
    return any(known == pid and state != "Z" for known, _, state in _listed(pid))


def child_running(parent: int, program: str) -> int | None:
    """Return the child whose command line holds these words."""
    for pid in _children(parent):
        if program in _command(pid):
            return pid
    return None


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, those that they have started, and so on."""
    children: dict[int, list[int]] = {}
    for child, parent, _ in _listed():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found[1:]


def send(number: int, pids: list[int]) -> None:
    """Send a signal to each of these processes that still exists."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap() -> dict[int, int]:
    """Collect the exit codes of the children that have ended; of a signal, its negative number."""
    ended = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = os.waitstatus_to_exitcode(found[1])
    return ended


def end_descendants(timeout_s: float) -> None:
    """Kill everything that this process has started, and wait until it is gone."""
    until_s = time.monotonic() + timeout_s
    known: set[int] = set()
    while time.monotonic() < until_s:
        reap()
        known.update(descendants(os.getpid()))
        known = {pid for pid in known if is_running(pid)}
        if not known:
            return
        send(signal.SIGKILL, sorted(known))
        time.sleep(_PAUSE_S)


def _children(parent: int) -> list[int]:
    """Return the children of a process; on Linux without a look at all processes."""
    lists = [*Path(f"/proc/{parent}/task").glob("*/children")]
    if not lists:
        return [pid for pid, its_parent, _ in _listed() if its_parent == parent]
    children = []
    for path in lists:
        with suppress(OSError):  # a thread that has ended
            children += [int(pid) for pid in path.read_text().split()]
    return children


def _command(pid: int) -> str:
    """Return the command line of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    command = ["ps", "-p", str(pid), "-o", "args="]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout


def _listed(pid: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Yield process, parent and state of all processes, or of one."""
    if not Path("/proc/self/stat").exists():
        yield from _listed_by_ps(pid)
        return
    for name in [str(pid)] if pid else [path.name for path in Path("/proc").iterdir()]:
        # The command in parentheses may hold spaces and parentheses itself.
        with suppress(OSError, ValueError):
            stat = Path(f"/proc/{int(name)}/stat").read_text(errors="replace")
            state, parent, *_ = stat.rpartition(")")[2].split()
            yield int(name), int(parent), state


def _listed_by_ps(pid: int | None) -> Iterator[tuple[int, int, str]]:
    of_whom = ["-p", str(pid)] if pid else ["-A"]
    command = ["ps", *of_whom, "-o", "pid=,ppid=,stat="]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    for line in listed.splitlines():
        process, parent, state = line.split()
        yield int(process), int(parent), state[0]
