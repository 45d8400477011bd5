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

    None if there are fewer than two of either, or nothing moves. Percentile bootstrap over key
    frames, Efron, Ann. Statist. 7 (1979); the same draws every time.
    """
    at_border = _as_arrays([change for change in changes if change.frame in borders])
    other = _as_arrays([change for change in changes if change.frame not in borders])
    if min(len(at_border), len(other)) < 2 or min(at_border.min(), other.min()) <= _STILL:
        return None
    rng = np.random.default_rng(0)
    drawn_D = _drawn(at_border, rng) / _drawn(other, rng)
    low, high = np.percentile(drawn_D, [2.5, 97.5])
    jumps, usual = (kind[:, 0] / kind[:, 1] for kind in (at_border, other))
    above = np.sign(jumps[:, None] - usual[None])
    return Seams(
        ratio=float(_ratio(at_border) / _ratio(other)),
        low=float(low),
        high=float(high),
        told=float((above.mean() + 1) / 2),
        num_borders=len(at_border),
    )


def _as_arrays(changes: Sequence[KeyChange]) -> Floats:
    """At and beside: K 2."""
    return np.array([(change.at, change.beside) for change in changes], np.float64).reshape(-1, 2)


def _ratio(kind_K2: Floats) -> Floats:
    return np.asarray(kind_K2[..., 0].sum(-1) / kind_K2[..., 1].sum(-1))


def _drawn(kind_K2: Floats, rng: np.random.Generator) -> Floats:
    """The ratio of key frames drawn anew: D."""
    return _ratio(kind_K2[rng.integers(len(kind_K2), size=(_DRAWS, len(kind_K2)))])
