"""Ids and all other cells are of strangers: none moves the cursor, forges a line or has markup."""

import io
from dataclasses import fields, replace
from typing import Any

import pytest
from rich.console import Console

from flows.console.progress import say_outcome
from flows.console.terminal import open_terminal
from flows.state.results import RowResult

EVIL = {
    "escape": "\x1b[2J\x1b[1;31mada: done",
    "8-bit escape": "\x9b2J",
    "title": "\x1b]0;title\x07",
    "newline": "a\nben: done: 3.00 s of video",
    "return": "a\rben: done",
    "backspace": "a\b\b\bben",
    "bidi": "a\u202e4pm.exe",
    "isolate": "a\u2066b\u2069",
    "mark": "a\u200fb",
    "line separator": "a\u2028b",
    "null": "a\x00b",
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
@pytest.mark.parametrize("form", ["lines", "quiet", "json-lines"])
@pytest.mark.parametrize("status", ["failed", "done", "locked"])
def test_no_field_of_a_row_moves_a_terminal(evil: str, form: Any, status: Any) -> None:
    printed = io.StringIO()
    console = Console(file=printed, force_terminal=True, width=80)
    terminal = open_terminal(form, console)
    plain = RowResult(1, "ada", status)
    texts = [field.name for field in fields(RowResult) if "str" in str(field.type)]
    for name in texts:
        if name not in ("status", "error_class", "fingerprint"):
            say_outcome(replace(plain, **{name: evil}), terminal)  # type: ignore[arg-type]
    terminal.warn(evil)
    text = printed.getvalue()
    assert len(text.splitlines()) == text.count("\n")  # no other line ends
    assert all(line[:1] not in ("b",) for line in text.splitlines())
    assert text.replace("\n", "").isprintable()


def test_markup_and_emoji_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    open_terminal("lines", Console()).say("[red]ada[/red] :x: [link=file:///etc]b[/link] [/]")
    assert capsys.readouterr().out == "[red]ada[/red] :x: [link=file:///etc]b[/link] [/]\n"


def test_letters_of_the_world_stay(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Łódź 日本語 שלום مرحبا 👩\u200d🔬 naïve"
    open_terminal("lines", Console()).say(text)
    assert capsys.readouterr().out == f"{text}\n"
