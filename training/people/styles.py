"""Drawing styles: how the same person looks flat, outlined, softly shaded, painted.

A style acts on the layers that are drawn once (ink, shading, brush strokes) and on the finished
picture (saturation, grain). Shape letters: H, W rows and columns.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people.drawing import UNITS, Array

FLAT, OUTLINED, SOFT, PAINTED, CEL, PENCIL = range(6)
TRAINED: Final = (FLAT, OUTLINED, SOFT, PAINTED, CEL)
HELD_OUT: Final = PENCIL
"""The style that training never sees."""

Range = tuple[float, float]
_LUMA: Final = np.tile(np.array([0.299, 0.587, 0.114], np.float32), (3, 1))
_STROKE_JITTER: Final = 0.025
_ONE_PART: Final = 70
"""Colours nearer than this are of one part; a stroke does not leave its part."""


@dataclass(frozen=True, slots=True)
class Style:
    """What a style does; ranges are drawn from, per person."""

    ink: Range = (0.0, 0.0)
    """Width of outlines in units; 0 is none."""
    ink_share: float = 0.0
    """How much of the skin is in the ink: 0 is black."""
    shading: float = 1.0
    """Strength of light and shadow."""
    cel: bool = False
    """Shadow with a hard edge."""
    strands: float = 1.0
    """Strength of the streaks in the hair."""
    brushed: bool = False
    saturation: Range = (0.85, 1.1)
    grain: float = 0.0
    """Size of the texture of the paper, in parts of the brightness."""


STYLES: Final = {
    FLAT: Style(shading=0.0, strands=0.0, saturation=(0.85, 1.2)),
    OUTLINED: Style(ink=(2.0, 3.2), shading=0.25, strands=0.15, saturation=(0.9, 1.25)),
    SOFT: Style(shading=1.3),
    PAINTED: Style(shading=1.5, strands=0.6, brushed=True, saturation=(0.7, 1.0), grain=0.012),
    CEL: Style(ink=(1.4, 2.2), ink_share=0.35, cel=True, strands=0.0, saturation=(0.9, 1.2)),
    PENCIL: Style(
        ink=(1.6, 2.6), ink_share=0.2, shading=0.8, strands=1.4, saturation=(0.3, 0.6), grain=0.03
    ),
}


def brush(layer_HWC: Array, rng: np.random.Generator, *, num: int, size: float) -> None:
    """Cover a layer with strokes of its own colours, `size` units wide; its outline stays."""
    height, width = layer_HWC.shape[:2]
    pixels = width / UNITS
    source = layer_HWC.copy()
    points = np.stack([rng.integers(0, width, num), rng.integers(0, height, num)], 1)
    if layer_HWC.shape[2] == 4:
        points = points[source[points[:, 1], points[:, 0], 3] > 200]
    colours = source[points[:, 1], points[:, 0]]
    angle = _directions(points / width, rng)
    reach = np.stack([np.cos(angle), np.sin(angle)], 1) * size * pixels * 1.4
    starts, stops = np.rint(points - reach).astype(int), np.rint(points + reach).astype(int)
    inside = np.ones(len(points), bool)
    for ends in (starts, stops):
        x, y = np.clip(ends[:, 0], 0, width - 1), np.clip(ends[:, 1], 0, height - 1)
        inside &= np.abs(source[y, x] - colours).sum(1) < _ONE_PART
    starts, stops, colours = starts[inside], stops[inside], colours[inside]
    colours[:, :3] *= 1 + _STROKE_JITTER * rng.standard_normal((len(colours), 1))
    thick = max(1, round(size * pixels))
    for start, stop, colour in zip(starts.tolist(), stops.tolist(), colours.tolist(), strict=True):
        cv2.line(layer_HWC, start, stop, colour, thick)
    if layer_HWC.shape[2] == 4:
        layer_HWC[..., 3] = source[..., 3]
        layer_HWC[source[..., 3] == 0] = 0


def _directions(places: Array, rng: np.random.Generator) -> Array:
    """Angles that turn slowly over the picture."""
    a, b, c, d = rng.uniform(-4, 4, 4)
    return np.asarray(1.2 * np.sin(a * places[:, 0] + b * places[:, 1] + c) + d)


def paper(style: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the factor of the brightness: canvas for paint, hatching for pencil: H W 1."""
    noise = rng.standard_normal((size, size)).astype(np.float32)
    along = 3.0 if style == PENCIL else 0.8
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.6, sigmaY=along)
    if style == PENCIL:
        centre = (size / 2, size / 2)
        turn = cv2.getRotationMatrix2D(centre, rng.uniform(25, 60), 1.0)
        noise = cv2.warpAffine(noise, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    grain = STYLES[style].grain * noise / noise.std()
    return np.asarray((1 + np.clip(grain, -0.3, 0.3))[..., None], np.float32)


def saturation_matrix(saturation: float) -> NDArray[np.float32]:
    """Return the 3 x 3 colour matrix that keeps the luma."""
    return np.asarray(
        saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _LUMA, np.float32
    )
