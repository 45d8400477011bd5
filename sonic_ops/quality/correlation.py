"""Pearson's correlation of two tracks. Shape letters: N places."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STILL: Final = 1e-6
"""The spread of a track that does not change."""


def correlation(a_N: NDArray[np.floating[Any]], b_N: NDArray[np.floating[Any]]) -> float:
    """Return Pearson's r; 0 if one of the tracks does not change."""
    if a_N.std() < STILL or b_N.std() < STILL:
        return 0.0
    return float(np.corrcoef(a_N, b_N)[0, 1])
