"""The difference of colours between a film and what is pasted into it, steady over time.

It is measured in every frame, on a grid that moves with the face, and smoothed over a second: a
mouth that is lit anew in every frame flickers. Where the light changes at once, so does the cast.
Shape letters: P planes, G places on a side of the grid, H, W rows and columns of a plane.
"""

from collections import deque
from fractions import Fraction
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

GRID: Final = 16
SMOOTHED_S: Final = 0.5
"""How far before and after a frame the casts of others count."""
READ_S: Final = Fraction(3, 5)
"""How far beyond the frames that are pasted into the film is read: a little more than that."""
_DEVIATION_S: Final = 0.25
_SAME_LIGHT: Final = 0.01  # of the range of a sample: casts further apart are of another light

Floats = NDArray[np.float32]


def on_grid(field_HW: Floats, way_23: NDArray[Any]) -> Floats:
    """Read a field at the places of the grid; `way_23` leads from the grid to the field."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(_warped(field_HW, way_23, (GRID, GRID), flags))


def from_grid(grid_GG: Floats, way_23: NDArray[Any], size: tuple[int, int]) -> Floats:
    """Spread a grid over a field of some width and height."""
    return np.asarray(_warped(grid_GG, way_23, size, cv2.INTER_LINEAR))


def _warped(values: Floats, way_23: NDArray[Any], size: tuple[int, int], flags: int) -> Any:
    return cv2.warpAffine(values, way_23, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


class Casts:
    """The casts of some frames of a take that follow each other, in shares of a sample's range."""

    def __init__(self) -> None:
        self._known: deque[tuple[float, Floats]] = deque()

    def add(self, time_s: float, cast_PGG: Floats) -> None:
        """Take the cast of the next frame."""
        self._known.append((time_s, cast_PGG))

    def at(self, time_s: float) -> Floats:
        """Return the smoothed cast of a frame (P G G); those long before it are forgotten.

        It is a mean over the frames within half a second, in their order.
        """
        while self._known[0][0] < time_s - SMOOTHED_S:
            self._known.popleft()
        near = [(t, cast) for t, cast in self._known if t <= time_s + SMOOTHED_S]
        own = next(float(cast[0].mean()) for t, cast in near if t == time_s)
        total, sums = 0.0, np.zeros_like(near[0][1])
        for other_s, cast_PGG in near:
            away = (other_s - time_s) / _DEVIATION_S
            apart = (float(cast_PGG[0].mean()) - own) / _SAME_LIGHT
            weight = float(np.exp(-(away * away + apart * apart) / 2))
            total, sums = total + weight, sums + np.float32(weight) * cast_PGG
        return np.asarray(sums / np.float32(total), np.float32)
