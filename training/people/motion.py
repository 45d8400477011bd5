"""Head, brows, eyes: what moves beside the mouth, following the prosody of the clip.

Every clip has two amplitudes. The head's follows the stresses of the speech, the expression's
follows its pace, each with a small random part of its own: `audio2bucket` learns to
hear them. A track is stored for amplitude 1 of the head and `EVEN` of the expression, and
`perform` gives it any amplitudes, so that the UNet sees every voice with every strength of motion
and learns to scale head and expression apart.
Shape letters: N steps of 10 ms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from training.people.mouth import (
    JAW,
    NUM_MOUTH,
    STEPS_PER_SECOND,
    WIDTH,
    loudness,
    mouth_track,
    smooth,
)
from training.speech.phones import REST, mouth_shape
from training.speech.speech import Utterance

YAW, PITCH, ROLL, SHIFT_X, SHIFT_Y, BLINK, BROW, GAZE_X, GAZE_Y = range(NUM_MOUTH, NUM_MOUTH + 9)
NUM_CHANNELS: Final = NUM_MOUTH + 9
_SIDEWAYS: Final = (YAW, ROLL, SHIFT_X, GAZE_X)
HEAD_MOTION: Final = 0.45
"""Head motion at amplitude 1 against that of a lively speaker: small motion is learnt sooner."""
EVEN: Final = 0.5
"""The expression with which a mouth opens as its phones say."""
QUIET, LIVELY = 0.2, 0.8
"""Amplitudes of the most monotonous and of the liveliest clip, before chance."""
_CHANCE: Final = 0.05
_STRESSES: Final = (0.10, 0.30)
"""Spread of the loudness of words: dullest, liveliest."""
_ATTACKS: Final = (1.7, 2.9)
"""Mean change of loudness per second: dullest, liveliest."""
_UNEVEN: Final = (0.40, 0.70)
"""Spread of the lengths of phones against their mean: dullest, liveliest."""
_USUAL: Final = (0.18, 0.73)
"""The middle nine tenths of clips, for the mean of the three."""
_SHORTEST_S: Final = 0.3
_PACES: Final = (8.0, 17.0)
"""Phones per second: slowest, fastest."""
_MOST_OPEN: Final = 1.15
_GAZE: Final = 0.30
_LOWEST_HZ, _HIGHEST_HZ = 65, 420
_SPEECH_LEVEL: Final = 0.15
_PAUSE_STEPS: Final = 20
_BLINK_DELAY: Final = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """A stored track of all channels (N x 15, every 10 ms) and the clip's two amplitudes."""

    samples: Floats
    stored: Floats
    head: float
    expression: float

    @property
    def track(self) -> Floats:
        """Return the poses at the clip's own amplitudes: N x 15."""
        return perform(self.stored, self.head, self.expression)


def animate(spoken: Utterance, rng: np.random.Generator) -> Clip:
    """Give the utterance a mouth, a head, brows and eyes."""
    mouth = mouth_track(spoken.phones, spoken.samples)
    num_steps = len(mouth)
    level = loudness(spoken.samples, num_steps)
    pitch = _pitch_octaves(spoken.samples, level)
    track = np.zeros((num_steps, NUM_CHANNELS), np.float32)
    track[:, :NUM_MOUTH] = mouth
    track[:, YAW : SHIFT_Y + 1] = HEAD_MOTION * _head(level, pitch, rng)
    track[:, BLINK] = _blinks(level, rng)
    track[:, BROW] = _brows(level, pitch, rng)
    track[:, GAZE_X] = _GAZE * _saccades(num_steps, rng)
    track[:, GAZE_Y] = 0.6 * _GAZE * _saccades(num_steps, rng)
    head = _amplitude(stress_liveliness(spoken, level), rng)
    expression = _amplitude(pace_liveliness(spoken), rng)
    return Clip(spoken.samples, track, head, expression)


def _amplitude(liveliness: float, rng: np.random.Generator) -> float:
    amplitude = QUIET + (LIVELY - QUIET) * liveliness + _CHANCE * rng.standard_normal()
    return float(np.clip(amplitude, 0.0, 1.0))


def perform(track: ArrayLike, head: ArrayLike, expression: ArrayLike) -> Floats:
    """Return the poses (... x 15) of a stored track at amplitudes (one for each pose, or for all).

    The head's amplitude scales yaw, pitch, roll and shift. The expression's scales brows, opens
    and widens the mouth, and makes blinks deeper up to their end; lips that are shut stay shut.
    """
    poses = np.array(track, np.float32)
    head, expression = np.asarray(head, np.float32), np.asarray(expression, np.float32)
    poses[..., YAW : SHIFT_Y + 1] *= head[..., None]
    gain = mouth_gain(expression)
    poses[..., JAW] = np.minimum(poses[..., JAW] * gain, np.maximum(poses[..., JAW], _MOST_OPEN))
    poses[..., WIDTH] = np.clip(poses[..., WIDTH] * (0.5 + 0.5 * gain), -1, 1.2)
    poses[..., BLINK] *= np.clip(0.7 + 0.8 * expression, 0, 1)
    poses[..., BROW] = np.clip(poses[..., BROW] * expression, -0.6, 1.5)
    return poses


def mouth_gain(expression: ArrayLike) -> Floats:
    """Return how far the jaw opens against what its phone asks for: 0.6 to 1.6, 1 at `EVEN`."""
    return np.asarray(0.6 + 0.8 * np.clip(expression, 0, 1.25), np.float32)


def stress_liveliness(spoken: Utterance, level: Floats) -> float:
    """0 for even speech, 1 for speech full of stresses.

    What can be heard in a second of it, in equal parts: how loudness spreads, how sharply it
    changes, and how uneven the phones are in length. (The range of the pitch would be as good a
    reason to move, but the speech encoder hardly hears it.)
    """
    durations_s = _sounds_s(spoken)
    heard = level > _SPEECH_LEVEL
    if durations_s.sum() < _SHORTEST_S or not heard[1:].any():
        return 0.0
    parts = (
        _between(float(smooth(level, 10.0)[heard].std()), _STRESSES),
        _between(_attack(level, heard), _ATTACKS),
        _between(float(durations_s.std() / durations_s.mean()), _UNEVEN),
    )
    return _between(sum(parts) / len(parts), _USUAL)


def _attack(level: Floats, heard: NDArray[np.bool_]) -> float:
    return float(np.abs(np.diff(smooth(level, 4.0)))[heard[1:]].mean() * STEPS_PER_SECOND)


def pace_liveliness(spoken: Utterance) -> float:
    """0 for slow speech, 1 for fast speech: phones per second of sound, without pauses."""
    durations_s = _sounds_s(spoken)
    spoken_s = float(durations_s.sum())
    return _between(len(durations_s) / spoken_s, _PACES) if spoken_s > _SHORTEST_S else 0.0


def _sounds_s(spoken: Utterance) -> NDArray[np.float64]:
    sounds = [p for p in spoken.phones if mouth_shape(p.name) != REST]
    return np.array([p.stop_s - p.start_s for p in sounds], np.float64)


def _between(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.clip((value - low) / (high - low), 0, 1))


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
    voiced = level[: len(octaves)] > _SPEECH_LEVEL
    centre = np.median(octaves[voiced]) if voiced.any() else 0.0
    octaves = np.clip(octaves - centre, -0.6, 0.6) * voiced
    return smooth(np.pad(octaves, (0, len(level) - len(octaves))).astype(np.float32), 10.0)


def _wander(num_steps: int, sigma_steps: float, rng: np.random.Generator) -> Floats:
    """Smooth noise of unit variance."""
    noise = rng.standard_normal(num_steps + 800).astype(np.float32)
    track = smooth(noise, sigma_steps)[400 : 400 + num_steps]
    return np.asarray(track * np.sqrt(2 * np.sqrt(np.pi) * sigma_steps), np.float32)


def _head(level: Floats, pitch: Floats, rng: np.random.Generator) -> Floats:
    """Yaw, pitch, roll, shift x, shift y of a head that moves on through silence: N x 5."""
    n = len(level)
    beat = smooth(level, 14.0)
    beat = beat - beat.mean()
    columns = [
        0.55 * _wander(n, 70, rng) + 0.4 * _wander(n, 25, rng) * beat,
        0.30 * _wander(n, 60, rng) + 1.2 * beat - 0.6 * pitch,
        0.40 * _wander(n, 80, rng) + 0.6 * smooth(pitch, 20.0),
        0.70 * _wander(n, 90, rng),
        0.40 * _wander(n, 80, rng) + 0.4 * beat,
    ]
    return np.asarray(np.clip(np.stack(columns, 1), -1.6, 1.6), np.float32)


def _brows(level: Floats, pitch: Floats, rng: np.random.Generator) -> Floats:
    beat = smooth(level, 14.0)
    raised = 0.35 * _wander(len(level), 60, rng) + 4.2 * pitch + 0.9 * (beat - beat.mean())
    return np.asarray(raised, np.float32)


def _blinks(level: Floats, rng: np.random.Generator) -> Floats:
    """Eyelids, 1 when shut, for 0.15 s: at most ends of phrases, and now and then between."""
    steps = np.arange(len(level))
    lids = np.zeros(len(level), np.float32)
    ends = [end + _BLINK_DELAY for end in _phrase_ends(level) if rng.random() < 0.8]
    between = np.cumsum(100 + rng.exponential(320, len(level) // 100 + 1))
    for step in [*ends, *between]:
        lids = np.maximum(lids, np.clip(1.6 - np.abs(steps - step) / 5, 0, 1))
    return np.asarray(lids, np.float32)


def _phrase_ends(level: Floats) -> NDArray[np.intp]:
    """Steps at which speech stops for 0.2 s or more."""
    loud = np.pad(level > _SPEECH_LEVEL, (0, _PAUSE_STEPS))
    last = np.flatnonzero(loud[:-1] & ~loud[1:])
    silent = [not loud[k + 1 : k + 1 + _PAUSE_STEPS].any() for k in last]
    return np.asarray(last[silent])


def _saccades(num_steps: int, rng: np.random.Generator) -> Floats:
    held = np.repeat(rng.standard_normal(num_steps // 80 + 2), 80)[:num_steps]
    return smooth(held.astype(np.float32), 3.0)


def in_mirror(poses: Floats) -> Floats:
    """Return poses (... K) as they look in a mirror."""
    mirrored = poses.copy()
    mirrored[..., _SIDEWAYS] *= -1
    return mirrored
