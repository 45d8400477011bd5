"""Head, brows, eyes: what moves beside the mouth, following the prosody of the clip.

Every clip has two amplitudes, for the head and for the expression. They are partly audible (a
lively voice moves more), which `audio2bucket` learns; the UNet is told both as motion buckets.
Shape letters: N steps of 10 ms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.constants import SAMPLE_RATE_HZ
from sonic_ops.training.mouth import NUM_MOUTH, STEPS_PER_SECOND, loudness, mouth_track, smooth
from sonic_ops.training.speech import Utterance

YAW, PITCH, ROLL, SHIFT_X, SHIFT_Y, BLINK, BROW, GAZE_X, GAZE_Y = range(NUM_MOUTH, NUM_MOUTH + 9)
NUM_CHANNELS: Final = NUM_MOUTH + 9
HEAD_MOTION: Final = 0.33
"""Head motion of the data against that of a lively speaker: small motion is learnt sooner."""
_GAZE: Final = 0.30
_LOWEST_HZ, _HIGHEST_HZ = 65, 420

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """A track of all channels (N x 15, every 10 ms) and the clip's two amplitudes in [0, 1]."""

    samples: Floats
    track: Floats
    head: float
    expression: float


def animate(spoken: Utterance, rng: np.random.Generator) -> Clip:
    """Give the utterance a mouth, a head, brows and eyes."""
    mouth = mouth_track(spoken.phones, spoken.samples)
    num_steps = len(mouth)
    level = loudness(spoken.samples, num_steps)
    pitch = _pitch_octaves(spoken.samples, level)
    lively = liveliness(level, pitch)
    head = float(np.clip(0.15 + 0.85 * (0.65 * lively + 0.35 * rng.uniform()), 0.1, 1))
    expression = float(np.clip(0.10 + 0.90 * (0.65 * lively + 0.35 * rng.uniform()), 0.1, 1))
    track = np.zeros((num_steps, NUM_CHANNELS), np.float32)
    track[:, :NUM_MOUTH] = mouth
    track[:, 1] += 0.12 * expression
    track[:, YAW : SHIFT_Y + 1] = HEAD_MOTION * _head(level, pitch, head, rng)
    track[:, BLINK] = _blinks(num_steps, rng)
    track[:, BROW] = _brows(level, pitch, expression, rng)
    track[:, GAZE_X] = _GAZE * _saccades(num_steps, rng)
    track[:, GAZE_Y] = 0.6 * _GAZE * _saccades(num_steps, rng)
    return Clip(spoken.samples, track, head, expression)


def liveliness(level: Floats, pitch: Floats) -> float:
    """0 for a monotonous clip, 1 for a lively one: pitch range and changes of loudness."""
    voiced = level > 0.15
    if voiced.sum() < STEPS_PER_SECOND // 2:
        return 0.0
    pitch_range = float(np.percentile(pitch[voiced], 90) - np.percentile(pitch[voiced], 10))
    pulse = float(np.abs(np.diff(smooth(level, 6.0))).mean() * STEPS_PER_SECOND)
    return float(np.clip(0.9 * pitch_range + 0.25 * pulse - 0.35, 0, 1))


def _pitch_octaves(samples: Floats, level: Floats) -> Floats:
    """Pitch per 10 ms in octaves from the clip's median, 0 where nothing is voiced.

    The peak of the autocorrelation of 64 ms, found by FFT.
    """
    hop, size = SAMPLE_RATE_HZ // STEPS_PER_SECOND, 1024
    padded = np.pad(samples, (size // 2, size + hop * 2))
    rows = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][: len(level)]
    power = np.abs(np.fft.rfft(rows * np.hanning(size), 2 * size)) ** 2
    shortest, longest = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
    lags = np.fft.irfft(power)[:, shortest:longest] / (1 - np.arange(shortest, longest) / size)
    octaves = np.log2(SAMPLE_RATE_HZ / (shortest + lags.argmax(1)))
    voiced = level[: len(octaves)] > 0.15
    centre = np.median(octaves[voiced]) if voiced.any() else 0.0
    octaves = np.clip(octaves - centre, -0.6, 0.6) * voiced
    return smooth(np.pad(octaves, (0, len(level) - len(octaves))).astype(np.float32), 10.0)


def _wander(num_steps: int, sigma_steps: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit variance."""
    noise = rng.standard_normal(num_steps + 400).astype(np.float32)
    track = smooth(noise, sigma_steps)[200 : 200 + num_steps]
    return np.asarray(track * np.sqrt(2 * np.sqrt(np.pi) * sigma_steps), np.float32)


def _head(level: Floats, pitch: Floats, amplitude: float, rng: np.random.Generator) -> Floats:
    """Yaw, pitch, roll, shift x, shift y for a head of the given amplitude: N x 5."""
    n = len(level)
    beat = smooth(level, 14.0)
    beat = beat - beat.mean()
    columns = [
        0.55 * _wander(n, 70, rng) + 0.4 * _wander(n, 25, rng) * beat,
        0.30 * _wander(n, 60, rng) + 0.9 * beat - 0.5 * pitch,
        0.45 * _wander(n, 80, rng),
        0.70 * _wander(n, 90, rng),
        0.40 * _wander(n, 80, rng) + 0.4 * beat,
    ]
    return np.asarray(np.clip(amplitude * np.stack(columns, 1), -1.6, 1.6), np.float32)


def _brows(level: Floats, pitch: Floats, amplitude: float, rng: np.random.Generator) -> Floats:
    beat = smooth(level, 14.0)
    raised = 0.25 * _wander(len(level), 60, rng) + 2.6 * pitch + 0.5 * (beat - beat.mean())
    return np.asarray(np.clip(amplitude * raised, -0.6, 1.3), np.float32)


def _blinks(num_steps: int, rng: np.random.Generator) -> Floats:
    """Eyelids, 1 when shut: a blink of 0.15 s every 1 to 5 seconds."""
    lids = np.zeros(num_steps, np.float32)
    step = 30 + rng.exponential(150)
    while step < num_steps:
        lids = np.maximum(lids, np.clip(1.5 - np.abs(np.arange(num_steps) - step) / 7, 0, 1))
        step += 80 + rng.exponential(220)
    return np.asarray(lids, np.float32)


def _saccades(num_steps: int, rng: np.random.Generator) -> Floats:
    held = np.repeat(rng.standard_normal(num_steps // 80 + 2), 80)[:num_steps]
    return smooth(held.astype(np.float32), 3.0)
