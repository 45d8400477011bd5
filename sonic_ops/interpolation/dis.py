"""Interpolate by dense inverse search, which finds where patches moved.

Made for small frames and CPUs: at 128 pixels it is nearer to the true in-between frames than
the flow network, at a twentieth of its time (`python -m tests.bench.between`).
Sources: Kroeger et al., ECCV 2016 (arXiv:1603.03590), in OpenCV; Super SloMo (arXiv:1712.00080),
equation 4, for the flow at an instant.

Shape letters: H, W rows and columns, C channels. A flow has the way (x, y) of every pixel.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]

FINEST_SCALE: Final = 1
"""The flow is found at half of the size: at the whole size it costs thrice, and is no nearer."""
TRUSTED, REFUSED = 0.5, 0.9
"""How much of their difference two moved frames may keep, to be shown alone, or not at all."""
NEAR: Final = 9
"""The difference at a pixel is that of so many rows and columns around it."""


class DenseSearch:
    """The motion between two frames H W 3, found once for any number of instants."""

    def __init__(self, a_HW3: Frame, b_HW3: Frame) -> None:
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        search.setFinestScale(FINEST_SCALE)
        greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (a_HW3, b_HW3)]
        self._forth_HW2: Floats = search.calc(greys[0], greys[1], None)
        self._back_HW2: Floats = search.calc(greys[1], greys[0], None)
        self._a_HW3, self._b_HW3 = (frame.astype(np.float32) for frame in (a_HW3, b_HW3))

    def pixels(self, instant: float) -> Frame:
        """Interpolate a frame at an instant between 0 (the first) and 1 (the second).

        Where the frames moved to that instant do not agree, the motion was not understood, and
        both are laid over each other as they are.
        """
        forth, back, late = self._forth_HW2, self._back_HW2, np.float32(instant)
        early = 1 - late
        from_a = _fetched(self._a_HW3, late * (late * back - early * forth))
        from_b = _fetched(self._b_HW3, early * (early * forth - late * back))
        apart_HW = _around(from_a - from_b) / _around(self._a_HW3 - self._b_HW3)
        trust_HW1 = np.clip((REFUSED - apart_HW) / (REFUSED - TRUSTED), 0, 1)[..., None]
        moved, still = early * from_a + late * from_b, early * self._a_HW3 + late * self._b_HW3
        shown = still + trust_HW1 * (moved - still)
        return np.asarray(np.rint(shown).clip(0, 255), np.uint8)


def _fetched(frame_HW3: Floats, flow_HW2: Floats) -> Floats:
    """Warp by a flow; the border is repeated beyond itself."""
    rows, columns = np.indices(flow_HW2.shape[:2], np.float32)
    x, y = columns + flow_HW2[..., 0], rows + flow_HW2[..., 1]
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(frame_HW3, x, y, cv2.INTER_CUBIC, borderMode=border), np.float32)


def _around(difference_HW3: Floats) -> Floats:
    """Return the mean difference around every pixel, never 0."""
    sums_HW = np.abs(difference_HW3).sum(-1)
    return np.asarray(cv2.boxFilter(sums_HW, -1, (NEAR, NEAR)) + 0.5, np.float32)
