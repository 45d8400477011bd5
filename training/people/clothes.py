"""Neck, shoulders and clothes, down to the waist."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.people.drawing import UNITS, Canvas, Colour, mixed, scaled
from training.people.people import (
    BUTTONS,
    COLLAR,
    DOTS,
    HOOD,
    ROLL_NECK,
    SCARF,
    STRIPES,
    SUIT,
    V_NECK,
    Identity,
)
from training.people.styles import STYLES, brush

WAIST: Final = 448
"""The body is drawn down to here; a half-length framing shows it."""
_WHITE: Final = (240, 240, 236)


def draw_body(identity: Identity, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Neck and trunk: RGBA, `size` pixels wide and as high as the waist asks for."""
    height = size * WAIST // UNITS
    array = np.zeros((height, size, 4), np.float32)
    canvas = Canvas(array, pixels_per_unit=size / UNITS, ink=identity.ink)
    neck = identity.centre_y + identity.half_height
    canvas.polygon(_trunk(identity, neck), identity.cloth)
    for side in (-1, 1):
        arm = 128 + side * (identity.shoulders - 26)
        canvas.line([(arm, neck + 78), (arm - 4 * side, 500)], scaled(identity.cloth, 0.8), 2.5)
    canvas.polygon(_throat(identity, neck), identity.shadow)
    _clothes(identity, canvas, neck)
    y, x = np.mgrid[0:height, 0:size].astype(np.float32) * np.float32(UNITS / size)
    shade = 0.14 * identity.light * (x - 128) / 128 - 0.10 * np.clip((y - neck - 30) / 80, 0, 1)
    array[..., :3] *= np.clip(1 + identity.shading * shade, 0.6, 1.3)[..., None]
    if STYLES[identity.style].brushed:
        brush(array, rng, num=500, size=rng.uniform(5, 8))
    return np.clip(array, 0, 255).astype(np.uint8)


def _trunk(identity: Identity, neck: float) -> NDArray[np.float64]:
    w = identity.shoulders
    angle = np.linspace(np.pi, 2 * np.pi, 40)
    arch = np.stack([128 + w * np.cos(angle), neck + 66 + 50 * np.sin(angle)], 1)
    return np.concatenate([arch, [(134 + w, 500), (122 - w, 500)]])


def _throat(identity: Identity, neck: float) -> NDArray[np.float64]:
    w = identity.half_width * 0.55
    top = [(128 - w, neck - 34), (128 + w, neck - 34)]
    return np.array([*top, (128 + w * 1.05, neck + 16), (128, neck + 36), (128 - w, neck + 16)])


def _clothes(identity: Identity, canvas: Canvas, neck: float) -> None:
    trim, style = identity.trim, identity.cloth_style
    if style == COLLAR:
        canvas.polygon([(102, neck + 14), (154, neck + 14), (128, neck + 70)], trim)
    elif style == STRIPES:
        for k in range(10):
            axes = (identity.shoulders * 1.1, 30 + k * 22)
            canvas.ellipse((128, neck + 110), axes, trim, arc=(180, 360), width=4)
        for y in np.arange(neck + 130, WAIST, 22):
            canvas.line([(0, y), (UNITS, y)], trim, 4)
        _cut_outside(identity, canvas, neck)
    elif style == SCARF:
        tail = [(112, neck + 40), (144, neck + 40), (148, neck + 120), (108, neck + 120)]
        canvas.polygon(tail, scaled(trim, 0.9))
        canvas.polygon([(88, neck + 8), (128, neck + 40), (168, neck + 8), (162, neck + 40),
                        (128, neck + 62), (94, neck + 40)], trim)  # fmt: skip
    elif style == SUIT:
        _suit(identity, canvas, neck)
    elif style == V_NECK:
        canvas.polygon([(104, neck + 16), (152, neck + 16), (128, neck + 66)], identity.shadow)
        canvas.line([(101, neck + 15), (128, neck + 70), (155, neck + 15)], trim, 5)
    elif style == HOOD:
        for side in (-1, 1):
            canvas.line([(128 + side * 14, neck + 44), (128 + side * 16, neck + 92)], _WHITE, 3)
        canvas.ellipse((128, neck + 16), (50, 26), trim, arc=(0, 180), width=13)
    elif style == ROLL_NECK:
        w = identity.half_width * 0.62
        canvas.polygon([(128 - w, neck - 4), (128 + w, neck - 4), (128 + w + 6, neck + 30),
                        (128 - w - 6, neck + 30)], scaled(identity.cloth, 0.88))  # fmt: skip
    elif style in (DOTS, BUTTONS):
        _dots(identity, canvas, neck)


def _suit(identity: Identity, canvas: Canvas, neck: float) -> None:
    shirt = mixed(identity.trim, _WHITE, 0.75)
    canvas.polygon([(98, neck + 12), (158, neck + 12), (128, neck + 150)], shirt)
    if identity.light > 0:
        tie: Colour = scaled(identity.trim, 0.7)
        canvas.polygon([(121, neck + 30), (135, neck + 30), (140, neck + 120), (128, neck + 140),
                        (116, neck + 120)], tie)  # fmt: skip
    for side in (-1, 1):
        collar = [(128 + side * 30, neck + 6), (128 + side * 4, neck + 32)]
        canvas.polygon([*collar, (128 + side * 26, neck + 48)], shirt)
        lapel = [(128 + side * 33, neck + 10), (128 + side * 52, neck + 50)]
        canvas.polygon([*lapel, (128 + side * 2, neck + 150)], scaled(identity.cloth, 0.82))


def _dots(identity: Identity, canvas: Canvas, neck: float) -> None:
    if identity.cloth_style == BUTTONS:
        canvas.line([(128, neck + 36), (128, WAIST)], scaled(identity.cloth, 0.75), 2)
        for y in np.arange(neck + 54, WAIST, 28):
            canvas.ellipse((133, y), (3.2, 3.2), identity.trim)
        return
    plain = canvas.without_ink()
    for row, y in enumerate(np.arange(neck + 46, WAIST, 22)):
        for x in np.arange(10 + 12 * (row % 2), UNITS, 24):
            plain.ellipse((float(x), float(y)), (4.5, 4.5), identity.trim)
    _cut_outside(identity, canvas, neck)


def _cut_outside(identity: Identity, canvas: Canvas, neck: float) -> None:
    """Take away what a pattern drew beside the trunk."""
    mask = canvas.blank_mask()
    mask.polygon(_trunk(identity, neck), (255,))
    mask.polygon(_throat(identity, neck), (255,))
    canvas.array[mask.array < 128] = 0
