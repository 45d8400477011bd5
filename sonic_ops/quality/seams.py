"""Measure whether segment borders can be recognised by how much the frame changes there.

A segment begins with a key frame, and a codec makes key frames in another way than the frames
between them. So there are two questions: is there a jump against the frames nearby, which anybody
may see, and is it more than at key frames where no segment begins?
Shape letters: N output frames, K key frames, D draws.
"""

from collections.abc import Sequence
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
    """The change of the frame up to a key frame, and up to frames near it, in greys.

    Every other output frame is interpolated, so those are an even number of frames away.
    """

    frame: int
    at: float
    beside: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Seams:
    """How the changes at some key frames differ from others."""

    ratio: float
    low: float
    high: float
    """Bounds of the 95 % interval of the ratio."""
    auc: float
    """Probability that a change here exceeds one elsewhere: 0.5 is chance."""


def key_changes(change_N: Floats, keys: Sequence[int]) -> tuple[KeyChange, ...]:
    """Return the changes at all key frames but the first frame, which nothing is before."""
    found = []
    for key in keys:
        near = [float(change_N[key + d]) for d in _NEAR_FRAMES if 0 < key + d < len(change_N)]
        if 0 < key < len(change_N) and near:
            found.append(KeyChange(key, float(change_N[key]), tuple(near)))
    return tuple(found)


def seam_ratio(changes: Sequence[KeyChange]) -> float | None:
    """Return the change at key frames against that nearby; None where nothing moves."""
    beside = sum(float(np.mean(change.beside)) for change in changes)
    return sum(change.at for change in changes) / beside if beside > _STILL else None


def against_nearby(changes: Sequence[KeyChange]) -> Seams | None:
    """Key frames against the frames near them; None if there are fewer than two that move.

    Geometric means, since a few changes are many times the others. Percentile bootstrap over key
    frames, Efron, Ann. Statist. 7 (1979); the same draws every time.
    """
    moving = _moving(changes)
    more = [np.sign(change.at - np.array(change.beside)).mean() for change in moving]
    return _seams(_jumps(moving), np.zeros(2), float(np.mean(more)) if more else 0.0)


def against_others(changes: Sequence[KeyChange], others: Sequence[KeyChange]) -> Seams | None:
    """Key frames against others, each against its neighbours; None as `against_nearby`."""
    ours_K, theirs_K = _jumps(_moving(changes)), _jumps(_moving(others))
    if min(len(ours_K), len(theirs_K)) < 2:
        return None
    more = np.sign(ours_K[:, None] - theirs_K[None]).mean()
    return _seams(ours_K, theirs_K, float(more))


def _seams(ours_K: Floats, theirs_K: Floats, more: float) -> Seams | None:
    if len(ours_K) < 2:
        return None
    rng = np.random.default_rng(0)
    low, high = np.percentile(_drawn(ours_K, rng) - _drawn(theirs_K, rng), [2.5, 97.5])
    ratio = np.exp(ours_K.mean() - theirs_K.mean())
    return Seams(float(ratio), float(np.exp(low)), float(np.exp(high)), (more + 1) / 2)


def _moving(changes: Sequence[KeyChange]) -> list[KeyChange]:
    return [change for change in changes if min(change.at, *change.beside) > _STILL]


def _jumps(changes: Sequence[KeyChange]) -> Floats:
    """Return logarithms of the changes against those nearby: K."""
    return np.array([np.log(change.at) - np.log(change.beside).mean() for change in changes])


def _drawn(jumps_K: Floats, rng: np.random.Generator) -> Floats:
    """Return means of key frames drawn anew: D."""
    drawn_D: Floats = jumps_K[rng.integers(len(jumps_K), size=(_DRAWS, len(jumps_K)))].mean(1)
    return drawn_D
