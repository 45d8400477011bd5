"""The picture of a training curve, beside its CSV."""

import csv
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _MARGIN = 640, 360, 48
_INK, _LINE, _POINT = (60, 60, 60), (180, 80, 20), (215, 200, 190)
_SMOOTH_POINTS: Final = 9

Floats = NDArray[np.float64]


def draw_curve(source: Path) -> Path:
    """Draw rows of (step, seconds, loss) as a PNG of the same name; returns its path.

    Points are the rows, the line is their running mean; the loss has a logarithmic axis.
    """
    with source.open(newline="") as file:
        steps, seconds, losses = np.array([*csv.reader(file)], np.float64).T
    logs = np.log10(np.maximum(losses, 1e-6))
    low, high = float(logs.min()), float(logs.max()) + 1e-3
    image = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    x = _MARGIN + (_WIDTH - 2 * _MARGIN) * steps / steps[-1]
    for level, colour in ((logs, _POINT), (_running_mean(logs), _LINE)):
        y = _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * (level - low) / (high - low)
        points = np.stack([x, y], 1).round().astype(np.int32)
        cv2.polylines(image, [points[:, None]], False, colour, 1, cv2.LINE_AA)
    cv2.rectangle(
        image, (_MARGIN, _MARGIN), (_WIDTH - _MARGIN, _HEIGHT - _MARGIN), _INK, 1, cv2.LINE_AA
    )
    minutes = f"{source.parent.name}: step {steps[-1]:.0f} after {seconds[-1] / 60:.1f} min"
    _write(image, minutes, (_MARGIN, _HEIGHT - 16))
    _write(image, f"{10**high:.3g}", (4, _MARGIN + 4))
    _write(image, f"{10**low:.3g}", (4, _HEIGHT - _MARGIN + 4))
    target = source.with_suffix(".png")
    cv2.imwrite(str(target), image)
    return target


def _running_mean(values: Floats) -> Floats:
    """Return the mean of a value and those before it, as many as there are up to a number."""
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(0, end - _SMOOTH_POINTS)
    return np.asarray((total[end] - total[start]) / (end - start))


def _write(image: NDArray[np.uint8], text: str, place: tuple[int, int]) -> None:
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
