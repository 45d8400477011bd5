"""What a mouth should do, as far as the audio says it: how loud the voice is, and where it pauses.

Shape letters: N output frames, S samples of a span.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.prosody import Prosody, Samples, analyse_prosody, pauses
from sonic_ops.audio.resampling import SampleFile, num_samples_in
from sonic_ops.core.constants import MODEL_FPS, SAMPLE_RATE_HZ
from sonic_ops.core.timeline import num_frames_of

MIN_PAUSE_S: Final = 0.3
"""Shorter pauses are inside sentences: the mouth may stay open."""

_SPAN_SAMPLES: Final = 1280
_VOICE_HZ: Final = (300, 3000)
_RANGE_DB: Final = 40.0
_LOUD_PERCENTILE: Final = 95
_QUIET_PERCENTILE: Final = 10
_BLOCK: Final = 1000


@dataclass(frozen=True, slots=True)
class Speech:
    """One value per output frame, and the prosody of every model frame."""

    voice_db_N: NDArray[np.float32]
    pause_N: NDArray[np.bool_]
    prosody: Prosody

    def at_rest(self) -> NDArray[np.bool_]:
        """Tell when a mouth is taken to be at rest: N. Without a pause, in the quietest tenth."""
        if self.pause_N.any():
            return self.pause_N
        return np.asarray(self.voice_db_N <= np.percentile(self.voice_db_N, _QUIET_PERCENTILE))


def analyse_speech(wav: Path, num_frames: int, fps: Fraction) -> Speech:
    """Listen to a file of `decode_audio` at the middle of each of `num_frames` output frames.

    The voice is the level between 300 and 3000 Hz in 80 ms, at most 40 dB below the loudest: on
    painted people it follows the true opening of the mouth with r = .54 to .77 at lag 0, which is
    as far as any mouth can agree with it.
    """
    samples = SampleFile(str(wav))
    prosody = analyse_prosody(samples, max(num_frames_of(num_samples_in(wav)), 1))
    middles_s = np.asarray((np.arange(num_frames) + 0.5) / float(fps), np.float64)
    return Speech(voice_levels(samples, middles_s), _paused(prosody, middles_s), prosody)


def voice_levels(samples: Samples, times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return decibels of the voice at rising times, at most 40 below the loudest."""
    blocks = range(0, len(times_s), _BLOCK)
    level_N = np.concatenate([_levels(samples, times_s[n : n + _BLOCK]) for n in blocks])
    floor = float(np.percentile(level_N, _LOUD_PERCENTILE)) - _RANGE_DB
    return np.asarray(np.maximum(level_N, floor), np.float32)


def _levels(samples: Samples, middles_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return decibels of the voice around some times that follow each other."""
    starts = np.round(middles_s * SAMPLE_RATE_HZ).astype(np.int64) - _SPAN_SAMPLES // 2
    first, last = int(starts[0]), int(starts[-1]) + _SPAN_SAMPLES
    inside = np.asarray(samples[slice(max(first, 0), last)], np.float32)
    before = max(-first, 0)
    padded = np.pad(inside, (before, max(last - first - before - len(inside), 0)))
    spans_NS = np.stack([padded[s : s + _SPAN_SAMPLES] for s in starts - first])
    spectrum = np.abs(np.fft.rfft(spans_NS * np.hanning(_SPAN_SAMPLES))) ** 2
    low, high = (hz * _SPAN_SAMPLES // SAMPLE_RATE_HZ for hz in _VOICE_HZ)
    power_N = spectrum[:, low:high].sum(1) / _SPAN_SAMPLES**2
    return np.asarray(10 * np.log10(power_N + 1e-10), np.float32)


def _paused(prosody: Prosody, middles_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each time lies in a pause that is long enough."""
    pause_F = np.zeros(len(prosody.pause_F), bool)
    for run in pauses(prosody, MIN_PAUSE_S):
        pause_F[run.start : run.stop] = True
    frames = np.minimum((middles_s * float(MODEL_FPS)).astype(np.int64), len(pause_F) - 1)
    return np.asarray(pause_F[frames])
