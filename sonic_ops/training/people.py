"""Who is drawn: everything that tells one person and one picture from another, by seed."""

import colorsys
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.training.drawing import Colour, mixed, scaled

HELD_OUT_EVERY: Final = 10
"""One person in ten is never trained on."""

_SKINS: Final = (
    (255, 219, 190), (241, 194, 155), (224, 172, 125), (198, 134, 88),
    (141, 85, 50), (98, 60, 38), (255, 205, 170), (232, 180, 150),
)  # fmt: skip
_HAIRS: Final = (
    (35, 25, 20), (70, 45, 25), (110, 70, 35), (160, 110, 60), (215, 175, 100),
    (190, 80, 40), (130, 130, 130), (225, 225, 220), (60, 50, 80), (25, 25, 35),
)  # fmt: skip
_IRISES: Final = ((70, 45, 25), (60, 90, 50), (60, 100, 150), (90, 110, 120), (40, 30, 20))

CROPPED, LONG, FRINGE, BOB, SHAVED = range(5)
PLAIN, COLLAR, STRIPES, SCARF = range(4)
GRADIENT, DISCS, BLOCKS, SOFT = range(4)


@dataclass(frozen=True, slots=True)
class Identity:
    """One person in one picture. Lengths are units (a picture has 256), colours RGB 0 to 255."""

    seed: int
    skin: Colour
    shadow: Colour
    hair: Colour
    lip: Colour
    iris: Colour
    cloth: Colour
    trim: Colour
    centre_y: float
    half_width: float
    half_height: float
    jaw_width: float
    eye_y: float
    eye_dx: float
    eye_width: float
    eye_height: float
    brow_y: float
    brow_width: float
    brow_tilt: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    opening: float
    hair_style: int
    hair_length: float
    cloth_style: int
    backdrop: int
    shoulders: float
    glasses: bool
    beard: bool
    moustache: bool
    stubble_hair: bool
    light: float
    shading: float
    zoom: float

    def contour(self, grow: float = 0, num_points: int = 72) -> NDArray[np.float64]:
        """The outline of the face, clockwise from its right side."""
        angle = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
        x, y = np.cos(angle), np.sin(angle)
        narrow = np.where(y > 0, 1 - (1 - self.jaw_width) * np.abs(y) ** 1.5, 1.0)
        round_x = np.sign(x) * np.abs(x) ** 0.92
        return np.stack(
            [
                128 + round_x * narrow * (self.half_width + grow),
                self.centre_y + y * (self.half_height + grow),
            ],
            1,
        )

    def face_box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom in units, where YuNet puts its box (median of 120 people)."""
        middle = self.centre_y + 40  # the head is scaled about this height
        half = BOX_HALF_WIDTH * self.half_width * self.zoom
        top = middle + (self.centre_y - BOX_TOP * self.half_height - middle) * self.zoom
        low = middle + (self.centre_y + BOX_BOTTOM * self.half_height - middle) * self.zoom
        return 128 - half, top, 128 + half, low


BOX_HALF_WIDTH: Final = 0.957
BOX_TOP: Final = 0.846
BOX_BOTTOM: Final = 0.983


def is_held_out(seed: int) -> bool:
    """True for the people that training never sees."""
    return seed % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def draw_identity(seed: int) -> Identity:
    """The person number `seed`, always the same."""
    rng = np.random.default_rng(seed)
    uniform = rng.uniform
    skin = mixed(_pick(rng, _SKINS), _pick(rng, _SKINS), uniform(0, 0.5))
    skin = scaled(skin, uniform(0.92, 1.05))
    hair = mixed(_pick(rng, _HAIRS), _pick(rng, _HAIRS), uniform(0, 0.35))
    centre_y, half_width, half_height = uniform(116, 124), uniform(56, 66), uniform(74, 84)
    eye_y = centre_y - uniform(4, 10)
    lip = mixed(mixed(skin, (190, 60, 70), uniform(0.35, 0.8)), (120, 30, 40), uniform(0, 0.25))
    return Identity(
        seed=seed,
        skin=skin,
        shadow=mixed(skin, (90, 30, 30), 0.30),
        hair=hair,
        lip=lip,
        iris=_pick(rng, _IRISES),
        cloth=_hue(rng, (0.15, 0.8), (0.25, 0.9)),
        trim=_hue(rng, (0.0, 0.6), (0.3, 1.0)),
        centre_y=centre_y,
        half_width=half_width,
        half_height=half_height,
        jaw_width=uniform(0.75, 1.0),
        eye_y=eye_y,
        eye_dx=half_width * uniform(0.38, 0.46),
        eye_width=uniform(11, 14.5),
        eye_height=uniform(6.0, 9.0),
        brow_y=eye_y - uniform(15, 20),
        brow_width=uniform(3, 6.5),
        brow_tilt=uniform(-3, 3),
        nose_y=centre_y + uniform(18, 26),
        nose_width=uniform(7, 12),
        mouth_y=centre_y + half_height * uniform(0.52, 0.60),
        mouth_width=uniform(20, 26),
        upper_lip=uniform(3.2, 6),
        lower_lip=uniform(4.5, 8),
        opening=uniform(24, 32),
        hair_style=int(rng.integers(5)),
        hair_length=uniform(0.75, 1.15),
        cloth_style=int(rng.integers(4)),
        backdrop=int(rng.integers(4)),
        shoulders=uniform(88, 118),
        glasses=bool(uniform() < 0.2),
        beard=bool(uniform() < 0.18),
        moustache=bool(uniform() < 0.15),
        stubble_hair=bool(uniform() < 0.6),
        light=uniform(-1, 1),
        shading=uniform(0.2, 1.25),
        zoom=uniform(0.92, 1.08),
    )


def _pick(rng: np.random.Generator, colours: tuple[tuple[int, int, int], ...]) -> Colour:
    return scaled(colours[rng.integers(len(colours))], 1.0)


def _hue(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    colour = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value))
    return scaled(colour, 255.0)
