"""Measures of a talking portrait: tracks and pictures in, numbers out.

A track has one value per frame. Nothing here knows a model, a painter, a file or a clock.
Shape letters: F frames, H, W rows and columns, N clips, K figures of a clip, L lags.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Statistic = Callable[[Floats], float]
"""Figures of the clips (N K) to one number."""

_STILL: Final = 1e-6
_BEST_DB: Final = 99.0


def correlation(a_F: Floats, b_F: Floats) -> float:
    """Pearson's r; 0 if one of the tracks stands still."""
    if a_F.std() < _STILL or b_F.std() < _STILL:
        return 0.0
    return float(np.corrcoef(a_F, b_F)[0, 1])


def lagged_correlation(read_F: Floats, true_F: Floats, max_lag: int) -> Floats:
    """r at each lag from -max_lag to max_lag: L. At a positive lag `read` comes late."""
    num_frames = len(read_F)
    assert len(true_F) == num_frames > max_lag + 1

    def at(lag: int) -> float:
        late, early = max(lag, 0), max(-lag, 0)
        return correlation(read_F[late : num_frames - early], true_F[early : num_frames - late])

    return np.array([at(lag) for lag in range(-max_lag, max_lag + 1)])


def peak_lag(correlations_L: Floats) -> int:
    """Return the lag of the highest correlation, 0 in the middle."""
    return int(np.argmax(correlations_L)) - len(correlations_L) // 2


def closure_frames(true_F: Floats, middles: Sequence[float], shut: float) -> NDArray[np.int64]:
    """Return the frame at which each closure shows: the most shut one within a frame of its middle.

    `middles` are in frames. A closure that falls between two frames shows in none, and is left out.
    """
    frames = []
    for middle in middles:
        near = [f for f in range(round(middle) - 1, round(middle) + 2) if 0 <= f < len(true_F)]
        best = min(near, key=lambda f: float(true_F[f]), default=None)
        if best is not None and true_F[best] < shut:
            frames.append(best)
    return np.unique(np.array(frames, np.int64))


def head_motion(pose_FK: Floats, reach_K: Floats) -> float:
    """Root mean square way of the head from its mean place; `reach_K` is its way per unit."""
    ways = (pose_FK - pose_FK.mean(0)) * reach_K
    return float(np.sqrt((ways**2).sum(1).mean()))


def count_blinks(lids_F: Floats, *, shut: float = 0.5) -> int:
    """Return how often the lids come down past `shut`; lids that are shut at first are no blink."""
    down = lids_F > shut
    return int((down[1:] & ~down[:-1]).sum())


def flicker(pictures_FHW3: Bytes, mask_HW: NDArray[np.bool_]) -> float:
    """Return mean change from frame to frame inside a mask, in grey levels."""
    inside = pictures_FHW3[:, mask_HW].astype(np.float32)
    return float(np.abs(np.diff(inside, axis=0)).mean())


def psnr_db(a_FHW3: Bytes, b_FHW3: Bytes, weight_HW: Floats | None = None) -> float:
    """Peak signal to noise of all pixels, or of weighted ones; equal pictures have 99 dB."""
    error_FHW = ((a_FHW3.astype(np.float32) - b_FHW3) ** 2).mean(-1) / 255**2
    weight = np.ones(error_FHW.shape[1:]) if weight_HW is None else weight_HW
    error = float((error_FHW * weight).mean() / weight.mean())
    return min(_BEST_DB, float(-10 * np.log10(error + 1e-12)))


def edges(pictures_FHW3: Bytes) -> Floats:
    """Return how much each pixel differs from those around it, in grey levels: F H W."""
    greys = [
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in pictures_FHW3
    ]
    return np.stack([np.abs(cv2.Laplacian(grey, cv2.CV_32F)) for grey in greys])


def sharpness(pictures_FHW3: Bytes) -> float:
    """Return how much pixels differ from those around them, in grey levels."""
    return float(edges(pictures_FHW3).mean())


def still_pixels(
    pictures_FHW3: Bytes, portrait_HW3: Bytes, *, tolerance: int = 4
) -> NDArray[np.bool_]:
    """Return where no picture is over `tolerance` grey levels from the portrait: H W."""
    change = np.abs(pictures_FHW3.astype(np.int16) - portrait_HW3).max((0, -1))
    return np.asarray(change <= tolerance)


def interval(
    figures_NK: Floats, statistic: Statistic, *, seed: int = 0, draws: int = 2000
) -> tuple[float, float, float]:
    """Return the statistic and its 95 % confidence interval, by drawing clips again.

    A clip with a NaN has nothing to say. Percentile bootstrap, Efron, Ann. Statist. 7 (1979).
    """
    known = figures_NK[~np.isnan(figures_NK).any(1)]
    if len(known) == 0:
        return float("nan"), float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(known), size=(draws, len(known)))
    drawn = [statistic(known[rows]) for rows in picks]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return statistic(known), float(low), float(high)


def mean(figures_NK: Floats) -> float:
    """Return the mean of the first figure."""
    return float(figures_NK[:, 0].mean())


def ratio(figures_NK: Floats) -> float:
    """Return the sum of the first figure against the sum of the second, NaN against nothing."""
    whole = figures_NK[:, 1].sum()
    return float(figures_NK[:, 0].sum() / whole) if whole else float("nan")
