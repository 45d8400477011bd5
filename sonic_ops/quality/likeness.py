"""How alike two faces are, by their shapes: histograms of oriented gradients.

Source: Dalal and Triggs, CVPR 2005. It is no trained embedding: of those that may be shipped, none
knows drawn faces.
Shape letters: H, W rows and columns, S sides of the face that is
held still, Y, X rows and columns of cells, O orientations, D all.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.picture.faces import Box
from sonic_ops.quality.tracking import cut_face, face_of

_CELL: Final = 8
_ORIENTATIONS: Final = 9
_CLIP: Final = 0.2
_SIZES, _PLACES = (0.94, 1.0, 1.06), (-0.06, -0.04, -0.02, 0.0, 0.02, 0.04, 0.06)
_FACE_ROWS: Final = 56  # of the face that is held still: all but mouth and chin
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


def most_like(portrait_HW3: Bytes, shapes: Floats) -> Floats:
    """Describe the face of a portrait, cropped like the one in the video."""
    box, _ = face_of(portrait_HW3)
    boxes = (
        Box(
            box.x + (dx + (1 - size) / 2) * box.width,
            box.y + (dy + (1 - size) / 2) * box.height,
            box.width * size,
            box.height * size,
        )
        for size in _SIZES
        for dx in _PLACES
        for dy in _PLACES
    )
    cuts = (shapes_of(cut_face(portrait_HW3, cut)) for cut in boxes)
    return max(cuts, key=lambda cut: float(cut @ shapes))


def shapes_of(face_SS3: Bytes) -> Floats:
    """Describe an aligned face by gradients, without mouth and chin; unit length: D."""
    return _described(cv2.cvtColor(face_SS3, cv2.COLOR_RGB2GRAY)[:_FACE_ROWS])


def _described(grey_HW: NDArray[np.uint8]) -> Floats:
    """Return histograms of cells of 8 x 8 pixels, normed in blocks of four cells: D."""
    cells_YXO = _histograms(grey_HW.astype(np.float32))
    blocks = [
        cells_YXO[y : len(cells_YXO) - 1 + y, x : cells_YXO.shape[1] - 1 + x]
        for y in (0, 1)
        for x in (0, 1)
    ]
    joined = np.concatenate(blocks, axis=-1)
    clipped = np.minimum(_normed(joined), _CLIP)
    return _normed(_normed(clipped).reshape(-1))


def _histograms(grey_HW: Floats) -> Floats:
    """Bin each gradient into its two nearest orientations: Y X O."""
    dx, dy = (cv2.Sobel(grey_HW, cv2.CV_32F, *order, ksize=1) for order in ((1, 0), (0, 1)))
    strength = np.hypot(dx, dy)
    place = (np.arctan2(dy, dx) / np.pi % 1) * _ORIENTATIONS
    lower = place.astype(np.int64)
    share = place - lower
    rows, columns = (length // _CELL for length in grey_HW.shape)
    y, x = np.indices(grey_HW.shape) // _CELL
    first = (y * columns + x) * _ORIENTATIONS
    total = np.zeros(rows * columns * _ORIENTATIONS)
    for orientation, weight in ((lower, 1 - share), (lower + 1, share)):
        bins = (first + orientation % _ORIENTATIONS).reshape(-1)
        total += np.bincount(bins, (strength * weight).reshape(-1), len(total))
    return total.reshape(rows, columns, _ORIENTATIONS)


def _normed(vectors: Floats) -> Floats:
    return np.asarray(vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-3))
