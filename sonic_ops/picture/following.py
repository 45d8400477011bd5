"""Follow the upper part of a face from frame to frame, to a tenth of a pixel.

Points of the upper face in the first frame are found again in every other one, each time from
the first one, so that no error adds up. The mouth has no say in where the face is.
Shape letters: H, W rows and columns, P points.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.picture.faces import Box

_TRACKED_SIDE: Final = 160
_AROUND: Final = 0.3  # how far beyond the box the head is looked for, in sizes of the box
_UPPER: Final = 0.62
_MAX_POINTS, MIN_POINTS = 60, 6
_SURE_PX: Final = 2.0
Bytes = NDArray[np.uint8]
Matrix = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Followed:
    """How a face has moved since the first frame (2 x 3), and how many points agree on it."""

    moved: Matrix
    share: float  # of the points of the first frame; 0 if they were too few


class PointTracker:
    """Finds the similarity that leads from a first frame to others, which come in order.

    Source of the tracking: Lucas and Kanade (1981) in pyramids, as OpenCV has it; of the movement:
    the similarity that most points agree on (RANSAC).
    """

    def __init__(self, first_HW3: Bytes, box: Box) -> None:
        side = (1 + 2 * _AROUND) * max(box.width, box.height)
        self._scale = min(_TRACKED_SIDE / side, 1.0)
        self._first = self._seen(first_HW3)
        self._points = self._find_points(box.scaled(self._scale))
        self._last = self._points
        self._found = Followed(np.eye(2, 3), 1.0)

    def follow(self, frame_HW3: Bytes) -> Followed:
        """Find the face in the next frame; what was found last, if it is not seen."""
        seen_by = 0.0
        if len(self._points) >= MIN_POINTS:
            seen_by = self._follow(self._seen(frame_HW3))
        return Followed(self._found.moved, seen_by)

    def _seen(self, frame_HW3: Bytes) -> Bytes:
        grey = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
        size = [max(round(side * self._scale), 16) for side in reversed(grey.shape)]
        return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))

    def _find_points(self, box: Box) -> NDArray[np.float32]:
        """Return corners in the upper face: P 1 2."""
        mask = np.zeros_like(self._first)
        top, bottom = box.y - 0.1 * box.height, box.y + _UPPER * box.height
        left, right = box.x - 0.1 * box.width, box.x + 1.1 * box.width
        rows, columns = (
            slice(max(int(low), 0), max(int(high), 0))
            for low, high in ((top, bottom), (left, right))
        )
        mask[rows, columns] = 255
        found = cv2.goodFeaturesToTrack(self._first, _MAX_POINTS, 0.01, 4, mask=mask)
        return np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found)

    def _follow(self, seen: Bytes) -> float:
        """Track the points from the first frame, starting from their last places."""
        points, known, _ = cv2.calcOpticalFlowPyrLK(
            self._first, seen, self._points, self._last.copy(),
            winSize=(15, 15), maxLevel=2, flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        )  # fmt: skip
        kept = known[:, 0] == 1
        self._last = np.where(kept[:, None, None], points, self._points)
        if kept.sum() < MIN_POINTS:
            return 0.0
        moved, agreed = cv2.estimateAffinePartial2D(
            self._points[kept], points[kept], ransacReprojThreshold=_SURE_PX
        )
        if moved is None:
            return 0.0
        moved[:, 2] /= self._scale
        share = float(agreed.sum()) / len(self._points)
        self._found = Followed(moved, share)
        return share
