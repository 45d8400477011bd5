"""Compute the figures of a video, or of a part of it, from tracks and speech.

Shape letters: N output frames, L lags, T seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.media.inspection import VideoInfo
from sonic_ops.quality.colour import ciede2000
from sonic_ops.quality.correlation import STILL, correlation
from sonic_ops.quality.frame_analysis import Tracks
from sonic_ops.quality.seams import key_changes, seam_ratio
from sonic_ops.quality.speech import Speech

LAG_S: Final = 0.2
"""How far lips and audio may be apart for the lag to be found."""
WINDOW_S: Final = 30
"""Length of the parts that drift is looked for in."""

_CHANCES: Final = 16
_MIN_PEAK: Final = 0.2  # below, the highest of many correlations is chance
_CLEAR_PEAK: Final = 0.3
_MIN_PAUSE_FRAMES: Final = 10
_MIN_PART_S: Final = 5
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures as `catalogue` defines them; None where a video does not let them be measured."""

    lip_sync: float | None
    lip_lag_ms: float | None
    chance_sync: float | None
    mouth_motion: float
    silence: float | None
    sharpness_pct: float | None
    colour_drift: float
    likeness: float
    head_motion: float
    expression: float
    flicker: float
    smoothness: float | None
    seam_ratio: float | None
    syncnet_confidence: float | None = None
    syncnet_distance: float | None = None
    syncnet_offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """The figures of the output frames of some seconds."""

    start_s: float
    stop_s: float
    measures: Measures


def measure(tracks: Tracks, speech: Speech | None, span: slice | None = None) -> Measures:
    """Measure a span of output frames, against the first second."""
    start, stop, _ = (span or slice(None)).indices(len(tracks))
    part = slice(start, stop)
    fps = float(tracks.fps)
    voice_N = None if speech is None else speech.voice_db_N[part]
    mouth_N = tracks.mouth_N[part]
    sync, lag_ms = (None, None) if voice_N is None else _lip_sync(mouth_N, voice_N, fps)
    first = slice(0, max(round(fps), 1))
    at_first = float(tracks.sharpness_N[first].mean())
    return Measures(
        lip_sync=sync,
        lip_lag_ms=lag_ms,
        chance_sync=None if voice_N is None or sync is None else _chance(mouth_N, voice_N),
        mouth_motion=float(mouth_N.std()),
        silence=None if speech is None else _silence(mouth_N, speech.pause_N[part]),
        sharpness_pct=100 * float(tracks.sharpness_N[part].mean()) / at_first if at_first else None,
        colour_drift=_colour_drift(tracks.colour_TK3, start / fps, stop / fps),
        likeness=float(tracks.likeness_N[part].mean()),
        head_motion=100 * _spread(tracks.head_N2[part]),
        expression=float(tracks.eyes_N[part].std()),
        flicker=float(tracks.flicker_N[part].mean()),
        smoothness=_smoothness(tracks.change_N[part][1:], tracks.bend_N[part][2:]),
        seam_ratio=seam_ratio(
            key_changes(tracks.change_N, [key for key in tracks.keys if start <= key < stop])
        ),
    )


def measure_parts(tracks: Tracks, speech: Speech | None) -> list[Interval]:
    """Measure every 30 s; a rest of less than 5 s joins the part before it."""
    fps = float(tracks.fps)
    return [
        Interval(span.start / fps, span.stop / fps, measure(tracks, speech, span))
        for span in spans_of(tracks)
    ]


def spans_of(tracks: Tracks) -> list[slice]:
    """Cut a video into parts of 30 s, in output frames."""
    length = round(WINDOW_S * tracks.fps)
    starts = list(range(0, len(tracks), length))
    if len(starts) > 1 and len(tracks) - starts[-1] < _MIN_PART_S * tracks.fps:
        starts.pop()
    stops = [*starts[1:], len(tracks)]
    return [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]


def measure_time_shifted(
    tracks: Tracks, speech: Speech
) -> tuple[float | None, float | None, float | None]:
    """Measure lip sync, lag and silence with the speech shifted to 16 other times.

    Each is the mean over the shifts that have it.
    """
    mouth_N, fps = tracks.mouth_N, float(tracks.fps)
    found = [
        (*_lip_sync(mouth_N, np.roll(speech.voice_db_N, shift), fps),
         _silence(mouth_N, np.roll(speech.pause_N, shift)))
        for shift in other_times(len(mouth_N))
    ]  # fmt: skip
    sync, lag_ms, silence = (_mean(values) for values in zip(*found, strict=True))
    return sync, lag_ms, silence


def length_error_ms(info: VideoInfo) -> float | None:
    """Return how much longer the video is than its audio; None without audio."""
    return 1000 * (info.duration_s - info.audio_duration_s) if info.audio_duration_s else None


def lagged(mouth_N: Floats, voice_N: Floats, max_lag: int) -> Floats:
    """Correlation at each lag from -max_lag to max_lag: L. At a positive lag the mouth is late."""
    num = len(mouth_N)

    def at(lag: int) -> float:
        late, early = max(lag, 0), max(-lag, 0)
        return correlation(mouth_N[late : num - early], voice_N[early : num - late])

    return np.array([at(lag) for lag in range(-max_lag, max_lag + 1)])


def _lip_sync(mouth_N: Floats, voice_N: Floats, fps: float) -> tuple[float | None, float | None]:
    """Return the correlation at lag 0, and the lag of its peak in milliseconds if it has one."""
    max_lag = round(LAG_S * fps)
    if len(mouth_N) < 4 * max_lag or voice_N.std() < STILL:
        return None, None
    found_L = lagged(mouth_N, voice_N, max_lag)
    return float(found_L[max_lag]), _lag_ms(found_L, fps, _MIN_PEAK)


def clear_lag_ms(tracks: Tracks, speech: Speech, span: slice) -> float | None:
    """Return how late the lips are in a span; None unless mouth and voice are much alike there."""
    fps, mouth_N = float(tracks.fps), tracks.mouth_N[span]
    max_lag = round(LAG_S * fps)
    if len(mouth_N) < 4 * max_lag:
        return None
    return _lag_ms(lagged(mouth_N, speech.voice_db_N[span], max_lag), fps, _CLEAR_PEAK)


def _lag_ms(found_L: Floats, fps: float, least: float) -> float | None:
    """Return the lag of a peak that is at least so high; None if there is none."""
    peak = int(np.argmax(found_L))
    if found_L[peak] < least or peak in (0, len(found_L) - 1):  # a limit is not a peak
        return None
    return 1000 * (peak + _vertex(found_L, peak) - len(found_L) // 2) / fps


def _chance(mouth_N: Floats, voice_N: Floats) -> float:
    """Return the correlation with the same speech at other times: the chance level."""
    moved = (np.roll(voice_N, shift) for shift in other_times(len(voice_N)))
    return float(np.mean([correlation(mouth_N, voice) for voice in moved]))


def other_times(num_frames: int) -> list[int]:
    """Return the numbers of frames by which speech is shifted."""
    shifts: list[int] = np.linspace(0, num_frames, _CHANCES + 2).astype(int)[1:-1].tolist()
    return shifts


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _vertex(found_L: Floats, peak: int) -> float:
    """Return the offset of the parabola's top through a peak and its neighbours."""
    before, at, after = found_L[peak - 1 : peak + 2]
    bend = before - 2 * at + after
    return float((before - after) / (2 * bend)) if bend < 0 else 0.0


def _silence(mouth_N: Floats, pause_N: NDArray[np.bool_]) -> float | None:
    """Return motion of the mouth from frame to frame in pauses, against that in speech."""
    moves_N, in_pause_N = np.abs(np.diff(mouth_N)), pause_N[1:] & pause_N[:-1]
    if not _MIN_PAUSE_FRAMES <= in_pause_N.sum() <= len(in_pause_N) - _MIN_PAUSE_FRAMES:
        return None
    spoken = float(moves_N[~in_pause_N].mean())
    return float(moves_N[in_pause_N].mean()) / spoken if spoken > STILL else None


def _colour_drift(colour_TK3: Floats, start_s: float, stop_s: float) -> float:
    """Return the median over cells: a head that moves changes some of them, a drift changes all."""
    first = min(int(start_s), len(colour_TK3) - 1)
    last = max(min(int(stop_s), len(colour_TK3)), first + 1)
    return float(np.median(ciede2000(colour_TK3[first:last].mean(0), colour_TK3[0])))


def _spread(places_N2: Floats) -> float:
    """Root mean square way from the mean place."""
    return float(np.sqrt(((places_N2 - places_N2.mean(0)) ** 2).sum(1).mean()))


def _smoothness(change_N: Floats, bend_N: Floats) -> float | None:
    """Return 1 if every change continues, 0 if the next one takes each back."""
    moved = float(change_N.mean()) if len(change_N) else 0.0
    return 1 - float(bend_N.mean()) / (2 * moved) if moved > STILL and len(bend_N) else None
