"""Where one shot of a film ends and the next begins, found as the film goes by.

Shape letters: H, W rows and columns.
"""

from collections import deque
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE: Final = (64, 36)
_CELLS: Final = (8, 4)
_BINS: Final = 8
MIN_CHANGE: Final = 0.22
"""Of what a frame shows, in histograms of its parts: less is no cut (0: the same, 1: all new)."""
_FACTOR: Final = 3.0
"""How much more must change than from frame to frame before: what moves fast is no cut."""
_BEFORE: Final = 8


class CutDetector:
    """Tells the first frame of every shot.

    A frame is cut into 32 parts whose colours are counted; what moves inside a part counts for
    nothing. Source of the measure against neighbours: PySceneDetect's AdaptiveDetector, which
    looks at frames after a cut too.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=_BEFORE)

    def is_cut(self, frame_HW3: NDArray[np.uint8]) -> bool:
        """Take the next frame; whether a shot begins with it, as with the first one."""
        counts, last = _counts(frame_HW3), self._last
        self._last = counts
        if last is None:
            return True
        change = float(np.abs(counts - last).sum() / 2 / len(counts))
        usual = float(np.median(self._changes)) if self._changes else 0.0
        is_cut = change > max(MIN_CHANGE, _FACTOR * usual)
        if is_cut:
            self._changes.clear()
        else:
            self._changes.append(change)
        return is_cut


def _counts(frame_HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the shares of 3 x 8 levels of colour in every part: parts, levels."""
    small = cv2.resize(frame_HW3, _SIZE, interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32) / 256 * _BINS
    columns, rows = _CELLS
    wide, high = _SIZE[0] // columns, _SIZE[1] // rows
    parts = colours.reshape(rows, high, columns, wide, 3).transpose(0, 2, 4, 1, 3)
    parts = parts.reshape(rows * columns, 3, high * wide)
    # A level that lies between two bins counts for both, so that noise changes little.
    levels = np.arange(_BINS, dtype=np.float32) + 0.5
    near = np.maximum(1 - np.abs(parts[..., None] - levels), 0)
    shares = near.mean(axis=2)
    shares /= np.maximum(shares.sum(axis=-1, keepdims=True), 1e-6)
    return np.asarray(shares.reshape(rows * columns, -1) / 3, np.float32)
