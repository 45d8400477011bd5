"""Skin, light and backdrop of a rendered head. Colours are linear RGB from 0 to 1.

Shape letters: N points, H, W rows and columns of the texture.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people.heads.mesh import Material, Person, mesh

Array = NDArray[Any]

TEXTURE: Final = 1024
_TONES: Final = np.array([[0.30, 0.18, 0.12], [0.80, 0.62, 0.48], [0.86, 0.67, 0.57]])
_INSIDE: Final = np.array([0.35, 0.10, 0.09])
_TEETH: Final = np.array([0.86, 0.82, 0.74])
_TONGUE: Final = np.array([0.62, 0.30, 0.30])
_IRISES: Final = np.array(
    [[0.25, 0.14, 0.06], [0.22, 0.28, 0.14], [0.30, 0.42, 0.55], [0.36, 0.4, 0.42],
     [0.14, 0.09, 0.05]]
)  # fmt: skip
_SCATTER: Final = (0.38, 0.18, 0.12)
"""How far light goes around the edge in skin: red the furthest."""


def value_noise(
    rng: np.random.Generator, side: int, first: int = 3, last: int = 10, fall: float = 0.7
) -> Array:
    """Smooth noise of unit variance, in octaves."""
    noise = np.zeros((side, side), np.float32)
    for octave in range(first, last):
        cells = min(side, 2**octave)
        part = rng.standard_normal((cells, cells)).astype(np.float32)
        large = cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC)
        noise += large * fall ** (octave - first)
    scaled: Array = noise / noise.std()
    return scaled


@dataclass(frozen=True)
class Skin:
    """Colours (H W 3), bumps and masks (H W) of the texture; iris and clothes; roughness."""

    colours: Array
    bumps: Array
    lips: Array
    inside: Array
    iris: Array
    cloth: Array
    shine: float

    def albedo(self, materials: Array, rows: Array, columns: Array) -> Array:
        """Return the colour of points by material and place: N 3."""
        colours = self.colours[rows, columns]
        teeth = (materials == Material.UPPER_TEETH) | (materials == Material.LOWER_TEETH)
        cloth = self.cloth * (1 + 0.05 * self.bumps[rows, columns, None])
        colours = np.where((materials == Material.CLOTH)[:, None], cloth, colours)
        colours = np.where((materials == Material.TONGUE)[:, None], _TONGUE, colours)
        return np.where(teeth[:, None], _TEETH, colours)

    def depth(self, materials: Array, rows: Array, columns: Array) -> Array:
        """Return how much darker a point is for being inside the mouth."""
        inner = (materials == Material.SKIN) & (self.inside[rows, columns] > 0.5)
        teeth = (materials == Material.UPPER_TEETH) | (materials == Material.LOWER_TEETH)
        conditions = [inner, teeth, materials == Material.TONGUE]
        return np.select(conditions, [0.35, 0.85, 0.5], 1.0)

    def gloss(self, materials: Array, rows: Array, columns: Array) -> Array:
        """Return how much of the light is mirrored."""
        skin = self.shine * (1 + 1.5 * self.lips[rows, columns])
        return np.select(
            [materials == Material.SKIN, materials == Material.CLOTH], [skin, 0.02], 0.5
        )


def draw_skin(person: Person, rng: np.random.Generator) -> Skin:
    """Colours by origin, with patches, pores, freckles and lips."""
    tone = person.races @ _TONES * rng.uniform(0.85, 1.1)
    patches = cv2.resize(value_noise(rng, 512, 3, 8), (TEXTURE, TEXTURE))[..., None]
    fine = value_noise(rng, TEXTURE, 7, 10, 0.9)[..., None]
    colours = np.ones((TEXTURE, TEXTURE, 3)) * tone
    colours *= 1 + 0.05 * patches * np.array([0.4, 1, 1.1])
    colours *= 1 + 0.035 * fine
    if rng.random() < 0.3:
        freckles = np.clip(value_noise(rng, TEXTURE, 7, 9, 1.0) - 1.6, 0, 1)[..., None]
        colours *= 1 - 0.35 * freckles * np.array([0.6, 1, 1])
    lips, inside = (
        cv2.resize(mask, (TEXTURE, TEXTURE)).astype(np.float64) / 255
        for mask in (mesh().lips, mesh().inside)
    )
    lip = tone * np.array([0.86, 0.52, 0.52]) * rng.uniform(0.8, 1.05) * (1 + 0.06 * fine)
    colours += lips[..., None] * (lip - colours)
    colours += inside[..., None] * (_INSIDE - colours)
    return Skin(
        colours.astype(np.float32),
        cv2.GaussianBlur(value_noise(rng, TEXTURE, 7, 10, 1.0), (0, 0), 0.8),
        lips,
        inside,
        _IRISES[rng.integers(len(_IRISES))],
        rng.uniform(0.05, 0.85, 3),
        float(rng.uniform(0.15, 0.5)),
    )


@dataclass(frozen=True)
class Light:
    """A lamp, a sky and a ground, and a rim from behind."""

    lamp: Array
    lamp_colour: Array
    sky: Array
    ground: Array
    rim: Array
    rim_strength: float

    def shade(
        self, albedo: Array, normals: Array, openness: Array, gloss: Array, sharpness: float = 18
    ) -> Array:
        """Return the colours of points (N 3), with `openness` to the sky from 0 to 1."""
        facing = normals @ self.lamp
        soft = np.stack([np.clip((facing + w) / (1 + w), 0, 1) for w in _SCATTER], 1)
        up = normals[:, 1:2] * 0.5 + 0.5
        ambient = self.sky * up + self.ground * (1 - up)
        rim = np.clip(normals @ self.rim, 0, 1)[:, None] * self.rim_strength
        half = self.lamp + np.array([0, 0, 1.0])
        half /= np.linalg.norm(half)
        mirrored = np.clip(normals @ half, 0, 1) ** sharpness * gloss * 0.35 * (facing > 0)
        grazing = ((1 - np.clip(normals[:, 2], 0, 1)) ** 4 * 0.08)[:, None]
        open1 = openness[:, None]
        lit = ambient * open1 + self.lamp_colour * soft * (0.35 + 0.65 * open1) + rim
        return np.asarray(
            albedo * lit + mirrored[:, None] * self.lamp_colour * open1 + grazing * self.sky
        )


def draw_light(rng: np.random.Generator) -> Light:
    """Light from anywhere before the face, warm or cold."""
    around, above = rng.uniform(-1.3, 1.3), rng.uniform(-0.1, 0.9)
    lamp = np.array([np.sin(around) * np.cos(above), np.sin(above), np.cos(around) * np.cos(above)])
    warmth = rng.uniform(-0.12, 0.18)
    colour = np.array([1 + warmth / 2, 1, 1 - warmth]) * rng.uniform(0.45, 0.85)
    sky = rng.uniform(0.25, 0.6) * np.array([1, 1, 1 + rng.uniform(-0.1, 0.1)])
    ground = sky * rng.uniform(0.35, 0.8)
    rim = np.array([rng.choice([-1.0, 1.0]), 0.4, -0.6])
    return Light(lamp, colour, sky, ground, rim / np.linalg.norm(rim), float(rng.uniform(0, 0.5)))


def draw_backdrop(rng: np.random.Generator, side: int) -> Array:
    """Return two colours in soft patches: H W 3."""
    colours = rng.uniform(0.1, 0.9, (2, 3))
    patches = value_noise(rng, side, 1, int(rng.integers(3, 7)), 0.6) * 0.35 + 0.5
    share = patches.clip(0, 1)[..., None]
    backdrop: Array = (colours[0] * share + colours[1] * (1 - share)).astype(np.float32)
    if rng.random() < 0.5:
        backdrop = cv2.GaussianBlur(backdrop, (0, 0), float(rng.uniform(1, 6)))
    return backdrop
