"""How a dubbed film came out, shot by shot: what was dubbed, and which voice its mouth follows.

The mouth of the result is read with FaceMesh where the film's own face was followed.
Shape letters: N frames of the film, M of them that were dubbed and belong to one shot, H, W rows
and columns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.resampling import SampleFile, num_samples_in
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.film.takes import Take, untouched
from sonic_ops.film.track import EDITED, REASONS, FilmTrack
from sonic_ops.film.tracking import LOOKED_SIDE
from sonic_ops.picture.faces import moved_box
from sonic_ops.picture.landmarks import read_landmarks
from sonic_ops.picture.video_frames import FilmFrame, film_frames
from sonic_ops.quality.correlation import correlation

MIN_SAID_S: Final = 1.5
"""Shots in which less is dubbed say nothing of a mouth."""
_MIN_HEARD_S: Final = 0.5  # the same, of what is said in them
_PAUSE_DB: Final = 30.0
_SILENT_DB: Final = -90.0
MAX_LAG_S: Final = 0.2
_LAG_STEP_S: Final = 0.02
_GRID_S: Final = 0.02
_DUBBED: Final = 0.99  # of what was made, in a frame whose mouth is read
Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shot:
    """A shot of a film: how long it was dubbed, and why not; None where nothing can be said.

    `sync` is how the mouth follows the new voice, `lag_ms` by how much it comes late; `old` is how
    it follows the film's own voice, `leak` the same without what both voices share. `speaker` is
    whose mouth it is, if several people are dubbed.
    """

    start_s: float
    stop_s: float
    dubbed_s: float
    kept: tuple[tuple[str, float], ...]  # why frames stay as they are, and for how many seconds
    sync: float | None = None
    lag_ms: float | None = None
    old: float | None = None
    leak: float | None = None
    speaker: str = ""

    @property
    def kept_s(self) -> float:
        """Return seconds that stay as they are."""
        return sum(seconds for _, seconds in self.kept)


@dataclass(frozen=True, slots=True)
class Dub:
    """A film that was dubbed: what is known of its frames, and its two voices.

    Both are WAV files of `decode_audio`; a film may have no voice of its own. `speaker` is whose
    voice it is, if there are several.
    """

    track: FilmTrack
    takes: Sequence[Take]
    new: Path
    old: Path | None = None
    speaker: str = ""


def shots_of(track: FilmTrack, takes: Sequence[Take]) -> list[Shot]:
    """Say what was dubbed of every shot."""
    lasts_N = np.diff(np.append(track.times_s, track.duration_s))
    reasons_N = untouched(track, list(takes))
    return [_shot(track, span, lasts_N, reasons_N) for span in _spans(track)]


def summary(shots: Sequence[Shot]) -> str:
    """Say in a sentence what was dubbed, and why the rest was not."""
    dubbed_s, kept = sum(shot.dubbed_s for shot in shots), dict[str, float]()
    for reason, seconds in (each for shot in shots for each in shot.kept):
        kept[reason] = kept.get(reason, 0.0) + seconds
    said = f"{len(shots)} {'shot' if len(shots) == 1 else 'shots'}: {dubbed_s:.1f} s dubbed"
    if not kept:
        return said
    why = ", ".join(f"{reason} {seconds:.1f} s" for reason, seconds in _longest(kept))
    return f"{said}, {sum(kept.values()):.1f} s left as they are ({why})"


def measure_shots(video: Path, dub: Dub) -> list[Shot]:
    """Read the mouth of a dubbed film, and compare it with both voices in every shot."""
    openings_N = mouth_openings(video, dub)
    new = _Voice(dub.new)
    old = None if dub.old is None else _Voice(dub.old)
    times_N, known_N = dub.track.times_s, np.isfinite(openings_N)
    shots = []
    known = (replace(shot, speaker=dub.speaker) for shot in shots_of(dub.track, dub.takes))
    for shot, span in zip(known, _spans(dub.track), strict=True):
        place = span.start + np.flatnonzero(known_N[span.start : span.stop])
        share = np.count_nonzero(new.is_loud(times_N[place])) / max(len(place), 1)
        says = shot.dubbed_s >= MIN_SAID_S and share * shot.dubbed_s >= _MIN_HEARD_S
        seen = (times_N[place], openings_N[place])
        shots.append(_compared(shot, *seen, new, old) if says else shot)
    return shots


def mouth_openings(video: Path, dub: Dub) -> Floats:
    """Read how far the mouth is open in every dubbed frame: N, in heights of the face, or NaN.

    The video has the frames of the track, in their order.
    """
    openings_N = np.full(len(dub.track.ticks_N), np.nan)
    of_frame = {n: take for take in dub.takes for n in range(take.start, take.stop)}
    for number, frame in enumerate(_frames(video)):
        take = of_frame.get(number)
        if take is not None and take.weights_N[number - take.start] > _DUBBED:
            openings_N[number] = _opening(frame, take, number)
    return openings_N


def lagged(times_M: Floats, openings_M: Floats, curve: "Curve") -> tuple[float, float]:
    """Return the largest correlation within 0.2 s, and how late in seconds the mouth then is."""
    num = round(MAX_LAG_S / _LAG_STEP_S)
    lags = [step * _LAG_STEP_S for step in range(-num, num + 1)]
    found = [correlation(openings_M, curve(times_M - lag)) for lag in lags]
    best = int(np.argmax(found))
    return found[best], lags[best]


def leak_of(old: float, new: float, voices: float) -> float:
    """Return the partial correlation of mouth and old voice: two voices are alike by chance."""
    rest = np.sqrt(max((1 - new**2) * (1 - voices**2), 1e-9))
    return float((old - new * voices) / rest)


class Curve:
    """Something that changes over time, by its values on a grid."""

    def __init__(self, times: Floats, values: Floats) -> None:
        self._times, self._values = times, values

    def __call__(self, times_M: Floats) -> Floats:
        """Interpolate at some times; the ends go on."""
        return np.interp(times_M, self._times, self._values)


class _Voice(Curve):
    """How loud the voice of a WAV is."""

    def __init__(self, wav: Path) -> None:
        # librosa takes seconds to import, and commands need only the words of this module.
        from sonic_ops.quality.speech import voice_levels

        times = np.arange(max(num_samples_in(wav) / SAMPLE_RATE_HZ, _GRID_S), step=_GRID_S)
        levels = voice_levels(SampleFile(str(wav)), times)
        super().__init__(times, levels)
        self._loudest = float(levels.max())

    def is_loud(self, times_M: Floats) -> NDArray[np.bool_]:
        """Tell where something is said, or nearly: what is far below the loudest is a pause."""
        return np.asarray(self(times_M) > max(self._loudest - _PAUSE_DB, _SILENT_DB))


def _compared(
    shot: Shot, times_M: Floats, openings_M: Floats, new: Curve, old: Curve | None
) -> Shot:
    sync, lag_s = lagged(times_M, openings_M, new)
    shot = replace(shot, sync=sync, lag_ms=1000 * lag_s)
    if old is None:
        return shot
    new_M, old_M = new(times_M - lag_s), old(times_M)
    follows = correlation(openings_M, old_M)
    return replace(shot, old=follows, leak=leak_of(follows, sync, correlation(new_M, old_M)))


def _spans(track: FilmTrack) -> Iterator[range]:
    num = len(track.shots_N)
    borders = [0, *(np.flatnonzero(np.diff(track.shots_N)) + 1).tolist(), num]
    return (range(start, stop) for start, stop in pairwise(borders))


def _shot(track: FilmTrack, span: range, lasts_N: Floats, reasons_N: NDArray[np.int64]) -> Shot:
    part = slice(span.start, span.stop)
    lasts, reasons = lasts_N[part], reasons_N[part]
    kept = {
        REASONS[reason]: float(lasts[reasons == reason].sum())
        for reason in np.unique(reasons).tolist()
        if reason != EDITED
    }
    start_s = float(track.times_s[span.start])
    stop_s = start_s + float(lasts.sum())
    dubbed_s = float(lasts[reasons == EDITED].sum())
    return Shot(start_s, stop_s, dubbed_s, tuple(_longest(kept)))


def _longest(kept: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(kept.items(), key=lambda item: -item[1])


def _frames(video: Path) -> Iterator[FilmFrame]:
    with video.open("rb") as file:
        yield from film_frames(file)


def _opening(frame: FilmFrame, take: Take, number: int) -> float:
    frame_HW3 = frame.shown(LOOKED_SIDE)
    scale = frame_HW3.shape[1] / frame.shown_size[0]
    box = moved_box(take.box, take.moved_N23[number - take.start]).scaled(scale)
    return read_landmarks(frame_HW3, box).mouth_opening
