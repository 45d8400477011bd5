"""Find where a video is at its worst: means over all of it can hide a blurred or a held second.

Shape letters: N output frames.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.quality.frame_analysis import Tracks
from sonic_ops.quality.measures import clear_lag_ms, spans_of
from sonic_ops.quality.speech import Speech

_SHARP_PERCENTILE: Final = 90
_HELD_SHARE: Final = 0.15
"""A frame is held if it changes less than this share of the usual change in speech."""


@dataclass(frozen=True, slots=True)
class Defects:
    """The softest second, the longest standstill in speech, the part of 30 s that is most off.

    `softest_pct` compares the sharpness of a second with that of the sharpest tenth of them,
    `lag_ms` is how late the lips are in that part, None where no part tells.
    """

    softest_pct: float | None
    softest_at_s: float
    held_s: float
    held_at_s: float
    is_even: bool
    """Whether the frames are evenly spaced in time."""
    lag_ms: float | None
    lag_at_s: float


def find_defects(tracks: Tracks, speech: Speech | None, *, is_even: bool) -> Defects:
    """Search the tracks of a video for its worst moments."""
    softest_pct, softest_at_s = _softest(tracks)
    spoken_N = np.ones(len(tracks), bool) if speech is None else ~speech.pause_N
    start, stop = _longest_run(_held(tracks, spoken_N))
    fps = float(tracks.fps)
    held_s, held_at_s = (stop - start) / fps, start / fps
    return Defects(
        softest_pct, softest_at_s, held_s, held_at_s, is_even, *_worst_lag(tracks, speech)
    )


def _worst_lag(tracks: Tracks, speech: Speech | None) -> tuple[float | None, float]:
    """Return the largest lag of a part in milliseconds, and when that part begins."""
    worst_ms, at = None, 0
    for span in spans_of(tracks) if speech else ():
        assert speech is not None
        lag_ms = clear_lag_ms(tracks, speech, span)
        if lag_ms is not None and (worst_ms is None or abs(lag_ms) > abs(worst_ms)):
            worst_ms, at = lag_ms, span.start
    return worst_ms, at / float(tracks.fps)


def _softest(tracks: Tracks) -> tuple[float | None, float]:
    """Return the sharpness of the softest second in percent, and when it begins."""
    fps = max(round(tracks.fps), 1)
    starts = range(0, max(len(tracks) - fps // 2, 1), fps)
    seconds = np.array([tracks.sharpness_N[start : start + fps].mean() for start in starts])
    sharp = float(np.percentile(seconds, _SHARP_PERCENTILE))
    softest = int(seconds.argmin())
    return 100 * float(seconds[softest]) / sharp if sharp else None, starts[softest] / fps


def _held(tracks: Tracks, spoken_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which frames show what the one before shows, while somebody speaks.

    A key frame is coded anew, so it differs also where nothing moves: it continues what it follows.
    """
    change_N = tracks.change_N
    usual = float(np.median(change_N[spoken_N])) if spoken_N.any() else 0.0
    held_N = (change_N <= _HELD_SHARE * usual) & spoken_N
    held_N[0] = False
    for key in tracks.keys:
        if key:
            held_N[key] = held_N[key - 1]
    return held_N


def _longest_run(held_N: NDArray[np.bool_]) -> tuple[int, int]:
    """Return start and stop of the longest run of frames that are held."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], held_N, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int((stops - starts).argmax())
    return int(starts[longest]), int(stops[longest])
