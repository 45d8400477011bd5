"""Measure baselines that need no model: a still image, and the video with shifted audio.

Shape letters: N output frames, H, W rows and columns.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.quality.frame_analysis import Floats, FrameAnalyser, Shown, Tracks
from sonic_ops.quality.measures import Measures, measure, measure_time_shifted
from sonic_ops.quality.speech import Speech

HEARD: Final = (
    "lip_sync",
    "lip_lag_ms",
    "silence",
    "syncnet_confidence",
    "syncnet_distance",
)
"""The figures that depend on the audio."""

_SETTLED: Final = 4  # equal frames, from the last of which on nothing changes any more


def still(
    frame_HW3: NDArray[np.uint8],
    num_frames: int,
    fps: Fraction,
    speech: Speech | None,
    portrait_HW3: NDArray[np.uint8] | None = None,
) -> Measures:
    """Measure a still image shown for the whole time."""
    analyser = FrameAnalyser(fps, portrait_HW3=portrait_HW3)
    for _ in range(_SETTLED):
        analyser.add(Shown(frame_HW3, is_key=False))
    return measure(_repeated(analyser.tracks(), num_frames), speech)


def shuffled(tracks: Tracks, speech: Speech | None, found: Measures) -> Measures:
    """Return the figures with the audio shifted to 16 other times, averaged."""
    if speech is None:
        return found
    sync, lag_ms, silence = measure_time_shifted(tracks, speech)
    return replace(found, lip_sync=sync, lip_lag_ms=lag_ms, silence=silence)


def _repeated(tracks: Tracks, num_frames: int) -> Tracks:
    """Return tracks whose last frame stays for so many frames."""

    def last(track: Floats) -> Floats:
        return np.repeat(track[-1:], num_frames, axis=0)

    return replace(
        tracks,
        mouth_N=last(tracks.mouth_N),
        head_N2=last(tracks.head_N2),
        eyes_N=last(tracks.eyes_N),
        sharpness_N=last(tracks.sharpness_N),
        likeness_N=last(tracks.likeness_N),
        change_N=last(tracks.change_N),
        bend_N=last(tracks.bend_N),
        flicker_N=last(tracks.flicker_N),
    )
