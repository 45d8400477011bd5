"""The still parts of a picture: backdrop, body and head, each drawn once per person."""

import colorsys
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.training.drawing import UNITS, Array, Canvas, mixed, scaled
from sonic_ops.training.people import (
    BLOCKS,
    BOB,
    COLLAR,
    CROPPED,
    DISCS,
    FRINGE,
    GRADIENT,
    LONG,
    SCARF,
    SHAVED,
    STRIPES,
    Identity,
)

_SIDES: Final = (-1, 1)
_CHEEK: Final = np.array([225, 95, 90], np.float32)


@dataclass(frozen=True, slots=True)
class Layers:
    """Square arrays: backdrop RGB, body and head RGBA, and how far each pixel follows the head.

    `dome` is 1 where the head is nearest to us (it moves most when the head turns), `chin` is 1
    where the jaw carries the skin along.
    """

    backdrop: NDArray[np.uint8]
    body: NDArray[np.uint8]
    head: NDArray[np.uint8]
    dome: NDArray[np.float32]
    chin: NDArray[np.float32]


def draw_layers(identity: Identity, size: int) -> Layers:
    """Draw the layers `size` x `size` pixels large."""
    rng = np.random.default_rng([identity.seed, 1])
    x, y = _grid(size)
    dome2 = ((x - 128) / (identity.half_width * 1.5)) ** 2
    dome2 += ((y - identity.centre_y) / (identity.half_height * 1.45)) ** 2
    below = identity.centre_y + identity.half_height - identity.mouth_y + 2
    depth = np.clip((y - (identity.mouth_y - 4)) / below, 0, 1)
    side = np.clip(1.25 - np.abs(x - 128) / (identity.half_width * 1.25), 0, 1)
    return Layers(
        backdrop=_backdrop(identity, size, rng),
        body=_body(identity, size),
        head=_head(identity, size, rng),
        dome=np.sqrt(np.clip(1 - dome2, 0, 1)),
        chin=depth * depth * (3 - 2 * depth) * side,
    )


def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) * np.float32(UNITS / size)
    return x, y


def _backdrop(identity: Identity, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    hues = [
        np.array(
            colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.05, 0.5), rng.uniform(0.35, 0.95))
        )
        * 255
        for _ in range(4)
    ]
    corners = np.array([hues[:2], hues[2:]], np.float32)
    image = cv2.resize(corners, (size, size), interpolation=cv2.INTER_CUBIC)
    canvas = Canvas(image, pixels_per_unit=size / UNITS)
    if identity.backdrop == DISCS:
        for _ in range(rng.integers(2, 7)):
            over = canvas.copy()
            centre = (rng.uniform(0, UNITS), rng.uniform(0, UNITS))
            radius = rng.uniform(15, 60)
            colour = scaled(hues[rng.integers(4)].tolist(), rng.uniform(0.7, 1.2))
            over.ellipse(centre, (radius, radius), colour)
            image[...] = image * 0.5 + over.array * 0.5
    if identity.backdrop == BLOCKS:
        for _ in range(rng.integers(1, 4)):
            left, top = rng.uniform(-20, UNITS, 2)
            w, h = rng.uniform(30, 110, 2)
            corner = [(left, top), (left + w, top), (left + w, top + h), (left, top + h)]
            canvas.polygon(corner, scaled(hues[rng.integers(4)].tolist(), rng.uniform(0.6, 1.1)))
    if identity.backdrop != GRADIENT:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 6) * size / UNITS)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _body(identity: Identity, size: int) -> NDArray[np.uint8]:
    array = np.zeros((size, size, 4), np.float32)
    canvas = Canvas(array, pixels_per_unit=size / UNITS)
    neck = identity.centre_y + identity.half_height
    angle = np.linspace(np.pi, 2 * np.pi, 40)
    arch = np.stack([128 + identity.shoulders * np.cos(angle), neck + 66 + 50 * np.sin(angle)], 1)
    canvas.polygon(np.concatenate([arch, [(300, 330), (-40, 330)]]), identity.cloth)
    _clothes(identity, canvas, neck)
    w = identity.half_width * 0.55
    throat = [(128 - w, neck - 34), (128 + w, neck - 34), (128 + w * 1.05, neck + 16)]
    throat += [(128, neck + 36), (128 - w * 1.05, neck + 16)]
    canvas.polygon(throat, scaled(identity.shadow, 0.92))
    x, y = _grid(size)
    shade = 0.14 * identity.light * (x - 128) / 128 - 0.10 * np.clip((y - neck - 30) / 80, 0, 1)
    shade = np.clip(1 + identity.shading * shade, 0.6, 1.3)
    array[..., :3] *= shade[..., None]
    return np.clip(array, 0, 255).astype(np.uint8)


def _clothes(identity: Identity, canvas: Canvas, neck: float) -> None:
    if identity.cloth_style == COLLAR:
        canvas.polygon([(102, neck + 12), (154, neck + 12), (128, neck + 70)], identity.trim)
    if identity.cloth_style == STRIPES:
        colour = scaled(identity.trim, 0.9)
        for k in range(4):
            axes = (identity.shoulders * 1.1, 30 + k * 22)
            canvas.ellipse((128, neck + 110), axes, colour, arc=(180, 360), width=4)
    if identity.cloth_style == SCARF:
        points = [(90, neck + 20), (128, neck + 62), (166, neck + 20), (150, 260), (106, 260)]
        canvas.polygon(points, identity.trim)


def _head(identity: Identity, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    array = np.zeros((size, size, 4), np.float32)
    canvas = Canvas(array, pixels_per_unit=size / UNITS)
    _back_hair(identity, canvas)
    for side in _SIDES:
        ear = 128 + side * (identity.half_width + 1)
        canvas.ellipse((ear, identity.centre_y + 6), (9, 15), scaled(identity.skin, 0.9))
        canvas.ellipse((ear + side, identity.centre_y + 7), (4, 9), identity.shadow)
    canvas.polygon(identity.contour(), identity.skin)
    _shade_face(identity, array)
    _nose(identity, canvas)
    if identity.moustache:
        _moustache(identity, canvas)
    _front_hair(identity, canvas)
    _strands(identity, array, rng)
    return np.clip(array, 0, 255).astype(np.uint8)


def _back_hair(identity: Identity, canvas: Canvas) -> None:
    w, h, y = identity.half_width, identity.half_height, identity.centre_y
    if identity.hair_style in (LONG, BOB):
        colour = scaled(identity.hair, 0.8)
        low = y + h * identity.hair_length
        sides = [(128 - w - 12, y - 20), (128 + w + 12, y - 20), (128 + w + 16, low)]
        canvas.polygon([*sides, (128 - w - 16, low)], colour)
        canvas.ellipse((128, y - 22), (w + 13, h - 4), colour)
    elif identity.hair_style != SHAVED:
        canvas.ellipse((128, y - 18), (w + 8, h - 6), identity.hair, arc=(150, 390))


def _shade_face(identity: Identity, array: Array) -> None:
    """Light from one side, darker edges, red cheeks and a beard, all inside the contour."""
    size = len(array)
    mask = np.zeros((size, size), np.float32)
    Canvas(mask, pixels_per_unit=size / UNITS).polygon(identity.contour(), (1.0,))
    x, y = _grid(size)
    u, v = (x - 128) / identity.half_width, (y - identity.centre_y) / identity.half_height
    edge = np.clip(u * u + v * v * 0.8 - 0.45, 0, 1)
    shade = identity.shading * (0.13 * identity.light * u - 0.16 * edge - 0.05 * v)
    array[..., :3] = np.clip(array[..., :3] * (1 + shade * mask)[..., None], 0, 255)
    for side in _SIDES:
        dx = (x - (128 + side * identity.half_width * 0.52)) / 17
        dy = (y - (identity.centre_y + 27)) / 13
        _tint(array, 0.22 * mask * np.exp(-(dx**2 + dy**2)), _CHEEK)
    if identity.beard:
        low = np.clip((y - (identity.mouth_y - 22)) / 18, 0, 1)
        ring = np.clip((np.hypot(u, v) - 0.42) / 0.2, 0, 1)
        _tint(array, 0.75 * mask * low * ring, np.array(identity.hair, np.float32) * 0.9)


def _tint(array: Array, weight: Array, colour: Array) -> None:
    array[..., :3] += weight[..., None] * (colour - array[..., :3])


def _nose(identity: Identity, canvas: Canvas) -> None:
    w, y = identity.nose_width, identity.nose_y
    tip = [(128 - w, y - 1), (128 - w * 0.5, y + 4), (128, y + 5), (128 + w * 0.5, y + 4)]
    canvas.line([*tip, (128 + w, y - 1)], scaled(identity.shadow, 0.85), 3)
    side = 1 if identity.light < 0 else -1
    bridge = [(128 + 4 * side, identity.eye_y + 6), (128 + 6 * side, y - 6)]
    canvas.line(bridge, mixed(identity.skin, identity.shadow, 0.5), 3)
    canvas.ellipse((128 - 2 * side, y - 3), (3, 3), mixed(identity.skin, (255, 255, 255), 0.35))


def _moustache(identity: Identity, canvas: Canvas) -> None:
    w, y = identity.mouth_width * 0.9, identity.mouth_y
    points = [(128 - w, y - 6), (120, y - 14), (128, y - 12), (136, y - 14), (128 + w, y - 6)]
    canvas.polygon([*points, (128, y - 9)], identity.hair)


def _front_hair(identity: Identity, canvas: Canvas) -> None:
    w, h, y = identity.half_width, identity.half_height, identity.centre_y
    top = identity.contour(5)
    if identity.hair_style == CROPPED:
        lower = [(0.9, -0.48), (0.3, -0.66), (-0.5, -0.58), (-0.95, -0.35)]
        cap = top[37:72]
    elif identity.hair_style == LONG:
        lower = [(1.02, 0), (0.82, -0.45), (0.1, -0.74), (-0.82, -0.35), (-1.02, 0)]
        cap = top[36:72]
    elif identity.hair_style == FRINGE:
        lower = [(1 - k / 4, -0.50 - 0.12 * (k % 2)) for k in range(9)]
        cap = top[37:72]
    elif identity.hair_style == BOB:
        lower = [(0.98, -0.42), (-0.98, -0.42)]
        cap = top[36:72]
    elif identity.stubble_hair:
        lower = [(0.6, -0.74), (-0.6, -0.74)]
        cap = identity.contour(2)[40:69]
    else:
        return
    line = [(128 + w * dx, y + h * dy) for dx, dy in lower]
    canvas.polygon(np.concatenate([cap, line]), identity.hair)


def _strands(identity: Identity, array: Array, rng: np.random.Generator) -> None:
    """Streaks of light and dark along the hair."""
    noise = cv2.resize(rng.random((UNITS, UNITS)).astype(np.float32), array.shape[:2])
    scale = len(array) / UNITS
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=1.5 * scale, sigmaY=9 * scale)
    near = np.abs(array[..., :3] - np.array(identity.hair, np.float32)).sum(-1) < 40
    streaks = (noise - noise.mean()) * 180 * (near & (array[..., 3] > 0))
    array[..., :3] += streaks[..., None]
