"""Renders as a page sees them: one after another, each in a folder that goes with the process."""

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Final, TypeAlias

from rich.console import Console

from flows.console.terminal import Terminal
from flows.pipeline.single import output_of, render_video
from flows.rows.config import load_preset
from flows.state.results import FINISHED
from sonic_ops.core.constants import READY
from sonic_ops.core.errors import FieldError, SonicError

EVERY_S: Final = 0.5
"""How often a page shows where a render stands."""

CLOSING_S: Final = 2.0
"""How long renders have at the end to leave their files alone."""

UNEXPECTED: Final = "Something unexpected went wrong. What it was is in the terminal."

Cells: TypeAlias = Mapping[str, str | None]
Said: TypeAlias = "tuple[str, Mapping[str, Any]] | None"
"""An event of a terminal with its facts; None after the last one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """What a page shows of a render.

    `share` is how much is done, None before the start; `video` the path of one that is finished.
    """

    text: str
    share: float | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    video: str | None = None


@dataclass(frozen=True, slots=True)
class EventTerminal(Terminal):
    """A terminal whose events are put into a queue."""

    events: "SimpleQueue[Said]" = field(default_factory=SimpleQueue)

    def emit(self, event: str, **facts: object) -> None:
        """Pass an event on."""
        self.events.put((event, facts))


class Renders:
    """Renders videos, one at a time, into folders below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._one = folder, Lock()
        self._stops: set[Event] = set()

    def render(self, cells: Cells, preset: str) -> Generator[State]:
        """Render the row with these cells, without id and output; yield every state of it.

        A caller that closes the iterator stops the render.
        """
        terminal = EventTerminal(Console(file=StringIO()), "json-lines", EVERY_S)
        stopped = Event()
        self._stops.add(stopped)
        output = self._output(cells)
        Thread(
            target=self._run, args=(cells, preset, output, terminal, stopped), daemon=True
        ).start()
        try:
            yield from _states(terminal.events, output, self._shown)
        finally:
            stopped.set()
            self._stops.discard(stopped)

    def close(self) -> None:
        """Stop all renders, and wait a moment until they have."""
        for stopped in tuple(self._stops):
            stopped.set()
        if self._one.acquire(timeout=CLOSING_S):
            self._one.release()

    def _output(self, cells: Cells) -> str:
        """Name the video after its audio, in a folder of its own."""
        return output_of(cells["audio"] or "video", None, tempfile.mkdtemp(dir=self._folder))

    def _run(
        self, cells: Cells, preset: str, output: str, terminal: EventTerminal, stopped: Event
    ) -> None:
        """Render in a thread; what ends it ends in the terminal's queue."""
        try:
            with self._one:
                if not stopped.is_set():
                    _render(cells, preset, output, terminal, stopped)
        except KeyboardInterrupt:
            terminal.warn("Stopped.")
        except SonicError as error:
            terminal.warn(f"{error}. {error.remedy}")
        except Exception:
            _log.exception("a render of the page failed")
            terminal.warn(UNEXPECTED)
        finally:
            terminal.events.put(None)

    def _shown(self, text: str) -> str:
        """Return a text for a page: nobody there knows our folders, or columns of a manifest."""
        text = re.sub(rf"{re.escape(str(self._folder))}/(?:[^/\s]+/)*", "", text)
        return text.removeprefix("column ")


def _render(
    cells: Cells, preset: str, output: str, terminal: EventTerminal, stopped: Event
) -> None:
    config = load_preset(preset)
    if config.provenance.require_consent and not cells.get("consent"):
        raise FieldError(
            "Nothing says that the person agrees to this video, and the preset wants it",
            remedy="Ask them, then tick the box.",
        )
    render_video({**cells, "id": Path(output).stem, "output": output}, config, terminal, stopped)


def _states(
    events: "SimpleQueue[Said]", output: str, shown: Callable[[str], str]
) -> Iterator[State]:
    """Turn events into states; a state comes again while nothing happens, so that one can stop."""
    state = State("Waiting for another render")
    while True:
        yield state
        try:
            said = events.get(timeout=EVERY_S)
        except Empty:
            continue
        if said is None:
            break
        state = _after(state, *said, shown)
    if Path(output).is_file() and not state.problems:
        yield replace(state, share=1.0, video=output)
    else:
        yield replace(state, text="")


def _after(
    state: State, event: str, facts: Mapping[str, Any], shown: Callable[[str], str]
) -> State:
    """Return the state after an event."""
    match event:
        case "row-started":
            return replace(state, text="Starting", share=0.0)
        case "row":
            text = facts["text"]
            return replace(state, text=f"{text[:1].upper()}{text[1:]}", share=facts["share"])
        case "row-ended" if facts["status"] in FINISHED:
            return replace(state, text=_verdict(facts))
        case "message":
            return replace(state, notes=(*state.notes, shown(facts["text"])))
    problem = facts["text"] if event == "problem" else f"{facts['error']}. {facts['remedy']}"
    return replace(state, text="", problems=(*state.problems, shown(problem)))


def _verdict(facts: Mapping[str, Any]) -> str:
    verdict = facts["verdict"] or READY
    said = f"{verdict[:1].upper()}{verdict[1:]}"
    return said if verdict == READY else f"{said}: {facts['reason']}"


@contextmanager
def open_renders() -> Iterator[tuple[Renders, Path]]:
    """Make a folder for uploads and videos; at the end renders stop, and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix="sonic-demo-"))
    renders = Renders(folder)
    try:
        yield renders, folder
    finally:
        renders.close()
        until_s = time.monotonic() + CLOSING_S / 2
        while folder.exists() and time.monotonic() < until_s:  # workers may still write
            shutil.rmtree(folder, ignore_errors=True)
