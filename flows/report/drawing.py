"""Curves as SVG paths. Whole numbers everywhere: a page may hold thousands of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH, HEIGHT = 480, 56
_ROOM: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One curve of a chart; `kind` is its colour."""

    label: str
    path: str
    kind: str
    said: str
    """Its range in words, for those who do not see it."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves over the time of a video, and bands that are pauses: (x, width)."""

    label: str
    lines: tuple[Line, ...]
    bands: tuple[tuple[int, int], ...] = ()


def line(label: str, values: Sequence[float], kind: str, unit: str, digits: int = 1) -> Line:
    """Draw a curve between its lowest and highest value."""
    if not values:
        return Line(label, "", kind, f"{label}: nothing")
    low, high = min(values), max(values)
    said = f"{label} {low:.{digits}f} to {high:.{digits}f} {unit}".rstrip()
    return Line(label, path(values, low, high), kind, said)


def path(values: Sequence[float], low: float, high: float) -> str:
    """Draw a line through values, the lowest at the bottom."""
    span = (high - low) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    room = HEIGHT - 2 * _ROOM
    points = (
        f"{round(index * step)} {round(HEIGHT - _ROOM - room * (value - low) / span)}"
        for index, value in enumerate(values)
    )
    return "M" + "L".join(points)


def voiced_path(values: Sequence[float], low: float, high: float) -> str:
    """Draw a line with gaps where a value is 0."""
    span, step = (high - low) or 1.0, WIDTH / max(len(values) - 1, 1)
    parts, pen_is_down = [], False
    for index, value in enumerate(values):
        if value > 0:
            y = round(HEIGHT - _ROOM - (HEIGHT - 2 * _ROOM) * (value - low) / span)
            parts.append(f"{'L' if pen_is_down else 'M'}{round(index * step)} {y}")
        pen_is_down = value > 0
    return "".join(parts)


def wave_path(values: Sequence[float]) -> str:
    """Draw a waveform around the middle."""
    loudest = max(values, default=0.0) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    middle = HEIGHT / 2
    above = [(round(i * step), middle - (middle - 1) * v / loudest) for i, v in enumerate(values)]
    below = [(x, HEIGHT - y) for x, y in reversed(above)]
    return "M" + "L".join(f"{x} {round(y)}" for x, y in (*above, *below)) + "Z"


def bands(spans_s: Sequence[tuple[float, float]], duration_s: float) -> tuple[tuple[int, int], ...]:
    """Return spans of time as places in a chart."""
    scale = WIDTH / duration_s if duration_s else 0.0
    return tuple(
        (round(start * scale), max(round((stop - start) * scale), 1)) for start, stop in spans_s
    )
