"""Reads poses from pictures by FaceMesh, of drawings too: no network is trained for it.

Shape letters: F frames, H, W rows and columns.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.landmarks import Landmarks, read_landmarks
from training.evaluation.reader import BROWS, HEAD, LIDS, NUM_READ, OPENING, REACH
from training.evaluation.takes import DRAWN, HEADS, PHOTOGRAPHS

Array = NDArray[Any]

WIDE: Final = {DRAWN: 0.22, HEADS: 0.12, PHOTOGRAPHS: 0.12}
"""The gap between the lips at an opening of 1, in heights of the face: a mean of people who are not
held out.
"""
_LEAST: Final = 0.012
"""The gap that is read where lips are shut."""
_BROW: Final = 0.02
"""The way of the brows at 1, in heights of the face."""
_LIDS: Final = 3.0
"""Lids count as shut, 0.5, where the gap is less than 0.83 of the usual one."""
_PERCENT: Final = 100
_BROW_POINTS, _EYE_CORNERS = (105, 334), ((33, 133), (263, 362))


@dataclass(frozen=True, slots=True)
class MeshReader:
    """FaceMesh in the channels of `reader`; the head is the tip of the nose alone, in percent of
    the height of the face.
    """

    wide: float
    """The gap between the lips at an opening of 1, in heights of the face."""

    def read(self, pictures_FHW3: Array, portrait_HW3: Array) -> NDArray[np.float32]:
        """Return the poses of a person's pictures: F NUM_READ."""
        marks = read_track(pictures_FHW3)
        poses = np.zeros((len(marks), NUM_READ), np.float32)
        poses[:, OPENING] = [(mark.mouth_opening - _LEAST) / self.wide for mark in marks]
        height = float(np.mean([mark.face_height for mark in marks]))
        noses = np.stack([mark.nose for mark in marks]) * _PERCENT / height
        poses[:, HEAD][:, -2:] = (noses - noses.mean(0)) / REACH[-2:]
        gaps = np.array([mark.eye_opening for mark in marks])
        poses[:, LIDS] = _LIDS * (1 - gaps / np.median(gaps))
        poses[:, BROWS] = [_brow_height(mark) / _BROW for mark in marks]
        return poses


def read_track(pictures_FHW3: Array) -> list[Landmarks]:
    """Return the points of the face in every frame; where no face is found, it is where it was."""
    box = Box(0, 0, pictures_FHW3.shape[2], pictures_FHW3.shape[1])
    marks = []
    for picture in pictures_FHW3:
        box = next(iter(find_faces(Image.fromarray(picture))), box)
        marks.append(read_landmarks(picture, box))
    return marks


def _brow_height(mark: Landmarks) -> float:
    """Return how far the brows are above the corners of the eyes, in heights of the face."""
    ways = [
        np.linalg.norm(mark.points[brow] - mark.points[list(corners)].mean(0))
        for brow, corners in zip(_BROW_POINTS, _EYE_CORNERS, strict=True)
    ]
    return float(np.mean(ways)) / mark.face_height
