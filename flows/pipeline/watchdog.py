"""Ends a process that would outlive this one: Prefect's temporary server, if this one is killed.

Run as a program, it waits for the end of its input, which is when its parent is gone, however.
"""

import atexit
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

GRACE_S = 5.0


def end_with_us(pid: int) -> None:
    """End the process `pid` when this one ends without having done so itself."""
    program = [sys.executable, "-I", "-S", __file__, str(pid)]
    watchdog = subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True)
    # Who ends in the usual way ends what it has started; its number may be another's by then.
    atexit.register(_dismiss, watchdog)


def _dismiss(watchdog: subprocess.Popen[bytes]) -> None:
    watchdog.kill()
    watchdog.wait()


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        time.sleep(GRACE_S)
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.stdin.read()
    _end(int(sys.argv[1]))
