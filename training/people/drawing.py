"""Anti-aliased shapes on a canvas whose coordinates do not depend on its size in pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

UNITS: Final = 256
"""A canvas is 256 units wide and high, however many pixels it has."""
_SUBPIXEL_BITS: Final = 4

Array = NDArray[Any]
Colour = tuple[float, ...]


def scaled(colour: Sequence[float], gain: float) -> Colour:
    """Return the colour, brighter or darker, within [0, 255]."""
    return tuple(float(np.clip(v * gain, 0, 255)) for v in colour)


def mixed(a: Sequence[float], b: Sequence[float], share_b: float) -> Colour:
    """Return the colour between `a` (0) and `b` (1)."""
    return tuple(
        float(np.clip(x * (1 - share_b) + y * share_b, 0, 255)) for x, y in zip(a, b, strict=True)
    )


def brightness(colour: Sequence[float]) -> float:
    """Luma, 0 to 255. Source: ITU-R BT.601."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def legible(colour: Sequence[float], ground: Sequence[float], contrast: float) -> Colour:
    """Return the colour, darkened until it is darker than the ground by `contrast`, or black.

    A colour that is brighter than the ground by as much is legible as it is.
    """
    level, wanted = brightness(colour), brightness(ground) - contrast
    if level <= wanted or level >= brightness(ground) + contrast:
        return scaled(colour, 1.0)
    return scaled(colour, max(wanted, 0.0) / max(level, 1.0))


@dataclass(frozen=True, slots=True)
class Ink:
    """A line around every filled shape, `width` units wide."""

    colour: Colour
    width: float


class Canvas:
    """Shapes in units on an array of any size; colours are RGB, drawn opaque on RGBA arrays."""

    def __init__(
        self,
        array: Array,
        *,
        pixels_per_unit: float,
        origin: tuple[int, int] = (0, 0),
        ink: Ink | None = None,
    ) -> None:
        self.array = array
        self.scale = pixels_per_unit
        self.origin = origin
        self.ink = ink

    def polygon(self, points: ArrayLike, colour: Sequence[float]) -> None:
        """Fill a polygon."""
        fixed = [self._fixed(points)]
        cv2.fillPoly(self.array, fixed, self._colour(colour), cv2.LINE_AA, _SUBPIXEL_BITS)
        if self.ink:
            cv2.polylines(
                self.array, fixed, True, self._colour(self.ink.colour),
                self._thickness(self.ink.width), cv2.LINE_AA, _SUBPIXEL_BITS,
            )  # fmt: skip

    def line(self, points: ArrayLike, colour: Sequence[float], width: float) -> None:
        """Draw an open line of `width` units."""
        pixels = self._thickness(width)
        cv2.polylines(
            self.array, [self._fixed(points)], False, self._colour(colour), pixels,
            cv2.LINE_AA, _SUBPIXEL_BITS,
        )  # fmt: skip

    def ellipse(
        self,
        centre: tuple[float, float],
        axes: tuple[float, float],
        colour: Sequence[float],
        *,
        arc: tuple[float, float] = (0, 360),
        width: float | None = None,
    ) -> None:
        """Fill an ellipse, or draw an arc of `width` units (degrees clockwise from the right)."""
        middle = self._fixed(centre)
        half = [max(1, int(a * self.scale * (1 << _SUBPIXEL_BITS))) for a in axes]
        thickness = -1 if width is None else self._thickness(width)
        cv2.ellipse(
            self.array, (int(middle[0]), int(middle[1])), (half[0], half[1]), 0, arc[0], arc[1],
            self._colour(colour), thickness, cv2.LINE_AA, _SUBPIXEL_BITS,
        )  # fmt: skip
        if width is None and self.ink:
            self.ellipse(centre, axes, self.ink.colour, arc=arc, width=self.ink.width)

    def without_ink(self) -> "Canvas":
        """Return the same canvas, whose shapes have no outline."""
        return Canvas(self.array, pixels_per_unit=self.scale, origin=self.origin)

    def part(self, left: float, top: float, right: float, bottom: float) -> "Canvas":
        """Return a view of a rectangle in units; shapes keep their coordinates."""
        height, width = self.array.shape[:2]
        x0, y0 = (max(0, int(v * self.scale)) for v in (left, top))
        x1, y1 = min(width, int(right * self.scale) + 1), min(height, int(bottom * self.scale) + 1)
        inner = self.array[y0:y1, x0:x1]
        return Canvas(inner, pixels_per_unit=self.scale, origin=(x0, y0), ink=self.ink)

    def blank_mask(self) -> "Canvas":
        """Return a canvas of one channel, empty, of the same place."""
        empty = np.zeros(self.array.shape[:2], np.uint8)
        return Canvas(empty, pixels_per_unit=self.scale, origin=self.origin)

    def copy(self) -> "Canvas":
        """Return a canvas with the same content on memory of its own."""
        return Canvas(self.array.copy(), pixels_per_unit=self.scale, origin=self.origin)

    def paste(self, other: "Canvas", mask: "Canvas") -> None:
        """Put `other` where `mask` is 255."""
        alpha = mask.array[..., None].astype(np.float32) / 255
        self.array[...] = (self.array * (1 - alpha) + other.array * alpha).astype(np.uint8)

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        pixels = np.asarray(points, np.float64) * self.scale - np.asarray(self.origin)
        return np.asarray(np.round(pixels * (1 << _SUBPIXEL_BITS)), np.int32)

    def _thickness(self, width: float) -> int:
        return max(1, round(width * self.scale))

    def _colour(self, colour: Sequence[float]) -> tuple[float, ...]:
        if self.array.ndim == 2:
            return (float(colour[0]),)
        return (*colour[:3], 255.0)[: self.array.shape[2]]
