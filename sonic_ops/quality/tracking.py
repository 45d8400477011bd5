"""Where the face of a video is, frame by frame, and the face held still.

Shape letters: H, W rows and columns, S sides of the face as it is held still.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.following import PointTracker

FACE_SIDE: Final = 96
"""Rows and columns of the face that is held still."""
MOUTH: Final = (slice(60, 93), slice(21, 75))
"""The mouth and the chin in it: a detector's box ends at the chin, and the mouth is at 77 %."""
EYES: Final = (slice(14, 58), slice(10, 86))
"""Brows and eyes."""

Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Held:
    """One frame: the face as it would be in the place of the first frame, and how it has moved."""

    face_SS3: Bytes
    moved: tuple[float, float]
    """Right and down, of the middle of the face, in parts of its width."""
    grown: float
    """How large the face is, against the first frame."""


def face_of(frame_HW3: Bytes) -> tuple[Box, bool]:
    """Return the box of the largest face and True, or a typical box and False."""
    faces = find_faces(Image.fromarray(frame_HW3))
    if faces:
        return faces[0], True
    height, width = frame_HW3.shape[:2]
    side = min(height, width) / 2
    return Box((width - side) / 2, (height - side) / 2.2, side, 1.25 * side), False


def cut_face(frame_HW3: Bytes, box: Box) -> Bytes:
    """Crop a box and scale it to `FACE_SIDE`."""
    return _warped(frame_HW3, _to_square(box))


class FaceTracker:
    """Holds the face of one video still. Frames must come in order."""

    def __init__(self, first_HW3: Bytes, box: Box) -> None:
        self._box = box
        self._tracker = PointTracker(first_HW3, box)

    def hold(self, frame_HW3: Bytes) -> Held:
        """Add the next frame."""
        moved = self._tracker.follow(frame_HW3).moved
        back = _inverse(moved)
        middle = np.array(
            [self._box.x + self._box.width / 2, self._box.y + self._box.height / 2, 1]
        )
        dx, dy = (moved @ middle - middle[:2]) / self._box.width
        face = _warped(frame_HW3, _chained(_to_square(self._box), back))
        grown = float(np.hypot(*moved[:, 0]))
        return Held(face, (float(dx), float(dy)), grown)


def _to_square(box: Box) -> Floats:
    x, y = FACE_SIDE / box.width, FACE_SIDE / box.height
    return np.array([[x, 0, -box.x * x], [0, y, -box.y * y]])


def _warped(frame_HW3: Bytes, matrix: Floats) -> Bytes:
    size = (FACE_SIDE, FACE_SIDE)
    warped: Bytes = cv2.warpAffine(
        frame_HW3, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(cv2.invertAffineTransform(matrix))


def _chained(after: Floats, before: Floats) -> Floats:
    return np.asarray(after @ np.vstack([before, [0, 0, 1]]))
