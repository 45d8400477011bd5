"""Hair and hats, behind the face and before it."""

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people.drawing import UNITS, Array, Canvas, scaled
from training.people.people import (
    BAND,
    BEANIE,
    BOB,
    BRIM,
    BUN,
    CAP,
    CROPPED,
    CURLY,
    FRINGE,
    HEADSCARF,
    LONG,
    PARTED,
    SHAVED,
    SIDES,
    Identity,
)
from training.people.styles import STYLES

_HAT_EDGE: Final = -0.54
"""Lower edge of hats, in half heights of the face from its middle."""


def draw_back_hair(identity: Identity, canvas: Canvas) -> None:
    """Draw what is seen of the hair, or of a headscarf, behind the head."""
    w, h, y = identity.half_width, identity.half_height, identity.centre_y
    style, plain = identity.hair_style, canvas.without_ink()
    if identity.hat == HEADSCARF:
        colour, low = scaled(identity.hat_colour, 0.8), y + h * 1.3
        drape = [(128 - w - 8, y), (128 + w + 8, y), (128 + w + 22, low), (128 - w - 22, low)]
        canvas.polygon(drape, colour)
        canvas.ellipse((128, y - 10), (w + 15, h + 8), colour)
        plain.polygon(drape, colour)
    elif style in (LONG, BOB):
        colour, low = scaled(identity.hair, 0.8), y + h * identity.hair_length
        sides = [(128 - w - 12, y - 20), (128 + w + 12, y - 20), (128 + w + 16, low)]
        sides.append((128 - w - 16, low))
        canvas.ellipse((128, y - 22), (w + 13, h - 4), colour)
        canvas.polygon(sides, colour)
        plain.ellipse((128, y - 22), (w + 13, h - 4), colour)
    elif style == CURLY:
        _curls(identity, canvas)
    elif style == SIDES:
        for side in (-1, 1):
            canvas.ellipse((128 + side * w, y - 20), (10, 26), identity.hair)
    elif style != SHAVED:
        canvas.ellipse((128, y - 18), (w + 8, h - 6), identity.hair, arc=(150, 390))
    if style == BUN and identity.hat != HEADSCARF:
        canvas.ellipse((128, y - h - 14), (24, 20), scaled(identity.hair, 0.9))


def _curls(identity: Identity, canvas: Canvas) -> None:
    """Overlapping balls along the head, outlined as one."""
    y = identity.centre_y - 6
    ring = identity.contour(8, num_points=26)
    ring = ring[ring[:, 1] < y + identity.half_height * (identity.hair_length - 0.65)]
    radius = 15 + 9 * identity.hair_length
    for pen in (canvas, canvas.without_ink()):
        for x, z in ring.tolist():
            pen.ellipse((x, z - 6), (radius, radius), identity.hair)


def draw_front_hair(identity: Identity, canvas: Canvas) -> None:
    """Draw the hair over the forehead."""
    w, h, y = identity.half_width, identity.half_height, identity.centre_y
    top, style = identity.contour(5), identity.hair_style
    if identity.hat == HEADSCARF or style == SIDES:
        return
    cap = top[37:72]
    if style in (CROPPED, BUN, CURLY):
        lower = [(0.9, -0.48), (0.3, -0.66), (-0.5, -0.62), (-0.95, -0.40)]
    elif style == LONG:
        lower = [(1.02, 0), (0.84, -0.5), (0.1, -0.78), (-0.84, -0.45), (-1.02, 0)]
        cap = top[36:72]
    elif style == FRINGE:
        lower = [(1 - k / 4, -0.54 - 0.12 * (k % 2)) for k in range(9)]
    elif style == BOB:
        lower = [(0.99, -0.2), (0.86, -0.52), (-0.86, -0.52), (-0.99, -0.2)]
        cap = top[36:72]
    elif style == PARTED:
        lower = [(0.96, -0.3), (0.88, -0.56), (-0.45, -0.8), (-0.9, -0.5), (-0.98, -0.3)]
    elif identity.stubble_hair:
        lower = [(0.6, -0.74), (-0.6, -0.74)]
        cap = identity.contour(2)[40:69]
    else:
        return
    line = [(128 + w * dx, y + h * dy) for dx, dy in lower]
    canvas.polygon(np.concatenate([cap, line]), identity.hair)


def draw_hat(identity: Identity, canvas: Canvas) -> None:
    """Draw the hat, if there is one."""
    draw = _HATS.get(identity.hat)
    if draw:
        draw(identity, canvas, identity.centre_y + _HAT_EDGE * identity.half_height)


def _dome(identity: Identity, edge: float, grow: float) -> NDArray[np.float64]:
    outline = identity.contour(grow)
    return np.asarray(outline[outline[:, 1] < edge])


def _cap(identity: Identity, canvas: Canvas, edge: float) -> None:
    canvas.polygon(_dome(identity, edge, 9), identity.hat_colour)
    canvas.ellipse((128, edge), (identity.half_width * 0.9, 9), scaled(identity.hat_colour, 0.72))


def _beanie(identity: Identity, canvas: Canvas, edge: float) -> None:
    w = identity.half_width
    canvas.polygon(_dome(identity, edge, 11), identity.hat_colour)
    half = w * 0.86
    band = [(128 - half - 4, edge - 16), (128 + half + 4, edge - 16), (128 + half + 5, edge)]
    canvas.polygon([*band, (128, edge + 4), (128 - half - 5, edge)], identity.trim)


def _brim(identity: Identity, canvas: Canvas, edge: float) -> None:
    w, colour = identity.half_width, identity.hat_colour
    crown = [(128 - w * 0.9, edge), (128 - w * 0.76, edge - 46), (128, edge - 56)]
    canvas.polygon([*crown, (128 + w * 0.76, edge - 46), (128 + w * 0.9, edge)], colour)
    band = [(128 - w * 0.9, edge), (128 - w * 0.86, edge - 13), (128 + w * 0.86, edge - 13)]
    canvas.polygon([*band, (128 + w * 0.9, edge)], identity.trim)
    canvas.ellipse((128, edge), (w + 30, 9), scaled(colour, 0.85))


def _headscarf(identity: Identity, canvas: Canvas, edge: float) -> None:
    outer, inner = identity.contour(13), identity.contour(-3)
    ring = np.concatenate([outer[21:72], outer[:16], inner[15::-1], inner[71:20:-1]])
    canvas.without_ink().polygon(ring, identity.hat_colour)
    dome = _dome(identity, edge - 6, 13)
    canvas.without_ink().polygon(dome, identity.hat_colour)
    if identity.ink:
        canvas.line(np.concatenate([outer[21:72], outer[:16]]), identity.ink.colour, 2)


def _band(identity: Identity, canvas: Canvas, edge: float) -> None:
    outline = identity.contour(4)
    shown = outline[outline[:, 1] < edge - 8]
    shown[:, 1] += 8 * np.sin(np.linspace(0, np.pi, len(shown)))
    canvas.line(shown, identity.hat_colour, 9)


_HATS: Final[dict[int, Callable[[Identity, Canvas, float], None]]] = {
    CAP: _cap, BEANIE: _beanie, BRIM: _brim, HEADSCARF: _headscarf, BAND: _band,
}  # fmt: skip


def draw_strands(identity: Identity, array: Array, rng: np.random.Generator) -> None:
    """Streaks of light and dark along the hair."""
    strength = STYLES[identity.style].strands
    if not strength:
        return
    noise = cv2.resize(rng.random((UNITS, UNITS)).astype(np.float32), array.shape[:2])
    scale = len(array) / UNITS
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.5 * scale, sigmaY=9 * scale)
    near = np.abs(array[..., :3] - np.array(identity.hair, np.float32)).sum(-1) < 40
    streaks = strength * (noise - noise.mean()) * 180 * (near & (array[..., 3] > 0))
    array[..., :3] += streaks[..., None]
