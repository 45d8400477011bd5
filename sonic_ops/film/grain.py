"""Film grain: how much of it a frame has beside a region, and as much for what is put into it.

Shape letters: H, W rows and columns of a plane.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_FINE: Final = 1.0  # deviation in pixels of a Gaussian: grain is what it takes away
_CELL: Final = 7
_FLAT: Final = 10  # percentile: lines and hair are in the other cells
_LEAST: Final = 0.002  # of the range of a sample: less is the rounding of the codec
_FEWEST: Final = 30  # pixels from which grain can be measured

Floats = NDArray[np.float32]


def grain_like(
    film_HW: Floats,
    beside_HW: NDArray[Any],
    made_HW: Floats,
    inside_HW: NDArray[Any],
    peak: int,
    frame: int,
) -> Floats:
    """Return the grain that what was made lacks of that of the film beside it, in samples.

    It follows from the number of the frame: the same grain on every worker.
    """
    wanted = noise_level(film_HW, beside_HW)
    if wanted < _LEAST * peak:
        return np.zeros_like(made_HW)
    missing = max(wanted**2 - noise_level(made_HW, inside_HW) ** 2, 0.0) ** 0.5
    rng = np.random.Generator(np.random.Philox(key=frame))
    grain_HW = rng.standard_normal(made_HW.shape, np.float32)
    own = noise_level(grain_HW, inside_HW)
    return grain_HW * np.float32(missing / own) if own else np.zeros_like(made_HW)


def noise_level(plane_HW: Floats, where_HW: NDArray[Any]) -> float:
    """Return the deviation of what is finer than a pixel, in the flat parts of a place."""
    if np.count_nonzero(where_HW) < _FEWEST:
        return 0.0
    fine_HW = plane_HW - cv2.GaussianBlur(plane_HW, (0, 0), _FINE)
    power_HW = cv2.boxFilter(fine_HW * fine_HW, -1, (_CELL, _CELL))
    return float(np.sqrt(max(np.percentile(power_HW[where_HW > 0], _FLAT), 0.0)))
