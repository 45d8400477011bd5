"""Contact sheets: what was rendered beside what is true. Shape letters: F frames, H, W."""

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cases import Case

NUM_COLUMNS = 12
_LINE = 6

Bytes = NDArray[np.uint8]


def contact_sheet(case: Case, pictures_FHW3: Bytes) -> Bytes:
    """Save frames of the whole clip: the truth above the render, the portrait before both."""
    frames = np.linspace(0, len(pictures_FHW3) - 1, NUM_COLUMNS).round().astype(int)
    rows = [
        np.concatenate([case.portrait_HW3, *pictures[frames]], 1)
        for pictures in (case.truth_FHW3, pictures_FHW3)
    ]
    border = np.full((_LINE, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([*rows, border])


def strip(case: Case, pictures_FHW3: Bytes, first: int) -> Bytes:
    """Neighbouring frames, one by one: the truth above the render."""
    chosen = slice(first, first + NUM_COLUMNS)
    rows = [np.concatenate([*p[chosen]], 1) for p in (case.truth_FHW3, pictures_FHW3)]
    return np.concatenate(rows)
