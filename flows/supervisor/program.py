"""The command line under a supervisor: what its child does before, after, and when told to stop."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from flows.supervisor.channel import notify_supervisor, open_channel

_stopped_by: list[int] = []


def run(command: Callable[[], None], pipe: int, *, only_results: bool) -> None:
    """Run the command line in a session of its own, and tell the supervisor its exit status."""
    os.setsid()
    for number in (signal.SIGTSTP, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    _leave_errors_to_python()
    open_channel(pipe, only_results=only_results)
    notify_supervisor(ready=True)
    status: object = 1
    try:
        command()
    except SystemExit as ended:
        status = ended.code or 0
        raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        if _stopped_by:  # threads may be at work for minutes; the supervisor ends what is left
            notify_supervisor(stopped_by=_stopped_by[0])
            os._exit(128 + _stopped_by[0])
        notify_supervisor(status=status if isinstance(status, int) else 1)


def _leave_errors_to_python() -> None:
    """Let only Python write to standard error.

    The C++ of Ray prints its log and a trace there when it ends the program, because a cluster has
    lost its head. The logs of Ray have both, and the supervisor says so in a sentence.
    """
    with suppress(OSError):  # it may be closed
        kept = os.dup(2)
        os.set_inheritable(kept, False)
        sys.stderr = os.fdopen(kept, "w", 1, errors="backslashreplace")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _stop(number: int, _frame: FrameType | None) -> None:
    """Interrupt the main thread once; nobody needs to read what breaks on the way out."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_IGN)
    _stopped_by.append(number)
    with suppress(AttributeError, OSError, ValueError):  # there may be none
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    raise KeyboardInterrupt
