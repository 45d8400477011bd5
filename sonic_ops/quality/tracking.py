"""Where the face of a video is, frame by frame, and the face held still.

Points of the upper face in the first frame are found again in every other frame, each time from
the first one, so that no error adds up. The mouth has no say in where the face is.
Shape letters: H, W rows and columns, P points, S sides of the face as it is held still.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import Box, find_faces

FACE_SIDE: Final = 96
"""Rows and columns of the face that is held still."""
MOUTH: Final = (slice(60, 93), slice(21, 75))
"""The mouth and the chin in it: a detector's box ends at the chin, and the mouth is at 77 %."""
EYES: Final = (slice(14, 58), slice(10, 86))
"""Brows and eyes."""

_TRACKED_SIDE: Final = 160
_AROUND: Final = 0.3  # how far beyond the box the head is looked for, in sizes of the box
_UPPER: Final = 0.62
_MAX_POINTS, _MIN_POINTS = 60, 6
_SURE_PX: Final = 2.0
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


def face_of(picture_HW3: Bytes) -> tuple[Box, bool]:
    """Return the box of the largest face and True, or a typical box and False."""
    faces = find_faces(Image.fromarray(picture_HW3))
    if faces:
        return faces[0], True
    height, width = picture_HW3.shape[:2]
    side = min(height, width) / 2
    return Box((width - side) / 2, (height - side) / 2.2, side, 1.25 * side), False


def cut_face(picture_HW3: Bytes, box: Box) -> Bytes:
    """Crop a box and scale it to `FACE_SIDE`."""
    return _warped(picture_HW3, _to_square(box))


class FaceTracker:
    """Holds the face of one video still. Frames must come in order.

    Source of the tracking: Lucas and Kanade (1981) in pyramids, as OpenCV has it; of the movement:
    the similarity that most points agree on (RANSAC).
    """

    def __init__(self, first_HW3: Bytes, box: Box) -> None:
        self._box = box
        self._scale = min(_TRACKED_SIDE / ((1 + 2 * _AROUND) * max(box.width, box.height)), 1.0)
        self._first = self._seen(first_HW3)
        self._points = self._find_points()
        self._last = self._points
        self._moved = np.eye(2, 3)

    def hold(self, picture_HW3: Bytes) -> Held:
        """Add the next frame."""
        if len(self._points) >= _MIN_POINTS:
            self._follow(self._seen(picture_HW3))
        back = _inverse(self._moved)
        middle = np.array(
            [self._box.x + self._box.width / 2, self._box.y + self._box.height / 2, 1]
        )
        dx, dy = (self._moved @ middle - middle[:2]) / self._box.width
        face = _warped(picture_HW3, _chained(_to_square(self._box), back))
        grown = float(np.hypot(*self._moved[:, 0]))
        return Held(face, (float(dx), float(dy)), grown)

    def _seen(self, picture_HW3: Bytes) -> Bytes:
        grey = cv2.cvtColor(picture_HW3, cv2.COLOR_RGB2GRAY)
        size = [max(round(side * self._scale), 16) for side in reversed(grey.shape)]
        return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))

    def _find_points(self) -> NDArray[np.float32]:
        """Corners in the upper face: P 1 2."""
        box, mask = self._box.scaled(self._scale), np.zeros_like(self._first)
        top, bottom = box.y - 0.1 * box.height, box.y + _UPPER * box.height
        left, right = box.x - 0.1 * box.width, box.x + 1.1 * box.width
        rows, columns = (
            slice(max(int(low), 0), max(int(high), 0))
            for low, high in ((top, bottom), (left, right))
        )
        mask[rows, columns] = 255
        found = cv2.goodFeaturesToTrack(self._first, _MAX_POINTS, 0.01, 4, mask=mask)
        return np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found)

    def _follow(self, seen: Bytes) -> None:
        """Track the points from the first frame, starting from their last places."""
        points, known, _ = cv2.calcOpticalFlowPyrLK(
            self._first, seen, self._points, self._last.copy(),
            winSize=(15, 15), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        kept = known[:, 0] == 1
        self._last = np.where(kept[:, None, None], points, self._points)
        if kept.sum() < _MIN_POINTS:
            return
        moved, _ = cv2.estimateAffinePartial2D(
            self._points[kept], points[kept], ransacReprojThreshold=_SURE_PX
        )
        if moved is not None:
            moved[:, 2] /= self._scale
            self._moved = moved


def _to_square(box: Box) -> Floats:
    x, y = FACE_SIDE / box.width, FACE_SIDE / box.height
    return np.array([[x, 0, -box.x * x], [0, y, -box.y * y]])


def _warped(picture_HW3: Bytes, matrix: Floats) -> Bytes:
    size = (FACE_SIDE, FACE_SIDE)
    warped: Bytes = cv2.warpAffine(
        picture_HW3, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return warped


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(cv2.invertAffineTransform(matrix))


def _chained(after: Floats, before: Floats) -> Floats:
    return np.asarray(after @ np.vstack([before, [0, 0, 1]]))
