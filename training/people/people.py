"""Who is drawn: everything that tells one person and one picture from another, by seed."""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.people import styles
from training.people.drawing import Colour, Ink, brightness, legible, mixed, scaled

NUM_FAMILIES: Final = 10
"""People of one family have a skull in common; person `seed` is of family `seed % 10`."""
HELD_OUT_FAMILY: Final = 9
"""Training never sees a person of this family, nor the style `styles.HELD_OUT`."""
_LIKENESS: Final = 0.5
"""How much of a face's proportions are the family's."""

_SKINS: Final = (
    (255, 219, 190), (241, 194, 155), (224, 172, 125), (198, 134, 88),
    (141, 85, 50), (98, 60, 38), (255, 205, 170), (232, 180, 150),
)  # fmt: skip
_HAIRS: Final = (
    (35, 25, 20), (70, 45, 25), (110, 70, 35), (160, 110, 60), (215, 175, 100),
    (190, 80, 40), (130, 130, 130), (225, 225, 220), (60, 50, 80), (25, 25, 35),
)  # fmt: skip
_IRISES: Final = ((70, 45, 25), (60, 90, 50), (60, 100, 150), (90, 110, 120), (40, 30, 20))

CROPPED, LONG, FRINGE, BOB, SHAVED, CURLY, BUN, SIDES, PARTED = range(9)
PLAIN, COLLAR, STRIPES, SCARF, SUIT, V_NECK, HOOD, ROLL_NECK, DOTS, BUTTONS = range(10)
GRADIENT, DISCS, BLOCKS, SOFT, WALL, SHELVES, WINDOW, HILLS, PANELS = range(9)
BARE, CAP, BEANIE, BRIM, HEADSCARF, BAND = range(6)
_HATS: Final = (0.66, 0.07, 0.08, 0.06, 0.06, 0.07)
_BROW_CONTRAST: Final = 62


@dataclass(frozen=True, slots=True)
class Identity:
    """One person in one picture. Lengths are units (a picture has 256), colours RGB 0 to 255."""

    seed: int
    skin: Colour
    shadow: Colour
    hair: Colour
    brow: Colour
    lip: Colour
    iris: Colour
    cloth: Colour
    trim: Colour
    hat_colour: Colour
    rim: Colour
    ink: Ink | None
    style: int
    saturation: float
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
    hat: int
    age: float
    freckles: bool
    dot_eyes: bool
    cloth_style: int
    backdrop: int
    shoulders: float
    glasses: bool
    square_glasses: bool
    beard: bool
    moustache: bool
    stubble_hair: bool
    light: float
    shading: float
    zoom: float

    def contour(self, grow: float = 0, num_points: int = 72) -> NDArray[np.float64]:
        """Return the outline of the face, clockwise from its right side."""
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
    """Tell whether training never sees a person; only among them is the held-out style."""
    return seed % NUM_FAMILIES == HELD_OUT_FAMILY


def draw_identity(seed: int) -> Identity:
    """Return the person number `seed`, always the same.

    The order of the draws is part of what a seed means.
    """
    rng = np.random.default_rng(seed)
    family = np.random.default_rng([seed % NUM_FAMILIES, 77])

    def bone(low: float, high: float) -> float:
        share = _LIKENESS * family.uniform(-0.1, 1.1) + (1 - _LIKENESS) * rng.uniform(-0.1, 1.1)
        return float(low + (high - low) * share)

    style = int(rng.choice(list(styles.STYLES) if is_held_out(seed) else styles.TRAINED))
    look = styles.STYLES[style]
    age = rng.uniform() ** 1.5
    skin = mixed(_pick(rng, _SKINS), _pick(rng, _SKINS), rng.uniform(0, 0.5))
    skin = scaled(skin, rng.uniform(0.92, 1.05))
    hair = mixed(_pick(rng, _HAIRS), _pick(rng, _HAIRS), rng.uniform(0, 0.35))
    hair = mixed(hair, (205, 205, 202), max(0.0, age - 0.55) * 2 * rng.uniform(0.5, 1))
    head: dict[str, Any] = {
        "centre_y": bone(116, 124),
        "half_width": bone(55, 67),
        "half_height": bone(73, 85),
    }
    eye_y = head["centre_y"] - bone(4, 10)
    lip = _lip(rng, skin)
    hat, hair_style = _headwear(rng)
    return Identity(
        seed=seed,
        style=style,
        age=age,
        hat=hat,
        hair_style=hair_style,
        eye_y=eye_y,
        **head,
        **_colours(rng, look, skin, hair),
        lip=lip,
        **_features(rng, bone, eye_y, **head),
        **_wardrobe(rng, look, is_flat=style == styles.FLAT, is_fair=brightness(skin) > 110),
    )


def _lip(rng: np.random.Generator, skin: Colour) -> Colour:
    pale = mixed(skin, (190, 60, 70), rng.uniform(0.35, 0.8))
    return mixed(pale, (120, 30, 40), rng.uniform(0, 0.25))


def _headwear(rng: np.random.Generator) -> tuple[int, int]:
    """Return a hat, and hair that fits under it."""
    hat = int(rng.choice(len(_HATS), p=_HATS))
    hair_style = int(rng.integers(9))
    fits = hat in (BARE, BAND) or hair_style not in (CURLY, BUN)
    return hat, hair_style if fits else CROPPED


def _colours(
    rng: np.random.Generator, look: styles.Style, skin: Colour, hair: Colour
) -> dict[str, Any]:
    rim = (30, 30, 34)
    return {
        "skin": skin,
        "shadow": mixed(skin, (90, 30, 30), 0.30),
        "hair": hair,
        "brow": legible(scaled(hair, 0.7), skin, _BROW_CONTRAST),
        "iris": _pick(rng, _IRISES),
        "cloth": _hue(rng, (0.15, 0.8), (0.25, 0.9)),
        "trim": _hue(rng, (0.0, 0.6), (0.3, 1.0)),
        "hat_colour": _hue(rng, (0.1, 0.8), (0.25, 0.9)),
        "rim": legible(
            mixed(rim, _hue(rng, (0.2, 0.9), (0.2, 0.6)), rng.uniform(0, 0.7)), skin, 40
        ),
        "ink": _ink(rng, look, skin),
        "saturation": rng.uniform(*look.saturation),
    }


def _features(
    rng: np.random.Generator,
    bone: Callable[[float, float], float],
    eye_y: float,
    *,
    centre_y: float,
    half_width: float,
    half_height: float,
) -> dict[str, Any]:
    """Return where eyes, brows, nose and mouth are, and how large."""
    return {
        "jaw_width": bone(0.74, 1.0),
        "eye_dx": half_width * bone(0.38, 0.46),
        "eye_width": bone(11, 14.5),
        "eye_height": bone(7.6, 10.2),
        "brow_y": eye_y - bone(18, 22),
        "brow_width": rng.uniform(3.6, 6.5),
        "brow_tilt": rng.uniform(-2.5, 3),
        "nose_y": centre_y + bone(18, 26),
        "nose_width": bone(7, 12),
        "mouth_y": centre_y + half_height * bone(0.52, 0.60),
        "mouth_width": bone(20, 26),
        "upper_lip": bone(3.2, 6),
        "lower_lip": bone(4.5, 8),
        "opening": bone(24, 32),
        "hair_length": rng.uniform(0.75, 1.15),
    }


def _wardrobe(
    rng: np.random.Generator, look: styles.Style, *, is_flat: bool, is_fair: bool
) -> dict[str, Any]:
    """Return all that a person of any skull may have, and the light on it."""
    return {
        "freckles": bool(rng.uniform() < 0.1),
        "dot_eyes": is_flat and bool(rng.uniform() < 0.35) and is_fair,
        "cloth_style": int(rng.integers(10)),
        "backdrop": int(rng.integers(9)),
        "shoulders": rng.uniform(88, 118),
        "glasses": bool(rng.uniform() < 0.2),
        "square_glasses": bool(rng.uniform() < 0.4),
        "beard": bool(rng.uniform() < 0.16),
        "moustache": bool(rng.uniform() < 0.14),
        "stubble_hair": bool(rng.uniform() < 0.6),
        "light": rng.uniform(-1, 1),
        "shading": rng.uniform(0.5, 1.2) * look.shading,
        "zoom": rng.uniform(0.92, 1.08),
    }


def _ink(rng: np.random.Generator, look: styles.Style, skin: Colour) -> Ink | None:
    width = float(rng.uniform(*look.ink))
    if not width:
        return None
    return Ink(mixed((22, 18, 24), scaled(skin, 0.45), look.ink_share), width)


def _pick(rng: np.random.Generator, colours: tuple[tuple[int, int, int], ...]) -> Colour:
    return scaled(colours[rng.integers(len(colours))], 1.0)


def _hue(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    colour = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(*saturation), rng.uniform(*value))
    return scaled(colour, 255.0)
