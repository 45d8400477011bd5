"""Ends a process that would outlive this one, however this one ends.

Run as a program, it waits for the end of its input, which is when its parent is gone.
"""

import atexit
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

GRACE_S = 5.0


def end_with_us(pid: int, grace_s: float = GRACE_S) -> subprocess.Popen[bytes]:
    """End the process `pid` when this one ends without having done so itself.

    If it leads a process group, all of the group ends: what it has just started nobody else knows.
    `grace_s` is how long it may take to end on its own.
    """
    program = [sys.executable, "-I", "-S", __file__, str(pid), str(grace_s)]
    watchdog = subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True)
    # A process that ends in the usual way ends what it started; that number may be reused by then.
    atexit.register(dismiss, watchdog)
    return watchdog


def dismiss(watchdog: subprocess.Popen[bytes]) -> None:
    """Let a process live, because it has ended already."""
    watchdog.kill()
    watchdog.wait()


def _end(pid: int, grace_s: float) -> None:
    if grace_s:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            time.sleep(grace_s)
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.read()
    _end(int(sys.argv[1]), float(sys.argv[2]))
