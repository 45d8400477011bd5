"""Placeholders in the column `output`: `{id}.mp4` is called after the cell `id` of its row."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from flows.rows import parsers
from sonic_ops.core.errors import FieldError

DEFAULT_OUTPUT: Final = "{id}.mp4"
"""Where a row without an output goes."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_UNSAFE = re.compile(r"[/\\\0]")


def literal(url: str) -> str:
    """Write a path so that nothing in it is a placeholder."""
    return url.replace("{", "{{").replace("}", "}}")


def filled(template: str, cells: Mapping[str, object]) -> str:
    """Fill the placeholders of a template; `{{` is a brace. Raises FieldError.

    What a cell says becomes part of a name, never a folder of its own.
    """

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        if not get_close_matches(match[1].strip(), list(cells), n=1):
            return match[0]  # the name of a file may have braces
        return _UNSAFE.sub("_", _cell(match[1].strip(), cells))

    return _PART.sub(fill, template)


def _cell(name: str, cells: Mapping[str, object]) -> str:
    if name not in cells:
        likely = get_close_matches(name, list(cells), n=1)[0]
        raise FieldError(
            f"{{{name}}} is the name of no column",
            remedy=f"Did you mean {{{likely}}}? Write {{{{ for a brace.",
            field="output",
        )
    if parsers.is_empty(cells[name]):
        raise FieldError(
            f"{{{name}}} stands for a cell that is empty in this row",
            remedy=f"Fill the cell {name}, or write the output without it.",
            field="output",
        )
    return str(cells[name]).strip()
