"""Everything that a report shows of one finished video: figures, curves, and thumbnails.

Shape letters: N output frames, F model frames, B bins of a curve, H, W rows and columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.audio.prosody import pauses
from sonic_ops.audio.resampling import SampleFile, decode_audio, num_samples_in
from sonic_ops.core.constants import MODEL_FPS, SAMPLE_RATE_HZ
from sonic_ops.core.errors import AudioTooShortError, AudioUnreadableError
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.media.inspection import probe_video
from sonic_ops.quality.baselines import shuffled, still
from sonic_ops.quality.defects import Defects, find_defects
from sonic_ops.quality.dubs import Shot
from sonic_ops.quality.frame_analysis import FrameAnalyser, Shown, Tracks, frames_of
from sonic_ops.quality.measures import Interval, Measures, length_error_ms, measure, measure_parts
from sonic_ops.quality.seams import KeyChange, key_changes
from sonic_ops.quality.speech import MIN_PAUSE_S, Speech, analyse_speech

NUM_BINS: Final = 160
"""Points of a curve at most: what a screen can show, and a page of many videos can hold."""
NUM_FRAMES: Final = 6
"""Frames of a contact sheet."""

_THUMB_SIDE, _SHEET_SIDE, _POSTER_SIDE = 56, 96, 240
_WEBP_QUALITY: Final = 62
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]
Curve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """At most `NUM_BINS` means each, evenly spaced over the video; empty without audio."""

    wave: Curve  # the loudest sample of each bin, 0 to 1
    pitch_hz: Curve  # 0 where there is no voice
    loudness_db: Curve
    voice_db: Curve
    mouth: Curve
    head_x: Curve
    head_y: Curve
    eyes: Curve
    pauses_s: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class VideoAnalysis:
    """What is shown of a video; the images are WebP files."""

    duration_s: float
    length_error_ms: float | None
    has_face: bool
    measures: Measures
    defects: Defects
    parts: tuple[Interval, ...]
    still: Measures
    """Of the portrait, or the first frame, shown all the time."""
    shuffled: Measures
    """Of the video with audio of other times."""
    keys: tuple[KeyChange, ...]
    curves: Curves
    thumb: bytes
    poster: bytes
    sheet: bytes
    shots: tuple[Shot, ...] = ()
    """Of a film that was dubbed."""
    syncnet: str = ""
    """The hash of the weights that SyncNet was asked with; empty if it was not asked."""


def analyse_video(video: Path, portrait_HW3: Bytes | None = None) -> VideoAnalysis:
    """Go through a video once, video and audio. Raises VerifyError."""
    info = probe_video(video)
    with scratch_folder() as scratch:
        wav = audio_of(video, scratch)
        speech = None if wav is None else analyse_speech(wav, info.num_frames, info.fps)
        rest_N = None if speech is None else speech.at_rest()
        analyser = FrameAnalyser(info.fps, pause_N=rest_N, portrait_HW3=portrait_HW3)
        chosen = _chosen(analysed(analyser, frames_of(video)), info.num_frames)
        tracks = analyser.tracks()
        curves = _curves(tracks, speech, wav)
    found = measure(tracks, speech)
    held_HW3 = chosen[0] if portrait_HW3 is None else portrait_HW3
    return VideoAnalysis(
        duration_s=info.duration_s,
        length_error_ms=length_error_ms(info),
        has_face=tracks.has_face,
        measures=found,
        defects=find_defects(tracks, speech, is_even=probe_video(video, info.fps).is_constant_rate),
        parts=tuple(measure_parts(tracks, speech)),
        still=still(held_HW3, len(tracks), info.fps, speech, portrait_HW3),
        shuffled=shuffled(tracks, speech, found),
        keys=key_changes(tracks.change_N, tracks.keys),
        curves=curves,
        thumb=_webp(_within(chosen[0], _THUMB_SIDE)),
        poster=_webp(_within(chosen[0], _POSTER_SIDE)),
        sheet=_webp(np.hstack([_in_sheet(frame) for frame in chosen])),
    )


def analysed(analyser: FrameAnalyser, frames: Iterator[Shown]) -> Iterator[Bytes]:
    """Yield the frames, each after the analyser has seen it."""
    for shown in frames:
        analyser.add(shown)
        yield shown.frame_HW3


def audio_of(video: Path, scratch: Path) -> Path | None:
    """Decode the audio of a video as `decode_audio` does; None if there is too little."""
    wav = scratch / "audio.wav"
    try:
        decode_audio(str(video), wav)
    except (AudioUnreadableError, AudioTooShortError):
        return None
    return wav


def _chosen(frames: Iterator[Bytes], num_frames: int) -> list[Bytes]:
    """Return frames from the first to the last, evenly spaced."""
    wanted = set(np.linspace(0, max(num_frames - 1, 0), NUM_FRAMES).astype(int).tolist())
    return [frame for index, frame in enumerate(frames) if index in wanted]


def _curves(tracks: Tracks, speech: Speech | None, wav: Path | None) -> Curves:
    prosody = speech.prosody if speech else None
    runs = pauses(prosody, MIN_PAUSE_S) if prosody else []
    return Curves(
        wave=() if wav is None else _wave(wav),
        pitch_hz=_binned(prosody.pitch_hz_F) if prosody else (),
        loudness_db=_binned(prosody.loudness_db_F) if prosody else (),
        voice_db=_binned(speech.voice_db_N) if speech else (),
        mouth=_binned(tracks.mouth_N),
        head_x=_binned(100 * tracks.head_N2[:, 0]),
        head_y=_binned(100 * tracks.head_N2[:, 1]),
        eyes=_binned(tracks.eyes_N),
        pauses_s=tuple((float(r.start / MODEL_FPS), float(r.stop / MODEL_FPS)) for r in runs),
    )


def _binned(track_N: Floats) -> Curve:
    bins = np.array_split(track_N, min(NUM_BINS, len(track_N)))
    return tuple(round(float(part.mean()), 3) for part in bins)


def _wave(wav: Path) -> Curve:
    samples, num_samples = SampleFile(str(wav)), num_samples_in(wav)
    edges = np.linspace(0, num_samples, NUM_BINS + 1).astype(int).tolist()
    longest = SAMPLE_RATE_HZ  # of a bin of a long video, the first second is enough
    spans = [samples[slice(start, min(stop, start + longest))] for start, stop in pairwise(edges)]
    return tuple(round(float(np.abs(span).max(initial=0)), 3) for span in spans)


def _within(frame_HW3: Bytes, side: int) -> Bytes:
    height, width = frame_HW3.shape[:2]
    return _scaled(frame_HW3, min(side / max(height, width), 1.0))


def _in_sheet(frame_HW3: Bytes) -> Bytes:
    height, width = frame_HW3.shape[:2]
    return _scaled(frame_HW3, min(_SHEET_SIDE / height, 2 * _SHEET_SIDE / width))


def _scaled(frame_HW3: Bytes, scale: float) -> Bytes:
    height, width = (max(round(side * scale), 1) for side in frame_HW3.shape[:2])
    return np.asarray(cv2.resize(frame_HW3, (width, height), interpolation=cv2.INTER_AREA))


def _webp(frame_HW3: Bytes) -> bytes:
    file = BytesIO()
    Image.fromarray(frame_HW3).save(file, "WEBP", quality=_WEBP_QUALITY)
    return file.getvalue()
