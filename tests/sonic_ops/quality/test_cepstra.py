"""Facts of the cepstra that SyncNet hears.

`golden/syncnet/cepstra.json` is what python_speech_features 0.6 makes of `audio()`.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sonic_ops.quality.cepstra import cepstra, num_steps_in

GOLDEN = Path(__file__).parents[2] / "golden" / "syncnet" / "cepstra.json"


def audio() -> NDArray[np.float32]:
    """A quarter of a second: a tone that rises, another one that comes and goes, and nothing."""
    n = np.arange(4000)
    t = n / 16000
    tones = 9000 * np.cos(2 * np.pi * (180 * t + 900 * t * t))
    tones += 3000 * np.sin(2 * np.pi * 3100 * t) * (n % 1600 < 800)
    tones[2400:3200] = 0
    return (np.rint(tones) / 2**15).astype(np.float32)


def slowly(samples: NDArray[np.float32], step: int) -> list[float]:
    """The cepstra of one step by their definition, number by number."""
    whole = [round(float(s) * 2**15) for s in samples]
    span = [
        whole[i] - 0.97 * (whole[i - 1] if i else 0) for i in range(160 * step, 160 * step + 400)
    ]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
    power = [abs(sum(v * w for v, w in zip(span, row, strict=True))) ** 2 / 512 for row in turns]
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    padding_mode = [int(513 * 700 * (10 ** (m / 2595) - 1) / 16000) for m in mel]
    logs = []
    for low, top, high in zip(padding_mode, padding_mode[1:], padding_mode[2:], strict=False):
        rising = sum(power[q] * (q - low) / (top - low) for q in range(low, top))
        falling = sum(power[q] * (high - q) / (high - top) for q in range(top, high))
        logs.append(np.log((rising + falling) or np.finfo(float).eps))
    found = []
    for k in range(13):
        wave = sum(v * np.cos(np.pi * k * (2 * m + 1) / 52) for m, v in enumerate(logs))
        scale = np.sqrt((2 if k else 1) / 26)
        found.append(float(wave * scale * (1 + 11 * np.sin(np.pi * k / 22))))
    return [float(np.log(sum(power) or np.finfo(float).eps)), *found[1:]]


def test_they_are_those_of_python_speech_features() -> None:
    known = np.array(json.loads(GOLDEN.read_text()))
    assert num_steps_in(len(audio())) == len(known)
    assert cepstra(audio(), 0, len(known)) == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("step", [0, 7, 13, 17])
def test_they_follow_their_definition(step: int) -> None:
    assert cepstra(audio(), step, step + 1)[0] == pytest.approx(slowly(audio(), step), abs=1e-4)


def test_a_step_is_the_same_in_any_cut() -> None:
    whole = cepstra(audio(), 0, 23)
    for start, stop in ((0, 1), (1, 5), (5, 22), (22, 23)):
        assert np.array_equal(cepstra(audio(), start, stop), whole[start:stop])


def test_what_is_too_loud_is_clipped_as_16_bits_are() -> None:
    loud, full = 4 * audio(), np.clip(4 * audio(), -1, 1 - 2**-15)
    assert np.abs(loud).max() > 1
    assert np.array_equal(cepstra(loud, 0, 5), cepstra(full, 0, 5))


def test_a_short_audio_has_no_step() -> None:
    assert [num_steps_in(n) for n in (0, 399, 400, 559, 560)] == [0, 0, 1, 1, 2]
