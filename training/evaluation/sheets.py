"""Contact sheets: what was rendered beside what is true. Shape letters: F frames, H, W."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.evaluation.cases import Case

NUM_COLUMNS = 12
_LINE = 6

Bytes = NDArray[np.uint8]


def contact_sheet(case: Case, pictures_FHW3: Bytes) -> Bytes:
    """Save frames of the whole clip: the truth, if known, above the render, the portrait first."""
    frames = np.linspace(0, len(pictures_FHW3) - 1, NUM_COLUMNS).round().astype(int)
    rows = [
        np.concatenate([case.portrait_HW3, *pictures[frames]], 1)
        for pictures in (case.truth_FHW3, pictures_FHW3)
        if len(pictures)
    ]
    border = np.full((_LINE, rows[0].shape[1], 3), 255, np.uint8)
    return np.concatenate([*rows, border])


def grids(frames_NHW3: Bytes, columns: int, rows: int) -> Iterator[Bytes]:
    """Yield sheets of pictures side by side; what is missing in the last one is white."""
    _, height, width, colours = frames_NHW3.shape
    for first in range(0, len(frames_NHW3), columns * rows):
        sheet = np.full((rows * columns, height, width, colours), 255, np.uint8)
        shown = frames_NHW3[first : first + columns * rows]
        sheet[: len(shown)] = shown
        lines = sheet.reshape(rows, columns, height, width, colours).swapaxes(1, 2)
        yield lines.reshape(rows * height, columns * width, colours)


def strip(case: Case, pictures_FHW3: Bytes, first: int) -> Bytes:
    """Neighbouring frames, one by one: the truth above the render."""
    chosen = slice(first, first + NUM_COLUMNS)
    rows = [np.concatenate([*p[chosen]], 1) for p in (case.truth_FHW3, pictures_FHW3)]
    return np.concatenate(rows)
