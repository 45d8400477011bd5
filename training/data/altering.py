"""Pictures of one person altered as one: turned, scaled, moved, mirrored, recoloured.

Shape letters: P people, F frames of one person.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Pictures

Array = NDArray[Any]


def altered(pictures: Pictures, rng: np.random.Generator) -> Pictures:
    """Everybody once more, in another place and other colours, as they would look in a mirror."""
    changed = {name: array.copy() for name, array in vars(pictures).items()}
    size = pictures.pictures.shape[2]
    for person, frames in enumerate(changed["pictures"]):
        place, recolour = draw_place(rng, size), draw_colours(rng)
        for frame in frames:
            frame[:] = recolour(placed(frame, place))
        changed["mouths"][person] = moved(pictures.mouths[person], place)
        corners = moved(pictures.boxes[person].reshape(2, 2), place)
        changed["boxes"][person] = np.concatenate([corners.min(0), corners.max(0)])
    return Pictures(**changed)


def draw_place(rng: np.random.Generator, size: int) -> Array:
    """Draw a map of pixels, 2 x 3: a little scaled, turned, moved, and mirrored or not."""
    scale, angle = np.exp(rng.normal(0, 0.12)), rng.normal(0, 0.06)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([rng.choice([-1.0, 1.0]), 1.0])
    centre = np.array([size / 2, size / 2])
    shift = centre + rng.normal(0, size * 10 / 256, 2) - turn @ centre
    return np.concatenate([turn, shift[:, None]], 1)


def mirrors(place: Array) -> bool:
    """Tell whether a map of pixels turns left into right."""
    return bool(np.linalg.det(place[:, :2]) < 0)


def placed(picture: Array, place: Array) -> Array:
    """Return a square picture, its pixels moved."""
    size, border = picture.shape[:2], cv2.BORDER_REFLECT_101
    return np.asarray(
        cv2.warpAffine(picture, place, size, flags=cv2.INTER_CUBIC, borderMode=border)
    )


def moved(points: Array, place: Array) -> Array:
    """Return where points (... x 2) of a picture are afterwards."""
    return np.asarray(points @ place[:, :2].T + place[:, 2])


def draw_colours(rng: np.random.Generator) -> Callable[[Array], Array]:
    """Return a change of colours: channels in another order, brighter or darker."""
    order = rng.permutation(3) if rng.random() < 0.3 else np.arange(3)
    gamma = np.exp(rng.normal(0, 0.25)) if rng.random() < 0.5 else 1.0
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda picture: table[picture[..., order]]
