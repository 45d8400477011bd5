"""People who can be painted at any pose: drawings, and rendered heads. Places are in pixels."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from training.people.drawing import UNITS
from training.people.faces import NEUTRAL, Framing, Portraitist
from training.people.heads.painter import HeadPainter
from training.people.people import Identity, draw_identity

Array = NDArray[Any]
World = Literal["drawn", "heads"]

_TIGHT, _WIDE = 0.10, 0.18
"""Shares of the framings that are closer and wider than the renderer's crop."""
_SMILING: Final = 0.4
"""Share of the heads whose portrait smiles, as photographs do."""
_MOST_SMILE: Final = 1.3
_KEPT: Final = 0.4
"""How much of the smile of a portrait stays when the person speaks."""
_HALF_WIDTH, _ABOVE, _BELOW = 1.16, 1.03, 1.48
"""YuNet's box of a head (mean of 24): half of its width against the distance of the eyes; how far
it reaches over the eyes and under them, against the distance of eyes and mouth."""


@dataclass(frozen=True)
class Sitter:
    """One person in one framing."""

    painter: Portraitist | HeadPainter
    box: tuple[float, float, float, float]
    """The face as a detector sees it: left, top, right, bottom."""
    smile: float = 0.0

    def paint(self, pose: Array, *, is_portrait: bool = False) -> Array:
        """Return the picture at a pose; a portrait smiles more than a person who speaks."""
        if isinstance(self.painter, Portraitist):
            return self.painter.paint(pose)
        return self.painter.paint(pose, self.smile_at(is_portrait=is_portrait))

    def smile_at(self, *, is_portrait: bool) -> float:
        """Return how much of a smile is beneath what the face says."""
        return self.smile * (1 if is_portrait else _KEPT)

    def mouth_centre(self, pose: Array) -> Array:
        """Return where the mouth is at a pose."""
        centre = np.array(self.painter.mouth_centre(pose), np.float32)
        is_drawn = isinstance(self.painter, Portraitist)
        return centre * (self.painter.size / UNITS) if is_drawn else centre


def draw_sitter(world: World, seed: int, rng: np.random.Generator, *, size: int) -> Sitter:
    """Person `seed` of one world, in a framing of its own."""
    if world == "heads":
        head = HeadPainter(seed, size=size)
        smile = float(rng.uniform(0.2, _MOST_SMILE)) if rng.random() < _SMILING else 0.0
        return Sitter(head, head_box(head), smile)
    identity = draw_identity(seed)
    framing = draw_framing(identity, rng)
    left, top, right, bottom = (v * size / UNITS for v in framing.shown(identity.face_box()))
    return Sitter(Portraitist(identity, size=size, framing=framing), (left, top, right, bottom))


def head_box(head: HeadPainter) -> tuple[float, float, float, float]:
    """Return where YuNet puts its box around a head that looks at us."""
    (x, eye_y), (_, mouth_y) = head.eye_centre(NEUTRAL), head.mouth_centre(NEUTRAL)
    half = _HALF_WIDTH * head.eye_distance
    reach = mouth_y - eye_y
    return x - half, eye_y - _ABOVE * reach, x + half, eye_y + _BELOW * reach


def draw_framing(identity: Identity, rng: np.random.Generator) -> Framing:
    """Mostly the renderer's square crop around the face, off by a little; else tight or wide.

    The widest are half-length portraits, whose head is in the upper part.
    """
    left, top, right, bottom = identity.face_box()
    side = 2 * min(right - left, bottom - top)
    kind, drop = rng.random(), 0.0
    if kind < _TIGHT:
        zoom = rng.uniform(1.12, 1.4)
    elif kind < _TIGHT + _WIDE:
        zoom = rng.uniform(0.5, 0.88)
        drop = side * (1 / zoom - 1) * rng.uniform(0.1, 0.32)
    else:
        zoom = rng.uniform(0.88, 1.12)
    return Framing(
        zoom=UNITS / side * zoom,
        x=(left + right) / 2 + side * rng.uniform(-0.06, 0.06),
        y=(top + bottom) / 2 + side * rng.uniform(-0.06, 0.06) + drop,
    )
