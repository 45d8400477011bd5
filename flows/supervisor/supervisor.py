"""Run the program in a child, answer signals for it, and decide how the command ends.

The child has a session of its own, so a terminal's Ctrl-C reaches only this process. It asks the
child to stop, waits a moment, and kills whatever is left: files are written so that a kill loses
no finished work. If Ray or Prefect's temporary server dies, the child is started again.
"""

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

from flows.supervisor.processes import (
    child_running,
    descendants,
    end_descendants,
    is_running,
    own_orphans,
    reap,
    send,
)
from flows.supervisor.watchdog import dismiss, end_with_us
from sonic_ops.core.scratch import remove_abandoned

GRACE_S = 3.0
"""How long the program may write its results after the first Ctrl-C."""

ENDING_S = 15.0
"""How long a program that has finished may take to end its own processes."""

KILL_S = 5.0
MOST_RESTARTS = 3
"""How often the program is started again before another row is finished."""

_ONE_PRESS_S = 0.3  # a signal to a process and to its group is one press
_LOOK_S = 0.1
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CONTINUE = "Run the same command to continue."


@dataclass(slots=True)
class Reports:
    """What the program has said so far; `num_unfinished` is known once its rows are."""

    is_ready: bool = False
    is_json: bool = False
    is_server: bool = False
    num_unfinished: int | None = None
    num_ended: int = 0
    status: int | None = None
    stopped_by: int | None = None
    lost: str | None = None
    helpers: dict[str, dict[str, int | None]] = field(default_factory=dict)
    """The processes of a helper, by parts of their command lines, once they have been seen."""

    def take(self, line: bytes) -> None:
        """Take in a line of the channel."""
        facts = json.loads(line)
        self.is_ready = True
        self.is_json = facts.get("json", self.is_json)
        self.is_server = facts.get("server", self.is_server)
        self.num_unfinished = facts.get("planned", self.num_unfinished)
        self.status = facts.get("status", self.status)
        self.stopped_by = facts.get("stopped_by", self.stopped_by)
        self.lost = facts.get("lost", self.lost)
        if "ended" in facts and self.num_unfinished:
            self.num_unfinished -= 1
            self.num_ended += 1
        if "watch" in facts:
            self.helpers[facts["watch"]] = dict.fromkeys(facts["programs"])

    def lost_helper(self, child: int) -> str | None:
        """Return the name of a helper that the program started, and that has died."""
        for name, processes in self.helpers.items():
            for program, pid in processes.items():
                if pid is None:
                    processes[program] = child_running(child, program)
                elif not is_running(pid):
                    return name
        return self.lost


class Supervisor:
    """Watches one program after the other until the command has its exit status."""

    def __init__(self) -> None:
        self.only_results = False
        self._presses: list[tuple[float, int]] = []
        self._num_losses = 0
        own_orphans()
        for number in _STOPS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and `&` in a script ask for
                signal.signal(number, self._on_signal)
        if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
            signal.signal(signal.SIGTSTP, self._suspend)

    def watch(self, child: int, pipe: int) -> int | None:
        """Wait for the end of the program; the exit status of the command, or None to go on."""
        reports, watchdog = Reports(), end_with_us(child, grace_s=0)
        try:
            code, lost = self._wait(child, pipe, reports)
        finally:
            os.close(pipe)
            dismiss(watchdog)
            end_descendants(KILL_S)
            remove_abandoned()
        return self._decide(reports, code, lost)

    def _wait(self, child: int, pipe: int, reports: Reports) -> tuple[int | None, str | None]:
        """Return the exit code of the program if it has ended, and the helper that has died."""
        until_s, is_stopping, rest = float("inf"), False, b""
        while time.monotonic() < until_s:
            rest = _read(pipe, rest, reports, _LOOK_S)
            if (code := reap().get(child)) is not None:
                _read(pipe, rest, reports, 0)
                # Ray ends a program that has lost it, perhaps before the loss is seen here.
                return code, None if code == -signal.SIGKILL else reports.lost_helper(child)
            if len(self._presses) > 1 or (self._presses and not reports.is_ready):
                break
            if self._presses and not is_stopping:
                is_stopping, until_s = True, time.monotonic() + GRACE_S
                send(signal.SIGINT, [child])
            elif reports.status is not None and until_s == float("inf"):
                until_s = time.monotonic() + ENDING_S
            elif (
                not is_stopping and reports.status is None and (lost := reports.lost_helper(child))
            ):
                return None, lost
        return None, None

    def _decide(self, reports: Reports, code: int | None, lost: str | None) -> int | None:
        """Say how the program ended unless it did so itself; the exit status, or None to go on."""
        if reports.status is not None:
            return max(reports.status, 1) if self.only_results else reports.status
        if self._presses or reports.stopped_by:
            _say(last_line(reports), reports, "stopped")
            return 128 + (self._presses[0][1] if self._presses else reports.stopped_by or 0)
        if self.only_results:
            return 1
        if lost:
            self._num_losses = 1 if reports.num_ended else self._num_losses + 1
        if lost and self._num_losses <= MOST_RESTARTS:
            _say(f"{lost} stopped unexpectedly; the program continues where it was.", reports)
            return None
        _say(f"sonic: {_what_happened(code, lost)} {_CONTINUE}", reports)
        if reports.num_unfinished is None or reports.is_server:
            return 1
        self.only_results = True
        return None

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if not self._presses or now_s - self._presses[-1][0] > _ONE_PRESS_S:
            self._presses.append((now_s, number))

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Stop with everything on Ctrl-Z, and continue with everything."""
        everything = descendants(os.getpid())
        send(signal.SIGSTOP, everything)
        os.kill(os.getpid(), signal.SIGSTOP)
        send(signal.SIGCONT, everything)


def _read(pipe: int, rest: bytes, reports: Reports, wait_s: float) -> bytes:
    """Take in what the program has said; the beginning of a line that is not complete."""
    if not select.select([pipe], [], [], wait_s)[0]:
        return rest
    if not (said := os.read(pipe, 1 << 16)):
        time.sleep(wait_s / 10)  # the program is ending
        return rest
    *lines, rest = (rest + said).split(b"\n")
    for line in lines:
        reports.take(line)
    return rest


def last_line(reports: Reports) -> str:
    """Return the last line of a command that was stopped."""
    if reports.is_server:
        return "Stopped."
    if reports.num_unfinished is None:
        return f"Stopped. {_CONTINUE}"
    if not reports.num_unfinished:
        return f"Stopped: all rows have ended. {_CONTINUE}"
    rows = f"{reports.num_unfinished:,} row{'s' * (reports.num_unfinished != 1)}"
    return f"Stopped: {rows} unfinished. {_CONTINUE}"


def _what_happened(code: int | None, lost: str | None) -> str:
    """Return in a sentence why the program cannot go on."""
    if lost:
        return f"{lost} stopped unexpectedly {MOST_RESTARTS + 1} times; finished rows are kept."
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = ", perhaps because the machine ran out of memory" * (code == -signal.SIGKILL)
        return f"the program was ended by {name}{why}; finished rows are kept."
    return "the program ended because Ray did, on this machine or in its cluster."


def _say(text: str, reports: Reports, event: str = "problem") -> None:
    """Print a line in the form that the program has; it begins below what was drawn."""
    with suppress(OSError):  # the terminal may be gone
        if reports.is_json:
            print(json.dumps({"event": event, "text": text}), flush=True)
            return
        for stream in (sys.stderr, sys.stdout):
            if stream.isatty():  # where the table was drawn; the cursor may be hidden
                print("\r\x1b[J\x1b[?25h", end="", file=stream, flush=True)
                break
        print(text, file=sys.stderr, flush=True)
