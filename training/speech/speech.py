"""Synthetic speech with the times of its phones, by espeak-ng."""

import random
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sonic_ops.core.constants import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from training.speech import espeak
from training.speech.sentences import is_held_out, sentence

LONG_PAUSES: Final = 0.2
"""Share of the pauses that are 2 s to 4 s long: a face has to live without speech too."""
_EMPHASIS_SAMPLES: Final = 4800
HELD_OUT_VARIANTS: Final = ("+f4", "+m8")
_ACCENTS: Final = ("en-us", "gmw/en", "en-us-nyc", "en-gb-scotland", "en-gb-x-rp", "en-029")
_VARIANTS: Final = (
    "", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f5",
    "+klatt2", "+max", "+linda", "+steph", "+belinda", "+john", "+paul", "+rob",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone from `start_s` up to `stop_s`."""

    name: str
    start_s: float
    stop_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech at 16 kHz with its phones."""

    samples: NDArray[np.float32]
    phones: tuple[Phone, ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker in the units of espeak-ng: pitch and its range in 0 to 99, words per minute."""

    name: str
    pitch: int
    rate: int
    pitch_range: int
    size: float = 1.0
    """Length of the throat against espeak's: 0.9 is a smaller speaker, higher in all tones."""


def draw_voice(rng: random.Random, *, held_out: bool) -> Voice:
    """Return a voice for a clip, one of the held-out ones if asked for."""
    size = rng.uniform(0.88, 1.12) if rng.random() < 0.5 else 1.0
    variant = rng.choice(HELD_OUT_VARIANTS if held_out else _VARIANTS)
    name = rng.choice(_ACCENTS) + variant
    rate, pitch_range = rng.randint(110, 230), rng.randint(0, 99)
    return Voice(name, rng.randint(20, 75), rate, pitch_range, size)


def speak(text: str, voice: Voice) -> Utterance:
    """Say a text. Raises ConfigError if espeakng-loader is not installed."""
    spoken = _spoken(text, voice)
    return spoken if voice.size == 1.0 else _resized(spoken, voice.size)


def _resized(spoken: Utterance, size: float) -> Utterance:
    """Return the same by a speaker of another size: all tones lower and slower by the factor."""
    samples = _resampled(spoken.samples, 1.0, size)
    phones = tuple(Phone(p.name, p.start_s * size, p.stop_s * size) for p in spoken.phones)
    return Utterance(samples, phones)


def draw_clip(seed: int, *, held_out: bool, max_s: float = 27.0) -> Utterance:
    """Let a voice say one to six sentences with pauses, some of them long, on a bed of noise.

    Held out means both the voice and every sentence.
    """
    rng = random.Random(seed)
    voice = draw_voice(rng, held_out=held_out)
    gap = np.zeros(int(SAMPLE_RATE_HZ * rng.uniform(0.1, 0.5)), np.float32)
    samples: list[NDArray[np.float32]] = [gap]
    phones: list[Phone] = []
    for _ in range(rng.choice([1, 1, 2, 3, 4, 6])):
        spoken = speak(sentence(_sentence_index(rng, held_out=held_out)), voice)
        start_s = sum(map(len, samples)) / SAMPLE_RATE_HZ
        if start_s + len(spoken.samples) / SAMPLE_RATE_HZ > max_s:
            break
        phones += [Phone(p.name, p.start_s + start_s, p.stop_s + start_s) for p in spoken.phones]
        pause_s = rng.uniform(2.0, 4.0) if rng.random() < LONG_PAUSES else rng.uniform(0.1, 1.0)
        samples += [spoken.samples, np.zeros(int(SAMPLE_RATE_HZ * pause_s), np.float32)]
    # A long pause at the end may reach beyond what the speech encoder hears at once.
    return Utterance(_room(np.concatenate(samples)[:CHUNK_SAMPLES], rng), tuple(phones))


def _sentence_index(rng: random.Random, *, held_out: bool) -> int:
    while True:
        index = rng.randrange(1_000_000)
        if is_held_out(index) == held_out:
            return index


def _room(samples: NDArray[np.float32], rng: random.Random) -> NDArray[np.float32]:
    """Peak level, a little echo, another microphone, emphasis, noise."""
    noise = np.random.default_rng(rng.randrange(2**31))
    if rng.random() < 0.4:
        decay = np.exp(-np.arange(2400) / rng.uniform(200, 900)) * noise.standard_normal(2400)
        decay[0] = 8.0
        samples = np.convolve(samples, decay / 8.0)[: len(samples)].astype(np.float32)
    if rng.random() < 0.4:
        samples = _tilt(samples, rng.uniform(-0.6, 1.5))
    samples = samples * _emphasis(len(samples), noise, depth_db=rng.uniform(0.0, 7.0))
    samples = samples / max(1e-4, float(np.abs(samples).max())) * rng.uniform(0.3, 0.95)
    hiss = noise.standard_normal(len(samples))
    if rng.random() < 0.4:
        hiss = _tilt(hiss, -0.95) * 3
    return (samples + 10 ** rng.uniform(-4.5, -2.3) * hiss).astype(np.float32)


def _emphasis(
    num_samples: int, noise: np.random.Generator, *, depth_db: float
) -> NDArray[np.float32]:
    """Return a gain that comes and goes with the words, as no synthetic voice has it by itself."""
    ticks = np.arange(num_samples // _EMPHASIS_SAMPLES + 2) * _EMPHASIS_SAMPLES
    level_db = depth_db * np.interp(
        np.arange(num_samples), ticks, noise.standard_normal(len(ticks))
    )
    return np.asarray(10 ** (level_db / 20), np.float32)


def _tilt(samples: NDArray[Any], gain: float) -> NDArray[Any]:
    """Make the upper half of the spectrum louder by `gain`, or softer: another microphone."""
    low = np.convolve(samples, np.hanning(18)[1:-1] / np.hanning(18).sum(), "same")
    return np.asarray(samples + gain * (samples - low), np.float32)


def _to_float(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    return np.asarray(samples / 32768, np.float32)


def _resample(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    return _resampled(samples, rate_hz, SAMPLE_RATE_HZ)


def _resampled(
    samples: NDArray[np.float32], rate_in: float, rate_out: float
) -> NDArray[np.float32]:
    # Only who makes speech needs soxr; training on a bundle's speech does not.
    import soxr

    return np.asarray(soxr.resample(samples, rate_in, rate_out), np.float32)


def _spoken(text: str, voice: Voice) -> Utterance:
    sound, rate_hz, starts = espeak.synthesise(
        text,
        voice=voice.name,
        rate=voice.rate,
        pitch=voice.pitch,
        pitch_range=voice.pitch_range,
    )
    samples = _to_float(np.frombuffer(sound, np.int16))
    stops = [start_s for start_s, _ in starts[1:]] + [len(samples) / rate_hz]
    phones = tuple(Phone(n, s, e) for (s, n), e in zip(starts, stops, strict=True))
    return Utterance(_resample(samples, rate_hz), phones)
