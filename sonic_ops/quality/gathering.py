"""What is gathered from one frame after another.

Shape letters: N output frames, H, W rows and columns, T whole seconds, K cells of the frame.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.picture.faces import Box
from sonic_ops.quality.colour import lab_of

CELLS: Final = 4
"""Rows and columns of cells whose mean colours are kept."""

_SHARP_SIDE: Final = 512
_UPPER: Final = 0.62
_MIN_REST_FRAMES: Final = 5
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


class Mouth:
    """How far the mouth is from its rest, which is not known before some frames have been seen.

    The rest is what it looks like, in the mean, in the pauses among the first `num_rest` frames;
    without a pause it is the first frame.
    """

    def __init__(self, pause_N: NDArray[np.bool_], num_rest: int) -> None:
        self._pause_N, self._num_rest = pause_N, num_rest
        self._waiting: list[Bytes] = []
        self._rest: Floats | None = None
        self._track: list[float] = []

    def add(self, mouth_HW: Bytes) -> None:
        """Add the next frame."""
        if self._rest is not None:
            self._track.append(_opening(mouth_HW, self._rest))
            return
        self._waiting.append(mouth_HW.copy())
        if len(self._waiting) == self._num_rest:
            self._measure_rest()

    def track(self) -> Floats:
        """Return the mean change of the mouth against its rest, in greys: N."""
        if self._waiting:
            self._measure_rest()
        return np.array(self._track, np.float32)

    def _measure_rest(self) -> None:
        calm = [m for m, is_pause in zip(self._waiting, self._pause_N, strict=False) if is_pause]
        rest = calm if len(calm) >= _MIN_REST_FRAMES else self._waiting[:1]
        self._rest = np.mean(rest, axis=0, dtype=np.float32)
        self._track = [_opening(mouth, self._rest) for mouth in self._waiting]
        self._waiting = []


class Pairs:
    """How a frame differs from the two before it."""

    def __init__(self) -> None:
        self._before: list[Floats] = []

    def add(self, small_HW3: Bytes) -> tuple[float, float, float]:
        """Change, bend and flicker of the next frame; 0 as long as there are too few before it."""
        now = cv2.cvtColor(small_HW3, cv2.COLOR_RGB2GRAY).astype(np.float32)
        last = [*self._before, now][-3:]
        self._before = last[-2:]
        change = float(np.abs(now - last[-2]).mean()) if len(last) > 1 else 0.0
        if len(last) < 3:
            return change, 0.0, 0.0
        bend = last[0] - 2 * last[1] + last[2]
        return change, float(np.abs(bend).mean()), float(np.abs(cells(bend)).mean()) / 2


class Colours:
    """Mean colours of cells, second by second."""

    def __init__(self, num_frames: int) -> None:
        self._num_frames = num_frames
        self._open: list[Floats] = []
        self._means: list[Floats] = []

    def add(self, small_HW3: Bytes) -> None:
        """Add the next frame."""
        self._open.append(cells(lab_of(small_HW3)).reshape(-1, 3))
        if len(self._open) == self._num_frames:
            self._means.append(np.mean(self._open, axis=0))
            self._open = []

    def means(self) -> Floats:
        """T K 3; a last second that is not whole counts only if it is the first one."""
        whole = self._means or [np.mean(self._open, axis=0)]
        return np.array(whole, np.float32)


def cells(frame_HW: Floats) -> Floats:
    """Average a frame over `CELLS` by `CELLS` cells."""
    return np.asarray(cv2.resize(frame_HW, (CELLS, CELLS), interpolation=cv2.INTER_AREA))


def shrunk(frame_HW3: Bytes, side: int) -> Bytes:
    """Shrink a frame until its longer side is at most `side`."""
    height, width = frame_HW3.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return frame_HW3
    size = (max(round(width * scale), CELLS), max(round(height * scale), CELLS))
    return np.asarray(cv2.resize(frame_HW3, size, interpolation=cv2.INTER_AREA))


def sharpness(frame_HW3: Bytes, box: Box) -> float:
    """Variance of the Laplacian of the upper face. Source: Pech-Pacheco et al., ICPR 2000."""
    top, left = max(round(box.y), 0), max(round(box.x), 0)
    bottom, right = round(box.y + _UPPER * box.height), round(box.x + box.width)
    upper = frame_HW3[top : max(bottom, top + 8), left : max(right, left + 8)]
    if upper.size == 0:
        return 0.0
    grey = cv2.cvtColor(shrunk(np.ascontiguousarray(upper), _SHARP_SIDE), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def _opening(mouth_HW: Bytes, rest_HW: Floats) -> float:
    return float(np.abs(mouth_HW - rest_HW).mean())
