"""The still parts of a picture: backdrop, body and head, each drawn once per person."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.people.backdrops import draw_backdrop
from training.people.clothes import draw_body
from training.people.drawing import UNITS, Array, Canvas, mixed, scaled
from training.people.hair import draw_back_hair, draw_front_hair, draw_hat, draw_strands
from training.people.people import HEADSCARF, Identity
from training.people.styles import FLAT, STYLES, brush

_SIDES: Final = (-1, 1)
_CHEEK: Final = np.array([225, 95, 90], np.float32)


@dataclass(frozen=True, slots=True)
class Layers:
    """Square arrays: backdrop RGB, body and head RGBA, and how far each pixel follows the head.

    The body is higher than wide. `dome` is 1 where the head is nearest to us (it moves most when
    the head turns), `chin` is 1 where the jaw carries the skin along.
    """

    backdrop: NDArray[np.uint8]
    body: NDArray[np.uint8]
    head: NDArray[np.uint8]
    dome: NDArray[np.float32]
    chin: NDArray[np.float32]


def draw_layers(identity: Identity, size: int) -> Layers:
    """Draw the layers `size` pixels wide."""
    rng = np.random.default_rng([identity.seed, 1])
    x, y = _grid(size)
    dome2 = ((x - 128) / (identity.half_width * 1.5)) ** 2
    dome2 += ((y - identity.centre_y) / (identity.half_height * 1.45)) ** 2
    below = identity.centre_y + identity.half_height - identity.mouth_y + 2
    depth = np.clip((y - (identity.mouth_y - 4)) / below, 0, 1)
    side = np.clip(1.25 - np.abs(x - 128) / (identity.half_width * 1.25), 0, 1)
    return Layers(
        backdrop=draw_backdrop(identity, size, rng),
        body=draw_body(identity, size, rng),
        head=_head(identity, size, rng),
        dome=np.sqrt(np.clip(1 - dome2, 0, 1)),
        chin=depth * depth * (3 - 2 * depth) * side,
    )


def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) * np.float32(UNITS / size)
    return x, y


def _head(identity: Identity, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    array = np.zeros((size, size, 4), np.float32)
    canvas = Canvas(array, pixels_per_unit=size / UNITS, ink=identity.ink)
    draw_back_hair(identity, canvas)
    if identity.hat != HEADSCARF:
        _ears(identity, canvas)
    canvas.polygon(identity.contour(), identity.skin)
    _shade_face(identity, array)
    _age(identity, canvas)
    if identity.freckles:
        _freckles(identity, canvas, rng)
    _nose(identity, canvas)
    if identity.moustache:
        _moustache(identity, canvas)
    draw_front_hair(identity, canvas)
    draw_strands(identity, array, rng)
    draw_hat(identity, canvas)
    if STYLES[identity.style].brushed:
        brush(array, rng, num=700, size=rng.uniform(2.5, 4.5))
        _nose(identity, canvas)
    return np.clip(array, 0, 255).astype(np.uint8)


def _ears(identity: Identity, canvas: Canvas) -> None:
    for side in _SIDES:
        ear = 128 + side * (identity.half_width + 1)
        canvas.ellipse((ear, identity.centre_y + 6), (9, 15), scaled(identity.skin, 0.9))
        inner = canvas.without_ink()
        inner.ellipse((ear + side, identity.centre_y + 7), (4, 9), identity.shadow)


def _shade_face(identity: Identity, array: Array) -> None:
    """Light from one side, darker edges, red cheeks and a beard, all inside the contour."""
    size, style = len(array), STYLES[identity.style]
    mask = np.zeros((size, size), np.float32)
    Canvas(mask, pixels_per_unit=size / UNITS).polygon(identity.contour(-1), (1.0,))
    x, y = _grid(size)
    u, v = (x - 128) / identity.half_width, (y - identity.centre_y) / identity.half_height
    if style.cel:
        side = np.sign(identity.light) * u + 0.35 * v
        shade = -0.2 * np.clip((side - 0.62 - 0.12 * np.cos(5 * v)) * 18, 0, 1)
    else:
        edge = np.clip(u * u + v * v * 0.8 - 0.45, 0, 1)
        shade = identity.shading * (0.13 * identity.light * u - 0.16 * edge - 0.05 * v)
    array[..., :3] = np.clip(array[..., :3] * (1 + shade * mask)[..., None], 0, 255)
    for side_x in _SIDES:
        dx = (x - (128 + side_x * identity.half_width * 0.52)) / 17
        dy = (y - (identity.centre_y + 27)) / 13
        spot = np.exp(-(dx**2 + dy**2))
        if identity.style == FLAT or style.cel:
            spot = 0.5 * np.clip((spot - 0.5) * 12, 0, 1)
        _tint(array, 0.22 * mask * spot, _CHEEK)
    if identity.beard:
        low = np.clip((y - (identity.mouth_y - 22)) / 18, 0, 1)
        ring = np.clip((np.hypot(u, v) - 0.42) / 0.2, 0, 1)
        beard = low * ring
        if identity.style == FLAT or identity.ink:
            beard = np.clip((beard - 0.4) * 6, 0, 1.2)
        _tint(array, 0.75 * mask * beard, np.array(identity.hair, np.float32) * 0.9)


def _tint(array: Array, weight: Array, colour: Array) -> None:
    array[..., :3] += weight[..., None] * (colour - array[..., :3])


def _age(identity: Identity, canvas: Canvas) -> None:
    """Draw lines on forehead, under eyes and beside the mouth of the older half."""
    if identity.age < 0.5:
        return
    colour = mixed(identity.skin, identity.shadow, 1.4 * identity.age - 0.3)
    colour = scaled(colour, 0.94)
    for k in range(2):
        y = identity.brow_y - 13 - 9 * k
        t = np.linspace(-1, 1, 9)
        canvas.line(np.stack([128 + 24 * t, y + 2 * t * t], 1), colour, 1.6)
    for side in _SIDES:
        bag = (128 + side * identity.eye_dx, identity.eye_y + 8)
        canvas.ellipse(bag, (identity.eye_width, 8), colour, arc=(30, 150), width=1.6)
        fold = 128 + side * (identity.nose_width + 5)
        end = (128 + side * (identity.mouth_width + 6), identity.mouth_y - 4)
        canvas.line([(fold, identity.nose_y), end], colour, 1.8)


def _freckles(identity: Identity, canvas: Canvas, rng: np.random.Generator) -> None:
    colour = mixed(identity.skin, (120, 60, 30), 0.4)
    plain = canvas.without_ink()
    for dx, dy in rng.normal(0, 1, (26, 2)).tolist():
        x = 128 + identity.half_width * 0.42 * (1 if dx > 0 else -1) + 9 * dx
        plain.ellipse((x, identity.nose_y - 4 + 6 * dy), (1.5, 1.5), colour)


def _nose(identity: Identity, canvas: Canvas) -> None:
    w, y = identity.nose_width, identity.nose_y
    plain = canvas.without_ink()
    colour = identity.ink.colour if identity.ink else scaled(identity.shadow, 0.85)
    tip = [(128 - w, y - 1), (128 - w * 0.5, y + 4), (128, y + 5), (128 + w * 0.5, y + 4)]
    plain.line([*tip, (128 + w, y - 1)], colour, identity.ink.width if identity.ink else 3)
    if identity.style == FLAT:
        return
    side = 1 if identity.light < 0 else -1
    bridge = [(128 + 4 * side, identity.eye_y + 6), (128 + 6 * side, y - 6)]
    plain.line(bridge, mixed(identity.skin, identity.shadow, 0.5), 3)
    plain.ellipse((128 - 2 * side, y - 3), (3, 3), mixed(identity.skin, (255, 255, 255), 0.35))


def _moustache(identity: Identity, canvas: Canvas) -> None:
    w, y = identity.mouth_width * 0.9, identity.mouth_y
    points = [(128 - w, y - 6), (120, y - 14), (128, y - 12), (136, y - 14), (128 + w, y - 6)]
    canvas.without_ink().polygon([*points, (128, y - 9)], identity.hair)
