"""How something is said: tone, loudness, speaking rate and pauses of every frame.

Shape letters: S samples, H hops (four per frame, 50 per second), F frames.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.compiled import librosa
from sonic_ops.core.constants import (
    CHUNK_SECONDS,
    MODEL_FPS,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_FRAME,
    exact_div,
)

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Samples(Protocol):
    """16 kHz samples of which spans can be read: an array, a memory map, a file."""

    def __getitem__(self, span: slice, /) -> Floats: ...


Scalar = TypeVar("Scalar", bound=np.generic)

HOPS_PER_FRAME = 4
HOP_SAMPLES = exact_div(SAMPLES_PER_FRAME, HOPS_PER_FRAME)
HOPS_PER_SECOND = exact_div(SAMPLE_RATE_HZ, HOP_SAMPLES)
CHUNK_HOPS = CHUNK_SECONDS * HOPS_PER_SECOND
SPAN_SAMPLES = 1024  # what one hop looks at, around its middle

PITCH_HZ = (65.0, 500.0)
MIN_PERIODICITY = 0.6
SILENCE_DB = -60.0
PAUSE_BELOW_SPEECH_DB = 30.0
SPEECH_PERCENTILE = 95
SWELL_SAMPLES = 640  # long enough to hide the single pulses of a voice
NUCLEUS_DB = 0.2  # a syllable's nucleus is louder by this than the mean of the hops around it
NUCLEUS_AROUND_HOPS = 8
NUCLEUS_APART_HOPS = 2
RATE_SPAN_S = 2
MIN_PAUSE_S = 0.16  # two frames: shorter ones are inside words


@dataclass(frozen=True, slots=True)
class Prosody:
    """One value per frame."""

    pitch_hz_F: Floats  # 0 where there is no voice
    voiced_F: Flags
    loudness_db_F: Floats  # root mean square, 0 dB is full scale
    rate_F: Floats  # syllables per second in the two seconds around the frame
    pause_F: Flags


def analyse_prosody(samples_S: Samples, num_frames: int) -> Prosody:
    """Analyse 16 kHz samples; only spans are read, so they may be a file of any length.

    Pitch is YIN (de Cheveigne and Kawahara 2002) where a span repeats itself after one period.
    Syllables are voiced peaks of loudness (after de Jong and Wempe 2009); on five sentences of
    read speech their number is off by 10 %.
    """
    assert num_frames > 0
    spans = [_analyse_span(span_S) for span_S in _spans(samples_S, num_frames)]
    pitch_H, voiced_H, loudness_H, swell_H = (
        np.concatenate([span[i] for span in spans]) for i in range(4)
    )
    voiced_FH, loudness_FH = (_by_frame(part) for part in (voiced_H, loudness_H))
    voiced_F = voiced_FH.sum(axis=1) * 2 >= HOPS_PER_FRAME
    loudness_F = _power_mean_db(loudness_FH)
    limit_db = max(
        float(np.percentile(loudness_F, SPEECH_PERCENTILE)) - PAUSE_BELOW_SPEECH_DB, SILENCE_DB
    )
    return Prosody(
        pitch_hz_F=np.where(voiced_F, _voiced_median(_by_frame(pitch_H), voiced_FH), 0),
        voiced_F=voiced_F,
        loudness_db_F=loudness_F,
        rate_F=_by_frame(_rate(swell_H, voiced_H)).mean(axis=1),
        pause_F=(loudness_F < limit_db) & ~voiced_F,
    )


def pauses(prosody: Prosody, min_s: float) -> list[range]:
    """Find the frames of every pause of at least `min_s`."""
    edges = np.flatnonzero(np.diff(prosody.pause_F, prepend=False, append=False))
    runs = [range(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
    return [run for run in runs if len(run) >= min_s * MODEL_FPS]


def _spans(samples_S: Samples, num_frames: int) -> Iterator[Floats]:
    """Yield the samples behind up to `CHUNK_HOPS` hops, with silence beyond both ends."""
    margin = (SPAN_SAMPLES - HOP_SAMPLES) // 2
    num_hops = num_frames * HOPS_PER_FRAME
    for first in range(0, num_hops, CHUNK_HOPS):
        last = min(first + CHUNK_HOPS, num_hops)
        start, stop = first * HOP_SAMPLES - margin, last * HOP_SAMPLES + margin
        inside = np.asarray(samples_S[max(start, 0) : stop], dtype=np.float32)
        before = max(-start, 0)
        yield np.pad(inside, (before, stop - start - before - len(inside)))


def _analyse_span(samples_S: Floats) -> tuple[Floats, Flags, Floats, Floats]:
    """Return pitch, voice, loudness and its smooth swell of every hop."""
    spans_HS = np.lib.stride_tricks.sliding_window_view(samples_S, SPAN_SAMPLES)[::HOP_SAMPLES]
    loudness_H = _loudness(spans_HS, np.ones(HOP_SAMPLES))
    swell_H = _loudness(spans_HS, np.hanning(SWELL_SAMPLES))
    low_hz, high_hz = PITCH_HZ
    pitch_H = librosa.yin(
        samples_S,
        fmin=low_hz,
        fmax=high_hz,
        sr=SAMPLE_RATE_HZ,
        frame_length=SPAN_SAMPLES,
        hop_length=HOP_SAMPLES,
        center=False,
    ).astype(np.float32)
    voiced_H = (_periodicity(spans_HS, pitch_H) > MIN_PERIODICITY) & (loudness_H > SILENCE_DB)
    return pitch_H, voiced_H, loudness_H, swell_H


def _loudness(spans_HS: Floats, weights_S: NDArray[np.float64]) -> Floats:
    """Return decibels of the weighted samples in the middle of every span."""
    margin = (SPAN_SAMPLES - len(weights_S)) // 2
    power_H = np.square(spans_HS[:, margin:-margin]) @ (weights_S / weights_S.sum())
    loudness_H: Floats = (10 * np.log10(power_H + 1e-10)).astype(np.float32)
    return loudness_H


def _periodicity(spans_HS: Floats, pitch_H: Floats) -> Floats:
    """Compute how similar each span is to itself one period later: at most 1."""
    lag_H = np.round(SAMPLE_RATE_HZ / pitch_H).astype(np.int64)
    length = SPAN_SAMPLES - math.ceil(SAMPLE_RATE_HZ / PITCH_HZ[0])
    now_HS = spans_HS[:, :length]
    later_HS = np.take_along_axis(spans_HS, lag_H[:, None] + np.arange(length), axis=1)
    now_HS = now_HS - now_HS.mean(axis=1, keepdims=True)
    later_HS = later_HS - later_HS.mean(axis=1, keepdims=True)
    both = np.sqrt((now_HS**2).sum(axis=1) * (later_HS**2).sum(axis=1))
    likeness: Floats = (now_HS * later_HS).sum(axis=1) / (both + 1e-9)
    return likeness


def _rate(swell_H: Floats, voiced_H: Flags) -> Floats:
    """Return syllables per second around every hop; at the ends the span is shorter."""
    peaks = librosa.util.peak_pick(
        swell_H,
        pre_max=NUCLEUS_APART_HOPS,
        post_max=NUCLEUS_APART_HOPS,
        pre_avg=NUCLEUS_AROUND_HOPS,
        post_avg=NUCLEUS_AROUND_HOPS,
        delta=NUCLEUS_DB,
        wait=NUCLEUS_APART_HOPS,
    )
    nuclei_H = np.zeros(len(swell_H))
    nuclei_H[peaks] = voiced_H[peaks]
    span = np.ones(RATE_SPAN_S * HOPS_PER_SECOND + 1)
    smoothed_H, hops_H = (_convolved(track, span) for track in (nuclei_H, np.ones(len(nuclei_H))))
    return (smoothed_H / hops_H * HOPS_PER_SECOND).astype(np.float32)


def _convolved(track_H: NDArray[np.float64], span: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = np.convolve(track_H, span)
    return whole[len(span) // 2 : len(span) // 2 + len(track_H)]


def _by_frame(track_H: NDArray[Scalar]) -> NDArray[Scalar]:
    return track_H.reshape(-1, HOPS_PER_FRAME)


def _power_mean_db(loudness_FH: Floats) -> Floats:
    mean: Floats = 10 * np.log10((10 ** (loudness_FH / 10)).mean(axis=1))
    return mean


def _voiced_median(pitch_FH: Floats, voiced_FH: Flags) -> Floats:
    median_F = np.zeros(len(pitch_FH), np.float32)
    is_voiced_F = voiced_FH.any(axis=1)
    voiced_only = np.where(voiced_FH, pitch_FH, np.nan)[is_voiced_F]
    median_F[is_voiced_F] = np.nanmedian(voiced_only, axis=1)
    return median_F
