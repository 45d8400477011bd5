"""What a cell of the manifest may hold. Every parser returns the value or raises one of WRONG.

Parquet, Excel and JSON bring types, CSV brings text; numbers may be written either way.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from uuid import UUID

from sonic_ops.core.rates import frame_rate
from sonic_ops.media.languages import track_language

WRONG = (ValueError, TypeError, OverflowError, RecursionError)

MAX_NAME = 1000
"""Characters of an id: it is printed wherever its row is named."""
MAX_URL = 16_000
"""Characters of a URL: signed ones have some thousands."""
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?(?:\d*,\d{1,2}|\d*,\d{4,}|0?,\d+)\s*")  # 1,000 may be either
_SEPARATOR = re.compile(r"[\s,;]+")


def is_empty(value: object) -> bool:
    """Return whether a cell is empty: null, blank text, or pandas' NaN for null."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def text(value: object) -> str:
    """Parse text that is not blank."""
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise ValueError
    value.encode()  # half a character, which JSON can hold, is a ValueError
    return value.strip()


def language(value: object) -> str:
    """Parse a BCP 47 language tag."""
    result = text(value)
    track_language(result)
    return result


def path_or_url(value: object) -> str:
    """Parse a path or URL: no file system takes a NUL."""
    result = text(value)
    if "\0" in result or len(result) > MAX_URL:
        raise ValueError
    return result


def word(words: Sequence[str]) -> Callable[[object], str]:
    """Make a parser of one of some words."""

    def parse(value: object) -> str:
        result = text(value).lower()
        if result not in words:
            raise ValueError
        return result

    return parse


def name(value: object) -> str:
    """Return text, or a whole number as its digits, whatever type a table has for it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float | Decimal):
        return str(whole_number(-(2**63), 2**63)(value))
    result = text(str(value) if isinstance(value, UUID) else value)
    if len(result) > MAX_NAME:
        raise ValueError
    return result


def number(low: float, high: float) -> Callable[[object], float]:
    """Make a parser of finite numbers in [low, high]."""

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise ValueError
        if isinstance(value, str) and _DECIMAL_COMMA.fullmatch(value):
            value = value.replace(",", ".")
        result = float(value)
        if not (math.isfinite(result) and low <= result <= high):
            raise ValueError
        return result

    return parse


def whole_number(low: int, high: int) -> Callable[[object], int]:
    """Make a parser of whole numbers in [low, high]; 7.0 is one, as pandas writes floats."""
    parse_number = number(low, high)

    def parse(value: object) -> int:
        result = parse_number(value)
        if not result.is_integer():
            raise ValueError
        return int(result)

    return parse


def seconds(value: object) -> float:
    """Return seconds, or a clock time such as 1:02:03.5, as text or as a table's own type."""
    if isinstance(value, time):
        value = value.isoformat()
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value.strip())):
        hours, minutes, rest = match.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(rest.replace(",", "."))
    return number(0, math.inf)(value)


def fps(value: object) -> str:
    """Return frames per second, in the words of a fraction."""
    return str(frame_rate(value.replace(",", ".") if isinstance(value, str) else value))


def box(value: object) -> tuple[float, float, float, float]:
    """Parse a box `x, y, width, height` in pixels, from a list, JSON or text."""
    if isinstance(value, str):
        written = value.strip()
        value = json.loads(written) if written.startswith("[") else _SEPARATOR.split(written)
    if isinstance(value, Mapping):
        value = [value.get(side) for side in ("x", "y", "width", "height")]
    if not isinstance(value, Sequence) or len(value) != 4:
        raise ValueError
    x, y, width, height = (number(-math.inf, math.inf)(side) for side in value)
    if min(width, height) <= 0:
        raise ValueError
    return x, y, width, height
