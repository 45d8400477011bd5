"""Phones to mouth tracks, and the amplitudes that a voice lets one hear."""

import numpy as np
import pytest

from sonic_ops.training.motion import BLINK, HEAD_MOTION, YAW, animate
from sonic_ops.training.mouth import JAW, PRESS, ROUNDING, mouth_track, smooth
from sonic_ops.training.phones import closes_lips, mouth_shape
from sonic_ops.training.sentences import is_held_out, sentence
from sonic_ops.training.speech import Phone, Utterance


def hum(seconds: float, hz: float = 120.0) -> np.ndarray:
    time = np.arange(int(seconds * 16000)) / 16000
    return (0.4 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def say(*names: str, each_s: float = 0.12) -> tuple[Phone, ...]:
    return tuple(Phone(n, i * each_s, (i + 1) * each_s) for i, n in enumerate(names))


@pytest.mark.parametrize("closed", ["p", "b", "m"])
def test_the_lips_close_between_open_vowels(closed: str) -> None:
    track = mouth_track(say("aa", closed, "aa"), hum(0.36))
    vowel, middle = track[5], track[18]
    assert closes_lips(closed)
    assert middle[PRESS] > 0.8
    assert middle[JAW] < 0.15
    assert vowel[JAW] > 0.5


def test_oo_is_round_and_ee_is_not() -> None:
    track = mouth_track(say("uw", "iy", each_s=0.3), hum(0.6))
    assert track[15, ROUNDING] > 0.8
    assert track[45, ROUNDING] < 0.1


def test_both_engines_name_the_same_shapes() -> None:
    for flite, espeak in (("aa", "A:"), ("iy", "i:"), ("sh", "S"), ("th", "T"), ("p", "p")):
        assert mouth_shape(flite) == mouth_shape(espeak)
    assert mouth_shape("pau") == mouth_shape("_:")


def test_smoothing_keeps_a_constant_and_the_mean() -> None:
    assert smooth(np.ones((50, 2), np.float32), 3.4) == pytest.approx(1.0)
    spike = np.zeros(101, np.float32)
    spike[50] = 1
    assert smooth(spike, 4.0).sum() == pytest.approx(1.0, abs=1e-4)


def test_a_lively_voice_has_larger_amplitudes() -> None:
    time = np.arange(48000) / 16000
    pulses = (np.sin(2 * np.pi * 2.5 * time) > 0) * 1.0
    glide = np.sin(2 * np.pi * np.cumsum(140 + 90 * np.sin(2 * np.pi * 1.1 * time)) / 16000)
    lively = Utterance((0.4 * glide * (0.2 + 0.8 * pulses)).astype(np.float32), say("aa"))
    dull = Utterance(hum(3.0), say("aa"))
    for seed in range(3):
        rng = [np.random.default_rng(seed) for _ in range(2)]
        assert animate(lively, rng[0]).head > animate(dull, rng[1]).head + 0.1


def test_head_moves_a_third_and_eyes_blink() -> None:
    clip = animate(Utterance(hum(20.0), say("aa")), np.random.default_rng(0))
    assert 0 < np.abs(clip.track[:, YAW]).max() <= 1.6 * HEAD_MOTION
    assert clip.track[:, BLINK].max() > 0.9
    assert (clip.track[:, BLINK] == 0).mean() > 0.7


def test_one_sentence_in_ten_is_held_out_and_all_are_repeatable() -> None:
    assert sum(map(is_held_out, range(1000))) == 100
    assert sentence(17) == sentence(17) != sentence(18)
