"""Where rows in flight stand: stage, step k of n, frames decoded, time left; in lines, or in JSON.

The table that moves is in `watch.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Protocol

from flows.console.terminal import Terminal
from flows.console.units import clock
from flows.rows.planned import PlannedRow
from flows.state.results import FINISHED, RowResult
from sonic_ops.core.constants import FAILED, LOOK, READY, VERDICTS

FIRST_GUESS = 0.08
"""The share of a row after which its time left is said: a first step has been timed by then."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage as the user reads it, and its usual share of the time of a row."""

    label: str
    share: float
    counted: bool = True


STAGES = {
    "sound": Stage("decoding audio", 0.01, counted=False),
    "portrait": Stage("preparing portrait", 0.01, counted=False),
    "encode audio": Stage("encoding audio, chunk", 0.03),
    "denoise": Stage("denoising, step", 0.75),
    "decode": Stage("decoding", 0.18, counted=False),
    "finish": Stage("finishing", 0.02, counted=False),
}


class RowClock:
    """Where a row stands, and how long it may still take."""

    def __init__(self, planned: PlannedRow) -> None:
        self.planned = planned
        self.started = time.monotonic()
        self.stage, self.done, self.total = "sound", 0, 1
        self.frames_decoded, self.num_frames = 0, planned.plan.num_frames

    def update(self, stage: str, done: int, total: int) -> bool:
        """Note what a stage has done; whether a stage has begun with it."""
        begins = stage != self.stage
        self.stage, self.done, self.total = stage, done, max(total, 1)
        if stage == "decode":  # of a film it is known only now how many there are
            self.frames_decoded, self.num_frames = done, total
        return begins

    @property
    def fraction(self) -> float:
        """Return the share of the row's time that has passed, by the usual shares of its stages."""
        names = list(STAGES)
        before = sum(STAGES[name].share for name in names[: names.index(self.stage)])
        return before + STAGES[self.stage].share * min(self.done / self.total, 1.0)

    def text(self) -> str:
        """Describe the progress of the row, without its name."""
        frames = f"{self.frames_decoded} of {self.num_frames} frames decoded"
        stage = STAGES[self.stage]
        count = f" {self.done} of {self.total}" if stage.counted else ""
        return f"{stage.label}{count}, {frames}"

    def time_left(self) -> str:
        """Describe the time left; empty while it is unknown."""
        return time_left(time.monotonic() - self.started, self.fraction)


def time_left(elapsed_s: float, fraction: float) -> str:
    """Estimate the time left from the time spent; empty if it is too early."""
    if fraction < FIRST_GUESS:
        return ""
    return f"about {clock(elapsed_s * (1 - fraction) / fraction)} left"


class Reporter(Protocol):
    """Shows rows as they are rendered; called from several threads."""

    def start(self, planned: PlannedRow) -> None:
        """Report that a row starts."""

    def advance(self, row_id: str, stage: str, done: int, total: int) -> None:
        """Report that a stage has finished `done` of `total`."""

    def say(self, text: str) -> None:
        """Say what is good to know."""

    def finish(self, result: RowResult) -> None:
        """Report that a row has ended."""


class LineReporter:
    """A line when a stage begins, and every few seconds; a JSON object where that is the form."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lock = Lock()
        self._clocks: dict[str, RowClock] = {}
        self._said_at: dict[str, float] = {}

    def start(self, planned: PlannedRow) -> None:
        """Report that a row starts."""
        with self._lock:
            self._clocks[planned.row.id] = RowClock(planned)
            if self._terminal.form == "json-lines":
                plan = asdict(planned.plan)
                self._terminal.emit("row-started", id=planned.row.id, plan=plan)
            else:
                self._terminal.say(f"{planned.row.id}: starts")

    def advance(self, row_id: str, stage: str, done: int, total: int) -> None:
        """Say where the row stands, unless that was said a moment ago."""
        with self._lock:
            row, now = self._clocks[row_id], time.monotonic()
            begins = row.update(stage, done, total)
            if begins or now - self._said_at.get(row_id, 0.0) >= self._terminal.every_s:
                self._said_at[row_id] = now
                self._say(row_id, row)

    def say(self, text: str) -> None:
        """Say what is good to know."""
        self._terminal.say(text)

    def finish(self, result: RowResult) -> None:
        """Say what became of the row."""
        with self._lock:
            self._clocks.pop(result.id)
            self._said_at.pop(result.id, None)
            say_outcome(result, self._terminal)

    def _say(self, row_id: str, row: RowClock) -> None:
        text = ", ".join(part for part in (row.text(), row.time_left()) if part)
        if self._terminal.form == "json-lines":
            stands = {"stage": row.stage, "done": row.done, "total": row.total}
            share = round(row.fraction, 4)
            self._terminal.emit("row", id=row_id, **stands, share=share, text=text)
        else:
            self._terminal.say(f"{row_id}: {text}")


def say_outcome(result: RowResult, terminal: Terminal) -> None:
    """Say what became of a row."""
    if terminal.form == "json-lines":
        terminal.emit("row-ended", **result.to_write())
    elif FAILED in (result.status, result.verdict):
        terminal.warn(outcome_in_words(result))
    else:
        terminal.say(outcome_in_words(result))


def outcome_in_words(result: RowResult) -> str:
    """Summarise the result of a row in one line."""
    if result.status == "locked":
        return f"{result.id}: left to another command: {result.notes}"
    if result.status == "failed":
        where = f" ({result.place})" if result.place else ""
        return f"{result.id}: failed{where}: {result.error}. {result.remedy}"
    seconds = f"{result.video_s or 0:.2f} s of video in {clock(result.wall_s or 0)}"
    said = f"{result.id}: done: {seconds}" + (f" ({result.notes})" if result.notes else "")
    return f"{said}; {verdict_in_words(result)}" if result.verdict else said


def verdict_in_words(result: RowResult) -> str:
    """Say the verdict of a row, with its reason unless it is ready."""
    return READY if result.verdict == READY else f"{result.verdict}: {result.reason}"


def verdicts_in_words(results: Iterable[RowResult]) -> str:
    """Count the verdicts of finished videos; rows that failed have none to count."""
    counts = Counter(result.verdict for result in results if result.status in FINISHED)
    return ", ".join(f"{counts[kind]:,} {kind}" for kind in reversed(VERDICTS) if counts[kind])


def say_verdicts(
    results: Callable[[], Iterable[RowResult]],
    terminal: Terminal,
    named: Container[int] = (),
) -> None:
    """Repeat every row that is not ready, those that failed first.

    None of them hides in a count, however many there are. `named` are the numbers of rows whose
    errors have been printed just before.
    """
    for result in results():
        if result.verdict == FAILED and result.row not in named:
            remedy = f". {result.remedy}" if result.remedy else ""
            terminal.warn(f"  {result.id or result.place}: {verdict_in_words(result)}{remedy}")
    for result in results():
        if result.verdict == LOOK:
            terminal.say(f"  {result.id}: {verdict_in_words(result)}")
