"""What SyncNet reads of a recording: 13 cepstra of the mel spectrum, every 10 ms.

They are those that python_speech_features has without any settings, which SyncNet was trained with.
That package takes a whole recording at once; here you ask for some steps, so memory stays bounded.
Source of the method: Davis and Mermelstein, IEEE Transactions on ASSP 28, 1980.
Shape letters: S samples, T steps, Q frequencies, M mel bands, K cepstra.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.prosody import Samples
from sonic_ops.core.constants import SAMPLE_RATE_HZ, exact_div

STEPS_PER_SECOND: Final = 100
NUM_CEPSTRA: Final = 13

_STEP_SAMPLES: Final = exact_div(SAMPLE_RATE_HZ, STEPS_PER_SECOND)  # 160
_SPAN_SAMPLES: Final = exact_div(SAMPLE_RATE_HZ, 40)  # 400, not weighted by a window
_NUM_BANDS: Final = 26
_POINTS: Final = 512  # of the Fourier transform
_PREEMPHASIS: Final = 0.97
_LIFTER: Final = 22
_FULL_SCALE: Final = 2**15
_NOTHING: Final = float(np.finfo(float).eps)  # instead of no energy, which has no logarithm
Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


def num_steps_in(num_samples: int) -> int:
    """Count the steps whose 25 ms lie inside a recording."""
    return max((num_samples - _SPAN_SAMPLES) // _STEP_SAMPLES + 1, 0)


def cepstra(samples: Samples, start: int, stop: int) -> NDArray[np.float32]:
    """Compute the cepstra of steps `[start, stop)` of audio at 16 kHz: T K.

    The first of a step is the logarithm of its energy; samples are whole numbers of 16 bits.
    """
    spans_TS = _spans(samples, start, stop)
    power_TQ = np.abs(np.fft.rfft(spans_TS, _POINTS)) ** 2 / _POINTS
    logs_TM = np.log(_some(power_TQ @ _bands().T))
    found_TK = logs_TM @ _cosines().T * _lifts()
    found_TK[:, 0] = np.log(_some(power_TQ.sum(1)))
    return np.asarray(found_TK, np.float32)


def _spans(samples: Samples, start: int, stop: int) -> Doubles:
    """Cut the samples into steps, with pre-emphasis."""
    first, last = start * _STEP_SAMPLES, (stop - 1) * _STEP_SAMPLES + _SPAN_SAMPLES
    span = np.asarray(samples[slice(max(first - 1, 0), last)], np.float64)
    span = np.clip(np.rint(span * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
    before = span if first else np.concatenate([[0.0], span])  # nothing is before the first
    assert len(before) == last - first + 1, "steps lie inside the audio"
    raised = before[1:] - _PREEMPHASIS * before[:-1]
    spans: Doubles = np.lib.stride_tricks.sliding_window_view(raised, _SPAN_SAMPLES)
    return spans[::_STEP_SAMPLES]


def _some(energy: Doubles) -> Doubles:
    return np.where(energy == 0, _NOTHING, energy)


@cache
def _bands() -> Doubles:
    """Return triangles over the frequencies, evenly spaced in mel from 0 to 8 kHz: M Q."""
    top_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    hz = 700 * (10 ** (np.linspace(0, top_mel, _NUM_BANDS + 2) / 2595) - 1)
    low, middle, high = (
        corner[:, None]
        for corner in np.lib.stride_tricks.sliding_window_view(
            np.floor((_POINTS + 1) * hz / SAMPLE_RATE_HZ), _NUM_BANDS
        )
    )
    place_Q = np.arange(_POINTS // 2 + 1)
    sides = (place_Q - low) / (middle - low), (high - place_Q) / (high - middle)
    return np.asarray(np.clip(np.minimum(*sides), 0, None))


@cache
def _cosines() -> Doubles:
    """Return the first cepstra of an orthogonal cosine transform (DCT-II): K M."""
    order_K1 = np.arange(NUM_CEPSTRA)[:, None]
    waves_KM = np.cos(np.pi * order_K1 * (np.arange(_NUM_BANDS) + 0.5) / _NUM_BANDS)
    return np.asarray(waves_KM * np.where(order_K1, np.sqrt(2), 1) / np.sqrt(_NUM_BANDS))


@cache
def _lifts() -> Doubles:
    """By how much each cepstrum is raised: K."""
    return np.asarray(1 + _LIFTER / 2 * np.sin(np.pi * np.arange(NUM_CEPSTRA) / _LIFTER))
