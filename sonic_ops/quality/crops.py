"""The face of a video as SyncNet was trained to see it: 224 x 224 pixels, 25 times a second.

The square around the face that is tracked, smoothed over half a second, and 40 % more of it: beside
it and below it. Source: the release of SyncNet (Chung and Zisserman, 2016).
Shape letters: N output frames, H, W rows and columns.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from math import floor
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.models.syncnet import FACE_PIXELS
from sonic_ops.quality.tracking import FaceTracker, face_of

SEEN_FPS: Final = 25
"""Frames per second that SyncNet knows."""

_MARGIN: Final = 0.4
_OUTSIDE: Final = 110  # the grey beyond the border of the frame
_SMOOTHED_FRAMES: Final = 13
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


def resampled(frames: Iterable[Bytes], fps: Fraction) -> Iterator[Bytes]:
    """Resample frames to 25 per second: the nearest to every 1/25 s, the later of two."""
    moment = 0
    for index, frame in enumerate(frames):
        while floor(moment * fps / SEEN_FPS + Fraction(1, 2)) == index:
            yield frame
            moment += 1


def squares_of(frames: Iterable[Bytes]) -> Floats | None:
    """Return the smoothed square around the face: N (x, y, half side).

    None if the first frame has no face.
    """
    tracker: FaceTracker | None = None
    squares: list[tuple[float, float, float]] = []
    for frame_HW3 in frames:
        if tracker is None:
            box, is_found = face_of(frame_HW3)
            if not is_found:
                return None
            tracker = FaceTracker(frame_HW3, box)
            half = max(box.width, box.height) / 2
        held = tracker.hold(frame_HW3)
        right, down = (way * box.width for way in held.moved)
        x, y = box.x + box.width / 2 + right, box.y + box.height / 2 + down
        squares.append((x, y, half * held.grown))
    return _smoothed(np.array(squares)) if squares else None


def crop(frame_HW3: Bytes, square: Floats) -> Bytes:
    """Crop the face with its margin; outside the frame it is grey."""
    x, y, half = square
    wide = half * (1 + _MARGIN)
    left, right, top = floor(x - wide), floor(x + wide), floor(y - half)
    bottom = floor(y + half * (1 + 2 * _MARGIN))
    cut = np.full((max(bottom - top, 1), max(right - left, 1), 3), _OUTSIDE, np.uint8)
    inside_HW3 = frame_HW3[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    row, column = max(-top, 0), max(-left, 0)
    height, width = inside_HW3.shape[:2]
    cut[row : row + height, column : column + width] = inside_HW3
    return np.asarray(cv2.resize(cut, (FACE_PIXELS, FACE_PIXELS)))


def _smoothed(squares_N3: Floats) -> Floats:
    """Take the median of 13 frames around each; the ends repeat."""
    beside = _SMOOTHED_FRAMES // 2
    longer = np.pad(squares_N3, ((beside, beside), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(longer, _SMOOTHED_FRAMES, axis=0)
    return np.asarray(np.median(around, axis=-1))
