"""Colours as people see them: CIELAB, and the CIEDE2000 difference.

Shape: the last axis of every array holds the three parts of a colour.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_KNEE: Final = 25.0**7


def lab_of(rgb_HW3: NDArray[np.uint8]) -> Floats:
    """Return CIELAB (D65) of sRGB: L from 0 to 100, a and b around 0."""
    unit_HW3 = rgb_HW3.astype(np.float32) / 255
    lab_HW3: Floats = cv2.cvtColor(unit_HW3, cv2.COLOR_RGB2LAB)
    return lab_HW3


def ciede2000(one: Floats, other: Floats) -> Floats:
    """Return the difference of CIELAB colours; 1 is about what an eye can just tell.

    Source: Sharma, Wu and Dalal, Color Research and Application 30 (2005), equations 2 to 22.
    """
    (L1, a1, b1), (L2, a2, b2) = (
        np.moveaxis(np.asarray(c, np.float64), -1, 0) for c in (one, other)
    )
    chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * _saturating(chroma)
    (C1, h1), (C2, h2) = _polar(a1 * stretch, b1), _polar(a2 * stretch, b2)
    grey = C1 * C2 == 0
    turn = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
    # Where the hues are exactly opposite, the sign of the turn is that of h2 - h1.
    turn = np.where(~grey & (h2 - h1 == 180), 180, turn)
    hue = np.where(grey, h1 + h2, _mean_hue(h1, h2))
    dL, dC = L2 - L1, C2 - C1
    dH = 2 * np.sqrt(C1 * C2) * np.sin(np.radians(turn / 2))
    SL, SC, SH = _scales((L1 + L2) / 2, (C1 + C2) / 2, hue)
    light, colour, tint = dL / SL, dC / SC, dH / SH
    blue = _blue_rotation((C1 + C2) / 2, hue)
    squared = light**2 + colour**2 + tint**2 + blue * colour * tint
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _saturating(chroma: Floats) -> Floats:
    """Return a weight: 0 for greys, towards 1 for strong colours."""
    return np.sqrt(chroma**7 / (chroma**7 + _KNEE))


def _polar(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return chroma and hue in degrees from 0 to 360."""
    return np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360


def _mean_hue(h1: Floats, h2: Floats) -> Floats:
    """Return the hue in the middle of the shorter way."""
    middle, far = (h1 + h2) / 2, np.abs(h1 - h2) > 180
    return np.where(far, np.where(h1 + h2 < 360, middle + 180, middle - 180), middle)


def _scales(L: Floats, C: Floats, hue: Floats) -> tuple[Floats, Floats, Floats]:
    """Return how much lightness, chroma and hue count at a colour."""
    T = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    off_middle = (L - 50) ** 2
    return 1 + 0.015 * off_middle / np.sqrt(20 + off_middle), 1 + 0.045 * C, 1 + 0.015 * C * T


def _blue_rotation(C: Floats, hue: Floats) -> Floats:
    angle = 60 * np.exp(-(((hue - 275) / 25) ** 2))
    return np.asarray(-np.sin(np.radians(angle)) * 2 * _saturating(C))
