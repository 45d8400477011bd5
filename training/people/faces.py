"""A procedural portrait with a controlled mouth, head, eyes and brows.

A pose is 15 channels in the order of `motion`: jaw, width, rounding, press, teeth, tongue, yaw,
pitch, roll, shift x, shift y, blink, brow, gaze x, gaze y.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.people.drawing import UNITS, Canvas, Ink, mixed, scaled
from training.people.layers import Layers, draw_layers
from training.people.motion import NUM_CHANNELS
from training.people.people import Identity
from training.people.styles import FLAT, paper, saturation_matrix

NEUTRAL: Final = np.zeros(NUM_CHANNELS, np.float32)
OVERSAMPLING: Final = 2
"""Pictures are drawn this many times larger and averaged."""
_FEATURE_INK: Final = 0.5
"""Width of the lines around lips and eyes against those around the head."""

_DARK_MOUTH: Final = (62, 16, 22)
_TONGUE: Final = (185, 75, 80)
_UPPER_TEETH: Final = (242, 238, 228)
_LOWER_TEETH: Final = (228, 222, 212)


class Pose(NamedTuple):
    """One row of a track, by name."""

    jaw: float
    width: float
    rounding: float
    press: float
    teeth: float
    tongue: float
    yaw: float
    pitch: float
    roll: float
    shift_x: float
    shift_y: float
    blink: float
    brow: float
    gaze_x: float
    gaze_y: float


@dataclass(frozen=True, slots=True)
class Framing:
    """Which part of the picture is shown: magnification about the point (x, y), in units."""

    zoom: float = 1.0
    x: float = 128.0
    y: float = 128.0

    def to_picture(self) -> NDArray[np.float64]:
        """Return the 2 x 3 map from shown units to picture units."""
        k = 1 / self.zoom
        return np.array([[k, 0, self.x - 128 * k], [0, k, self.y - 128 * k]])

    def shown(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Return a box of the picture in shown units."""
        left, top, right, bottom = box
        x0, x1 = ((x - self.x) * self.zoom + 128 for x in (left, right))
        y0, y1 = ((y - self.y) * self.zoom + 128 for y in (top, bottom))
        return x0, y0, x1, y1


class Portraitist:
    """Draws one person in one framing; `paint` gives a picture of `size` x `size` pixels."""

    def __init__(self, identity: Identity, *, size: int, framing: Framing | None = None) -> None:
        self.identity = identity
        self.size = size
        self.canvas_size = size * OVERSAMPLING
        self.framing = framing or Framing()
        self.scale = self.canvas_size / UNITS
        self.layers = self._framed(draw_layers(identity, self.canvas_size))
        ys, xs = np.mgrid[0 : self.canvas_size, 0 : self.canvas_size].astype(np.float32)
        self.x, self.y = xs / self.scale, ys / self.scale
        ink = identity.ink
        self.fine_ink = ink and Ink(ink.colour, ink.width * _FEATURE_INK)
        self.colours = saturation_matrix(identity.saturation)
        self.paper = paper(identity.style, size, np.random.default_rng([identity.seed, 2]))

    def paint(self, pose: ArrayLike) -> NDArray[np.uint8]:
        """Return the picture at a pose (15 channels): size x size x 3."""
        p = Pose(*(float(v) for v in np.asarray(pose)))
        picture = self.layers.backdrop.astype(np.float32)
        for layer in (self._body(p), self._head(p)):
            small = cv2.resize(layer, (self.size, self.size), interpolation=cv2.INTER_AREA)
            alpha = small[..., 3:].astype(np.float32) / 255
            picture += alpha * (small[..., :3] - picture)
        picture = cv2.transform(picture, self.colours) * self.paper
        return np.asarray(np.clip(picture, 0, 255), np.uint8)

    def mouth_centre(self, pose: ArrayLike) -> tuple[float, float]:
        """Return where the mouth is at a pose, in shown units."""
        return self._shown(pose, self.identity.mouth_y + 4)

    def eye_centre(self, pose: ArrayLike) -> tuple[float, float]:
        """Return where the point between the eyes is at a pose, in shown units."""
        return self._shown(pose, self.identity.eye_y)

    def _shown(self, pose: ArrayLike, height: float) -> tuple[float, float]:
        """Return where a point in the middle of the face is at a pose, in shown units."""
        p = Pose(*(float(v) for v in np.asarray(pose)))
        to_head = self._to_head(p)
        point = (128 + p.yaw * 9, height + p.pitch * 6)
        inverse = np.linalg.inv(to_head[:, :2])
        x, y = inverse @ (np.array(point) - to_head[:, 2])
        return float(x), float(y)

    def _framed(self, layers: Layers) -> Layers:
        """Dome and chin moved into the framing once; body and head move with the pose.

        The backdrop fills whatever is shown.
        """
        matrix = self.framing.to_picture()
        small = cv2.resize(layers.backdrop, (self.size, self.size), interpolation=cv2.INTER_AREA)
        dome = _warp(layers.dome, matrix, self.scale, cv2.BORDER_REPLICATE)
        chin = _warp(layers.chin, matrix, self.scale, cv2.BORDER_REPLICATE)
        return Layers(np.asarray(small, np.uint8), layers.body, layers.head, dome, chin)

    def _body(self, pose: Pose) -> NDArray[np.uint8]:
        matrix = self.framing.to_picture()
        matrix[:, 2] -= (pose.shift_x * 3 + pose.roll * 2, pose.shift_y * 2)
        return np.asarray(_warp(self.layers.body, matrix, self.scale, cv2.BORDER_REPLICATE))

    def _to_head(self, pose: Pose) -> NDArray[np.float64]:
        """Return the 2 x 3 map from shown units to the head texture, without its bending."""
        centre = np.array([128.0, self.identity.centre_y + 40])
        cos, sin = np.cos(pose.roll * 0.12), np.sin(pose.roll * 0.12)
        turn = np.array([[cos, sin], [-sin, cos]]) / self.identity.zoom
        moved = centre + np.array([pose.shift_x * 9, pose.shift_y * 6])
        offset = centre - turn @ moved
        picture = self.framing.to_picture()
        return np.concatenate(
            [turn @ picture[:, :2], (turn @ picture[:, 2] + offset)[:, None]], axis=1
        )

    def _head(self, pose: Pose) -> NDArray[np.uint8]:
        canvas = Canvas(self.layers.head.copy(), pixels_per_unit=self.scale, ink=self.fine_ink)
        draw_eyes(canvas, self.identity, pose)
        draw_mouth(canvas, self.identity, pose)
        m = self._to_head(pose).astype(np.float32)
        jaw = np.float32(pose.jaw * (1 - pose.press) * 10)
        x = self.x * m[0, 0] + self.y * m[0, 1] + m[0, 2]
        y = self.x * m[1, 0] + self.y * m[1, 1] + m[1, 2]
        x -= np.float32(pose.yaw * 11) * self.layers.dome
        y -= np.float32(pose.pitch * 8) * self.layers.dome + jaw * self.layers.chin
        k = np.float32(self.scale)
        return np.asarray(
            cv2.remap(canvas.array, x * k, y * k, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        )


def _warp(array: NDArray[Any], matrix: NDArray[np.float64], scale: float, border: int) -> Any:
    """Sample `array` at `matrix` (given in units) for each pixel."""
    pixels = matrix.copy()
    pixels[:, 2] *= scale
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    width = array.shape[1]
    return cv2.warpAffine(array, pixels, (width, width), flags=flags, borderMode=border)


def draw_mouth(canvas: Canvas, identity: Identity, pose: Pose) -> None:
    """Lips, and behind them teeth and tongue if they are open."""
    x0, y0, pressed, rounded = 128.0, identity.mouth_y, 1 - pose.press, pose.rounding
    w = identity.mouth_width * (1 + 0.20 * pose.width - 0.36 * rounded)
    gap = identity.opening * min(max(pose.jaw, 0.0), 1.1) * (1 - 0.25 * rounded) * pressed
    gap += 3.5 * rounded * pressed
    upper = identity.upper_lip * (1 - 0.55 * pose.press) * (1 + 0.25 * rounded)
    lower = identity.lower_lip * (1 - 0.5 * pose.press) * (1 + 0.25 * rounded)
    t = np.linspace(-1, 1, 17)
    arch, lip = np.sqrt(np.clip(1 - t * t, 0, 1)), (1 - t * t) ** 0.8
    corner = -1.2 * pose.width * t * t
    inner_top = y0 - gap * 0.22 * arch**0.8 + corner
    inner_low = y0 + gap * 0.78 * arch**0.8 + corner
    outer_top = inner_top - upper * lip * (1 - 0.28 * np.exp(-((t / 0.22) ** 2)))
    outer_low = inner_low + lower * lip
    wide, x = x0 + t * (w + 2.5), x0 + t * w
    canvas.polygon(_between(wide, outer_top - 0.6, outer_low + 0.6), identity.lip)
    shine = np.stack([x0 + t[3:14] * w * 0.8, outer_low[3:14] - lower * 0.45], 1)
    if identity.style != FLAT:
        canvas.line(shine, mixed(identity.lip, (255, 230, 225), 0.25), 2)
    if gap <= 1.2:
        dark = identity.ink.colour if identity.ink else scaled(identity.lip, 0.55)
        canvas.line(np.stack([x, y0 + gap * 0.3 + corner + 0.4], 1), dark, 2)
        return
    part = canvas.without_ink().part(x0 - w - 4, y0 - gap * 0.3 - 6, x0 + w + 5, y0 + gap + 8)
    mask, inside = part.blank_mask(), part.copy()
    mask.polygon(_between(x, inner_top, inner_low), (255,))
    inside.array[...] = (*_DARK_MOUTH, 255)
    tongue = (x0, y0 + gap * (0.95 - 0.35 * pose.tongue))
    inside.ellipse(tongue, (w * 0.62, gap * 0.42 + 1), _TONGUE)
    if pose.teeth > 0.05:
        edge = inner_top + min(gap * 0.42, 2 + 5 * pose.teeth) * arch**0.5
        inside.polygon(_between(x, inner_top - 2, edge), _UPPER_TEETH)
    if pose.teeth > 0.6:
        edge = inner_low - 0.6 * min(gap * 0.42, 2 + 5 * pose.teeth) * arch**0.5
        inside.polygon(_between(x, inner_low + 2, edge), _LOWER_TEETH)
    part.paste(inside, mask)


def _between(
    x: NDArray[np.float64], top: NDArray[np.float64], low: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.concatenate([np.stack([x, top], 1), np.stack([x, low], 1)[::-1]])


def draw_eyes(canvas: Canvas, identity: Identity, pose: Pose) -> None:
    """Draw both eyes with their brows, and glasses over them."""
    for side in (-1, 1):
        x = 128 + side * identity.eye_dx
        if identity.dot_eyes:
            _dot_eye(canvas, identity, pose, x)
        else:
            _eye(canvas, identity, pose, x)
        t = np.linspace(-1, 1, 7)
        lift = 4 * (1 - t * t) - t * identity.brow_tilt + pose.brow * (1 - t)
        half = min(identity.eye_width * 1.25, identity.eye_dx - 7)
        brow = np.stack([x + side * t * half, -lift], 1)
        brow[:, 1] += identity.brow_y - 7 * pose.brow
        canvas.line(brow, identity.brow, identity.brow_width)
    if identity.glasses:
        _glasses(canvas, identity)


def _glasses(canvas: Canvas, identity: Identity) -> None:
    w, h, y = identity.eye_width + 6, identity.eye_height + 6, identity.eye_y + 3
    for side in (-1, 1):
        x = 128 + side * identity.eye_dx
        if identity.square_glasses:
            lower = [(w, h * 0.7), (w * 0.8, h), (-w * 0.8, h), (-w, h * 0.7)]
            rim = np.array([(-w, -h), (w, -h), *lower, (-w, -h)])
            canvas.line(rim + np.array([x, y]), identity.rim, 2.6)
        else:
            canvas.ellipse((x, y), (w, h), identity.rim, width=2.6)
    inner = identity.eye_dx - w
    canvas.line([(128 - inner, y - 2), (128 + inner, y - 2)], identity.rim, 2.6)


def _closed_eye(canvas: Canvas, identity: Identity, x: float) -> None:
    lid = (x, identity.eye_y - 1)
    axes, colour = (identity.eye_width, 3), scaled(identity.shadow, 0.45)
    canvas.ellipse(lid, axes, colour, arc=(10, 170), width=3)


def _dot_eye(canvas: Canvas, identity: Identity, pose: Pose, x: float) -> None:
    h = identity.eye_height * 0.75 * (1 - min(max(pose.blink, 0.0), 1.0))
    if h <= 1:
        _closed_eye(canvas, identity, x)
        return
    centre = (x + pose.gaze_x * 3, identity.eye_y + pose.gaze_y * 2)
    canvas.ellipse(centre, (identity.eye_height * 0.62, h), (24, 20, 22))
    canvas.ellipse((centre[0] - 1.5, centre[1] - h * 0.4), (1.6, 1.6), (255, 255, 255))


def _eye(canvas: Canvas, identity: Identity, pose: Pose, x: float) -> None:
    y, w = identity.eye_y, identity.eye_width
    h = identity.eye_height * (1 - min(max(pose.blink, 0.0), 1.0))
    if h <= 1:
        _closed_eye(canvas, identity, x)
        return
    canvas.ellipse((x, y), (w, h), (246, 244, 240))
    reach = identity.eye_height
    part = canvas.without_ink().part(x - w - 2, y - reach - 2, x + w + 3, y + reach + 3)
    mask, inside = part.blank_mask(), part.copy()
    mask.ellipse((x, y), (w - 1, h - 0.5), (255,))
    radius = min(identity.eye_height * 0.78, 7.2)
    centre = (x + pose.gaze_x * 4, y + pose.gaze_y * 2)
    inside.ellipse(centre, (radius, radius), identity.iris)
    inside.ellipse(centre, (radius * 0.5, radius * 0.5), (15, 12, 12))
    inside.ellipse((centre[0] - 2, centre[1] - 2), (1.7, 1.7), (255, 255, 255))
    part.paste(inside, mask)
    canvas.ellipse((x, y), (w, h), scaled(identity.shadow, 0.35), arc=(190, 350), width=2.6)
