"""Phones to mouth tracks, and the amplitudes that a voice lets one hear."""

import random
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from sonic_ops.core.constants import CHUNK_SAMPLES
from sonic_ops.core.errors import ConfigError
from training.people.motion import (
    BLINK,
    BROW,
    EVEN,
    HEAD_MOTION,
    ROLL,
    YAW,
    animate,
    pace_liveliness,
    perform,
)
from training.people.mouth import (
    JAW,
    PRESS,
    ROUNDING,
    loudness,
    mouth_track,
    smooth,
)
from training.speech.phones import closes_lips, mouth_shape
from training.speech.sentences import is_held_out, sentence
from training.speech.speech import (
    HELD_OUT_VARIANTS,
    Phone,
    Utterance,
    Voice,
    draw_clip,
    draw_voice,
    speak,
)


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


def test_espeak_and_alignment_name_the_same_shapes() -> None:
    for arpabet, espeak in (("aa", "A:"), ("iy", "i:"), ("sh", "S"), ("th", "T"), ("p", "p")):
        assert mouth_shape(arpabet) == mouth_shape(espeak)
    assert mouth_shape("pau") == mouth_shape("_:")


def test_smoothing_keeps_a_constant_and_the_mean() -> None:
    assert smooth(np.ones((50, 2), np.float32), 3.4) == pytest.approx(1.0)
    spike = np.zeros(101, np.float32)
    spike[50] = 1
    assert smooth(spike, 4.0).sum() == pytest.approx(1.0, abs=1e-4)


def test_stresses_move_the_head_more() -> None:
    time = np.arange(48000) / 16000
    even = Utterance(hum(3.0), say(*["t", "aa"] * 12))
    beats = (0.25 + 0.75 * (np.sin(2 * np.pi * 2.5 * time) > 0)).astype(np.float32)
    long_short = (0.06, 0.19) * 12
    starts = np.cumsum([0, *long_short])
    phones = [Phone("aa", a, b) for a, b in pairwise(starts.tolist())]
    stressed = Utterance(hum(3.0) * beats, tuple(phones))
    for seed in range(3):
        rng = [np.random.default_rng(seed) for _ in range(2)]
        assert animate(stressed, rng[0]).head > animate(even, rng[1]).head + 0.2


def test_a_fast_voice_has_more_expression_and_the_same_head() -> None:
    names = ["t", "aa", "k", "iy"] * 6
    slow, fast = (Utterance(hum(3.0), say(*names, each_s=each_s)) for each_s in (0.12, 0.06))
    assert pace_liveliness(fast) > pace_liveliness(slow) + 0.3
    clips = [animate(spoken, np.random.default_rng(1)) for spoken in (slow, fast)]
    assert clips[1].expression > clips[0].expression + 0.15
    assert clips[1].head == clips[0].head


def test_silence_is_not_loud() -> None:
    assert loudness(np.zeros(16000, np.float32), 100).max() < 0.05


def spoken_twice() -> Utterance:
    """Half a second of hum, three seconds of silence, half a second of hum, over and over."""
    part = np.concatenate([hum(0.5), np.zeros(48000, np.float32)])
    return Utterance(np.tile(part, 6), say("aa"))


def test_in_long_silence_the_mouth_rests_while_head_and_eyes_live() -> None:
    clip = animate(spoken_twice(), np.random.default_rng(2))
    silent = clip.track[1000:1330]
    assert silent[:, JAW].max() < 0.1
    assert clip.stored[1000:1330, YAW : ROLL + 1].std(0).max() > 0.01


def test_blinks_are_short_and_most_follow_the_end_of_a_phrase() -> None:
    clip = animate(spoken_twice(), np.random.default_rng(0))
    lids = clip.stored[:, BLINK]
    assert lids.max() == 1
    assert (lids > 0.1).mean() < 0.12
    after = [lids[k : k + 25].max() for k in range(50, len(lids), 350)]
    assert np.mean(np.array(after) > 0.9) > 0.5


def test_the_head_is_small_and_scales_alone() -> None:
    clip = animate(Utterance(hum(20.0), say("aa")), np.random.default_rng(0))
    assert 0 < np.abs(clip.stored[:, YAW]).max() <= 1.6 * HEAD_MOTION
    one, two = (perform(clip.stored, head, 0.4) for head in (0.3, 0.6))
    head = slice(YAW, BLINK)
    assert two[:, head] == pytest.approx(2 * one[:, head])
    assert np.array_equal(np.delete(one, head, 1), np.delete(two, head, 1))


def test_expression_opens_the_mouth_raises_the_brows_and_leaves_the_head() -> None:
    names = ("aa", "m", "aa", "t", "iy", "p", "ao")
    spoken = Utterance(hum(0.84), say(*names))
    stored = animate(spoken, np.random.default_rng(0)).stored
    even = perform(stored, 0.3, EVEN)
    assert even[:, JAW] == pytest.approx(stored[:, JAW])
    opened = [perform(stored, 0.3, e)[:, JAW].std() for e in (0.0, 0.25, 0.5, 1.0)]
    assert np.all(np.diff(opened) > 0.01)
    wild = perform(stored, 0.3, 1.5)
    closed = stored[:, PRESS] > 0.9
    assert closed.any()
    assert (wild[closed, JAW] < 0.1).all()
    assert np.array_equal(wild[:, YAW:BLINK], even[:, YAW:BLINK])
    assert np.abs(wild[:, BROW]).sum() > np.abs(even[:, BROW]).sum()


def test_long_pauses_and_several_voices_are_in_the_data() -> None:
    clips = [draw_clip(seed, held_out=False) for seed in range(16)]
    gaps = [
        max((b.start_s - a.stop_s for a, b in pairwise(clip.phones)), default=0.0) for clip in clips
    ]
    tail = [len(clip.samples) / 16000 - clip.phones[-1].stop_s for clip in clips]
    assert max(*gaps, *tail) > 2
    rng = random.Random(0)
    voices = [draw_voice(rng, held_out=False) for _ in range(200)]
    assert len({voice.name for voice in voices}) > 20


def test_held_out_voices_are_never_among_the_others() -> None:
    rng = random.Random(1)
    trained = [draw_voice(rng, held_out=False) for _ in range(400)]
    tested = [draw_voice(rng, held_out=True) for _ in range(50)]
    assert not any(voice.name.endswith(HELD_OUT_VARIANTS) for voice in trained)
    assert all(voice.name.endswith(HELD_OUT_VARIANTS) for voice in tested)


@pytest.mark.parametrize("voice", [Voice("en-us+m3", 50, 160, 50), Voice("en-us", 30, 120, 10)])
def test_a_voice_says_a_text_the_same_way_whatever_was_said_before(voice: Voice) -> None:
    first = speak("mama", voice)
    speak("something else", Voice("en-029+f2", 30, 200, 80))
    again = speak("mama", voice)
    assert np.array_equal(first.samples, again.samples)
    assert first.phones == again.phones
    assert len(first.phones) >= 4


def test_what_speech_lacks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ConfigError, match="espeakng-loader is not installed") as caught:
        speak("mama", Voice("en-us", 50, 160, 50))
    assert "[training]" in caught.value.remedy


def test_a_smaller_speaker_is_higher_and_keeps_phones_in_place() -> None:
    voice = Voice("en-us", 50, 160, 50)
    whole, small = speak("mama", voice), speak("mama", replace(voice, size=0.9))
    assert len(small.samples) == pytest.approx(0.9 * len(whole.samples), abs=2)
    assert small.phones[3].start_s == pytest.approx(0.9 * whole.phones[3].start_s)


def test_one_sentence_in_ten_is_held_out_and_all_are_repeatable() -> None:
    assert sum(map(is_held_out, range(1000))) == 100
    assert sentence(17) == sentence(17) != sentence(18)


def test_no_clip_is_longer_than_the_speech_encoder_hears_at_once() -> None:
    assert len(draw_clip(46, held_out=False).samples) == CHUNK_SAMPLES  # a pause at 27 s
