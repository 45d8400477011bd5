"""Whether the border of two segments can be told from how much the picture changes there.

A segment begins with a key frame, and a codec makes key frames in another way than the frames
between them. So the frames where segments begin are compared with key frames where none begins.
Shape letters: N output frames, K key frames, D draws.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_NEAR_FRAMES: Final = (-6, -4, -2, 2, 4, 6)
_STILL: Final = 1e-6
_DRAWS: Final = 2000
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """The change of the picture up to a key frame, and in the mean up to frames near it, in greys.

    Every other output frame is interpolated, so those are an even number of frames away.
    """

    frame: int
    at: float
    beside: float


@dataclass(frozen=True, slots=True)
class Seams:
    """How borders of segments differ from other key frames."""

    ratio: float
    """The change at borders against that at other key frames, each against that nearby."""
    low: float
    high: float
    told: float
    """How often a border shows more change than another key frame: .5 if it cannot be told."""
    num_borders: int


def key_changes(change_N: Floats, keys: Sequence[int]) -> tuple[KeyChange, ...]:
    """The changes at all key frames but the first frame, which nothing is before."""
    found = []
    for key in keys:
        near = [change_N[key + d] for d in _NEAR_FRAMES if 0 < key + d < len(change_N)]
        if 0 < key < len(change_N) and near:
            found.append(KeyChange(key, float(change_N[key]), float(np.mean(near))))
    return tuple(found)


def seam_ratio(changes: Sequence[KeyChange]) -> float | None:
    """The change at key frames against that nearby; None where nothing moves."""
    beside = sum(change.beside for change in changes)
    return sum(change.at for change in changes) / beside if beside > _STILL else None


def compare_seams(changes: Sequence[KeyChange], borders: Collection[int]) -> Seams | None:
    """Key frames where segments begin against the others, with the 95 % interval of their ratio.

    Geometric means, since a few changes are many times the others. None if there are fewer than
    two of either. Percentile bootstrap over key frames, Efron, Ann. Statist. 7 (1979); the same
    draws every time.
    """
    moving = [change for change in changes if min(change.at, change.beside) > _STILL]
    at_border = _jumps([change for change in moving if change.frame in borders])
    other = _jumps([change for change in moving if change.frame not in borders])
    if min(len(at_border), len(other)) < 2:
        return None
    rng = np.random.default_rng(0)
    low, high = np.percentile(_drawn(at_border, rng) - _drawn(other, rng), [2.5, 97.5])
    more = np.sign(at_border[:, None] - other[None]).mean()
    return Seams(
        ratio=float(np.exp(at_border.mean() - other.mean())),
        low=float(np.exp(low)),
        high=float(np.exp(high)),
        told=float((more + 1) / 2),
        num_borders=len(at_border),
    )


def _jumps(changes: Sequence[KeyChange]) -> Floats:
    """Logarithms of the changes against those nearby: K."""
    return np.log([change.at / change.beside for change in changes])


def _drawn(jumps_K: Floats, rng: np.random.Generator) -> Floats:
    """Means of key frames drawn anew: D."""
    drawn_D: Floats = jumps_K[rng.integers(len(jumps_K), size=(_DRAWS, len(jumps_K)))].mean(1)
    return drawn_D
