"""Phones to a smooth mouth track.

Shape letters: N steps of 10 ms, 6 mouth channels (jaw, width, rounding, press, teeth, tongue).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from training.speech.phones import DIPHTHONGS, REST, closes_lips, mouth_shape
from training.speech.speech import Phone

STEPS_PER_SECOND: Final = 100
NUM_MOUTH: Final = 6
JAW, WIDTH, ROUNDING, PRESS, TEETH, TONGUE = range(NUM_MOUTH)
_COARTICULATION_STEPS: Final = 3.4
_CLOSURE_STEPS: Final = 4.5
_SILENCE: Final = 0.02
"""Loudness (root mean square) that no speech stays under."""

Floats = NDArray[np.float32]


def smooth(track: Floats, sigma_steps: float) -> Floats:
    """Gaussian smoothing along the first axis, edges held."""
    reach = int(4 * sigma_steps + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_steps) ** 2)
    kernel /= kernel.sum()
    columns = track.reshape(len(track), -1)
    padded = np.pad(columns, ((reach, reach), (0, 0)), mode="edge")
    out = [np.convolve(padded[:, k], kernel, mode="valid") for k in range(columns.shape[1])]
    return np.stack(out, 1).reshape(track.shape).astype(np.float32)


def loudness(samples: Floats, num_steps: int) -> Floats:
    """Loudness per 10 ms, 1 at the loud end of the clip; a clip without speech stays near 0."""
    hop = SAMPLE_RATE_HZ // STEPS_PER_SECOND
    window = np.ones(400) / 400
    power = np.convolve(samples.astype(np.float64) ** 2, window, "same")[::hop]
    level = np.sqrt(power + 1e-8)[:num_steps]
    level = np.pad(level, (0, num_steps - len(level)))
    loud = max(float(np.percentile(level, 95)), _SILENCE)
    return smooth((level / loud).astype(np.float32), 4.0)


def mouth_track(phones: Sequence[Phone], samples: Floats) -> Floats:
    """Return the mouth every 10 ms: N x 6.

    Targets of the phones run into each other (coarticulation); p, b and m close the lips whatever
    stands beside them; loud speech opens the jaw further.
    """
    num_steps = len(samples) * STEPS_PER_SECOND // SAMPLE_RATE_HZ + 2
    targets = np.tile(np.array(REST, np.float32), (num_steps, 1))
    closure = np.zeros(num_steps, np.float32)
    for phone in phones:
        start, stop = _span(phone)
        _put(targets, phone.name, start, stop)
        if closes_lips(phone.name):
            closure = np.maximum(closure, _closure(start, stop, num_steps))
    level = loudness(samples, num_steps)
    track = smooth(targets, _COARTICULATION_STEPS)
    track[:, JAW] *= np.clip(0.72 + 0.4 * level, 0.5, 1.15)
    track[:, PRESS] = np.maximum(smooth(closure, 1.0), track[:, PRESS] * 0.6)
    track[:, JAW] *= 1 - 0.9 * np.clip(track[:, PRESS], 0, 1)
    return track


def _span(phone: Phone) -> tuple[int, int]:
    start = round(phone.start_s * STEPS_PER_SECOND)
    return start, max(round(phone.stop_s * STEPS_PER_SECOND), start + 1)


def _put(targets: Floats, name: str, start: int, stop: int) -> None:
    if name in DIPHTHONGS:
        first, second = DIPHTHONGS[name]
        middle = (start + stop) // 2
        targets[start:middle] = mouth_shape(first)
        targets[middle:stop] = mouth_shape(second)
    else:
        targets[start:stop] = mouth_shape(name)


def _closure(start: int, stop: int, num_steps: int) -> Floats:
    """1 around the middle of the phone, 0 away from it."""
    reach = max((stop - start) / 2, _CLOSURE_STEPS)
    distance = np.abs(np.arange(num_steps) - (start + stop) / 2) / reach
    return np.asarray(np.clip(1.35 - distance, 0, 1), np.float32)
