"""Music that repeats is taken out of a voice, in windows, with as many samples as went in."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from sonic_ops.audio import isolation
from sonic_ops.audio.isolation import isolate_voice
from sonic_ops.core.constants import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]


def music(seconds: float) -> Samples:
    """Four chords, again and again."""
    time_S = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    chord_S = (time_S / 0.5).astype(int) % 4
    tones = np.array([[220, 277, 330], [247, 311, 370], [196, 247, 294], [262, 330, 392]])
    found = sum(np.sin(2 * np.pi * tones[chord_S, n] * time_S) for n in range(3))
    return np.asarray(0.1 * found, np.float32)


def calls(seconds: float) -> Samples:
    """Short sweeps at odd moments, none like another."""
    rng = np.random.default_rng(0)
    audio = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    length = SAMPLE_RATE_HZ // 4
    time_S = np.arange(length) / SAMPLE_RATE_HZ
    for start in range(0, len(audio) - length, SAMPLE_RATE_HZ // 2):
        low, high = rng.uniform(400, 3000, 2)
        phase = 2 * np.pi * (low * time_S + (high - low) * time_S**2 * 2)
        audio[start : start + length] += 0.2 * np.sin(phase) * np.hanning(length)
    return audio


def parts(audio: Samples, size: int) -> Iterator[Samples]:
    return (audio[start : start + size] for start in range(0, len(audio), size))


def error_db(found: Samples, truth: Samples) -> float:
    return float(10 * np.log10(np.square(found - truth).mean() / np.square(truth).mean()))


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of ten seconds, so that half a minute has some."""
    monkeypatch.setattr(isolation, "WINDOW_S", 10)
    monkeypatch.setattr(isolation, "OVERLAP_S", 1)


@pytest.mark.usefixtures("short_windows")
def test_music_is_taken_out() -> None:
    voice = calls(32)
    mix = voice + music(32)
    found = np.concatenate(list(isolate_voice(parts(mix, 7777))))
    assert len(found) == len(mix)
    assert error_db(found, voice) < error_db(mix, voice) - 5


@pytest.mark.usefixtures("short_windows")
def test_parts_decide_nothing_and_windows_come_one_by_one() -> None:
    mix = calls(32) + music(32)
    one, other = (np.concatenate(list(isolate_voice(parts(mix, n)))) for n in (16_000, 123_456))
    np.testing.assert_array_equal(one, other)
    taken = []

    def counted() -> Iterator[Samples]:
        for part in parts(mix, 16_000):
            taken.append(len(part))
            yield part

    next(isolate_voice(counted()))
    assert sum(taken) == 19 * SAMPLE_RATE_HZ


def test_what_is_too_short_to_repeat_stays_as_it_is() -> None:
    audio = calls(2)
    np.testing.assert_array_equal(np.concatenate(list(isolate_voice([audio]))), audio)
    assert not list(isolate_voice([]))
