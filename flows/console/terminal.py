"""What is said to the user, and in which form: to people, to logs, to other programs."""

import json
from dataclasses import dataclass
from typing import Literal

from rich.console import Console

from flows.supervisor.channel import notify_supervisor
from sonic_ops.core.shown import in_one_line, without_secrets

Form = Literal["live", "lines", "quiet", "json-lines"]
"""A table that moves, plain lines, only what is wrong, or a JSON object per line."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where text goes: lines as they are, without markup and wrapping.

    A row that goes on is reported every `every_s` seconds.
    """

    console: Console
    form: Form
    every_s: float = 5.0

    def say(self, text: str) -> None:
        """Say what is good to know."""
        if self.form == "json-lines":
            self.emit("message", text=text)
        elif self.form != "quiet":
            self._print(text)

    def warn(self, text: str) -> None:
        """Say what is wrong, in every form."""
        if self.form == "json-lines":
            self.emit("problem", text=text)
        else:
            self._print(text)

    def emit(self, event: str, **facts: object) -> None:
        """Print an event for other programs."""
        self._print(json.dumps({"event": event} | facts))

    def _print(self, text: str) -> None:
        text = shown(text)
        self.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)


def shown(text: str) -> str:
    """Return a text as a terminal may get it: in one line, without control codes and passwords."""
    text = text.encode(errors="surrogateescape").decode(errors="replace")
    return in_one_line(without_secrets(text))


def form_of(*, quiet: bool = False, json_lines: bool = False) -> Form | None:
    """Return the output form that the flags select; None lets the terminal decide."""
    return "json-lines" if json_lines else "quiet" if quiet else None


def open_terminal(form: Form | None = None, console: Console | None = None) -> Terminal:
    """Open the terminal of this process, or another console."""
    notify_supervisor(json=form == "json-lines")
    console = console or Console()
    return Terminal(console, form or ("live" if console.is_terminal else "lines"))
