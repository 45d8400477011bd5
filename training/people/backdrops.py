"""What is behind the person: walls, lights, shelves, windows, hills."""

import colorsys

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people.drawing import UNITS, Canvas, Colour, mixed, scaled
from training.people.people import (
    BLOCKS,
    DISCS,
    GRADIENT,
    HILLS,
    PANELS,
    SHELVES,
    WALL,
    WINDOW,
    Identity,
)
from training.people.styles import STYLES, brush

_SHARP = (GRADIENT, WALL, PANELS)


def draw_backdrop(identity: Identity, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the picture without the person: size x size x 3."""
    colours = [_hue(rng) for _ in range(4)]
    if identity.backdrop in (WALL, SHELVES, WINDOW, HILLS, PANELS):
        colours = [mixed(c, colours[0], 0.75) for c in colours]
    corners = np.array([colours[:2], colours[2:]], np.float32)
    image = cv2.resize(corners, (size, size), interpolation=cv2.INTER_CUBIC)
    canvas = Canvas(image, pixels_per_unit=size / UNITS)
    if identity.backdrop == DISCS:
        _discs(canvas, colours, rng)
    elif identity.backdrop == BLOCKS:
        _blocks(canvas, colours, rng)
    elif identity.backdrop == SHELVES:
        _shelves(canvas, rng)
    elif identity.backdrop == WINDOW:
        _window(canvas, rng)
    elif identity.backdrop == HILLS:
        _hills(canvas, rng)
    elif identity.backdrop == PANELS:
        _panels(canvas, colours[0], rng)
    if identity.backdrop not in _SHARP:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 5) * size / UNITS)
    if STYLES[identity.style].brushed:
        brush(image, rng, num=260, size=rng.uniform(8, 14))
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _hue(rng: np.random.Generator) -> Colour:
    colour = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.95))
    return scaled(colour, 255.0)


def _discs(canvas: Canvas, colours: list[Colour], rng: np.random.Generator) -> None:
    for _ in range(rng.integers(2, 7)):
        over = canvas.copy()
        centre = (rng.uniform(0, UNITS), rng.uniform(0, UNITS))
        radius = rng.uniform(15, 60)
        over.ellipse(
            centre, (radius, radius), scaled(colours[rng.integers(4)], rng.uniform(0.7, 1.2))
        )
        canvas.array[...] = canvas.array * 0.5 + over.array * 0.5


def _box(canvas: Canvas, left: float, top: float, w: float, h: float, colour: Colour) -> None:
    corners = [(left, top), (left + w, top), (left + w, top + h), (left, top + h)]
    canvas.polygon(corners, colour)


def _blocks(canvas: Canvas, colours: list[Colour], rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        left, top = rng.uniform(-20, UNITS, 2)
        w, h = rng.uniform(30, 110, 2)
        colour = scaled(colours[rng.integers(4)], rng.uniform(0.6, 1.1))
        _box(canvas, left, top, w, h, colour)


def _shelves(canvas: Canvas, rng: np.random.Generator) -> None:
    """Boards with books on them."""
    step, wood = rng.uniform(50, 80), mixed(_hue(rng), (110, 75, 45), 0.7)
    for board in np.arange(rng.uniform(20, 50), UNITS, step):
        left = rng.uniform(-10, 20)
        while left < UNITS:
            w, h = rng.uniform(8, 20), step * rng.uniform(0.5, 0.8)
            if rng.random() < 0.85:
                _box(canvas, left, board - h, w, h, mixed(_hue(rng), (90, 70, 60), 0.3))
            left += w + 1
        _box(canvas, -2, board, UNITS + 4, 5, wood)


def _window(canvas: Canvas, rng: np.random.Generator) -> None:
    w, h = rng.uniform(70, 120), rng.uniform(100, 170)
    left, top = rng.uniform(-30, UNITS - w + 30), rng.uniform(-20, 40)
    frame = mixed(_hue(rng), (245, 243, 238), 0.7)
    sky = mixed((150, 195, 235), _hue(rng), 0.35)
    _box(canvas, left - 6, top - 6, w + 12, h + 12, frame)
    for column in range(2):
        for row in range(2):
            _box(canvas, left + column * (w / 2 + 2), top + row * (h / 2 + 2), w / 2 - 2, h / 2 - 2,
                 scaled(sky, 1.05 - 0.12 * row))  # fmt: skip


def _hills(canvas: Canvas, rng: np.random.Generator) -> None:
    sky = mixed((165, 205, 240), _hue(rng), 0.4)
    _box(canvas, -2, -2, UNITS + 4, UNITS + 4, sky)
    x = np.linspace(-4, UNITS + 4, 30)
    for k in range(int(rng.integers(1, 4))):
        y = (
            120
            + 35 * k
            + rng.uniform(8, 26) * np.sin(x * rng.uniform(0.008, 0.03) + rng.uniform(0, 6))
        )
        ridge = np.stack([x, y], 1)
        green = scaled(mixed((95, 140, 85), _hue(rng), 0.35), 1 - 0.12 * k)
        canvas.polygon(np.concatenate([ridge, [(UNITS + 4, 260), (-4, 260)]]), green)


def _panels(canvas: Canvas, colour: Colour, rng: np.random.Generator) -> None:
    """Wallpaper with broad upright stripes."""
    w, second = rng.uniform(16, 40), scaled(colour, rng.uniform(0.82, 0.93))
    for left in np.arange(rng.uniform(-30, 0), UNITS, 2 * w):
        _box(canvas, left, -2, w, UNITS + 4, second)
