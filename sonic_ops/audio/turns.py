"""The voice of one of several people: a recording while they speak, and silence else."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ

RISE_S: Final = 0.1
"""A voice rises before a turn and falls after it: tables cut closely."""
Samples = NDArray[np.float32]


def in_turns(
    samples: Iterable[Samples], spans_s: Sequence[tuple[float, float]]
) -> Iterator[Samples]:
    """Yield samples at 16 kHz as they are in some spans, in the order of their start, 0 else."""
    edges = _edges(spans_s)
    place = 0
    for part in samples:
        times = (place + np.arange(len(part))) / SAMPLE_RATE_HZ
        yield np.asarray(part * np.interp(times, *edges), np.float32)
        place += len(part)


def _edges(spans_s: Sequence[tuple[float, float]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the moments at which the share of the voice bends, and that share."""
    joined: list[tuple[float, float]] = []
    for start, end in spans_s:
        if joined and start - joined[-1][1] < 2 * RISE_S:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    times = [t for a, b in joined for t in (a - RISE_S, a, b, b + RISE_S)]
    return np.array(times), np.array([0.0, 1.0, 1.0, 0.0] * len(joined))
