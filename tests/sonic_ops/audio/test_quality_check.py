"""What is said of a track, with numbers; of plain speech nothing is said."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from sonic_ops.audio.decoding import LOUDEST, AudioBlock
from sonic_ops.audio.quality_check import AudioCheck, check_audio, length_warnings
from sonic_ops.audio.reading import can_be_copied, read_audio
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.audio.whisper import log_mel

Floats = NDArray[np.floating]  # type: ignore[type-arg]
RATE = 16_000
NAMES = ("amiable.wav", "young_man.wav")
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    parts = [soundfile.read(EXAMPLES / name, dtype="float32")[0] for name in NAMES]
    return np.concatenate(parts * 2)


def checked(audio_CS: Floats, rate: int = RATE) -> AudioCheck:
    """In blocks of uneven sizes, as decoders give them."""
    samples = np.atleast_2d(audio_CS).astype(np.float32)
    places = [*range(0, samples.shape[1], 1013), samples.shape[1]]
    found = check_audio(AudioBlock(samples[:, a:b], rate, "any") for a, b in pairwise(places))
    assert found is not None
    return found


def said(audio_CS: Floats, rate: int = RATE) -> str:
    return "; ".join(checked(audio_CS, rate).warnings())


def test_of_plain_speech_nothing_is_said(speech: Floats) -> None:
    assert said(speech) == ""
    assert said(np.stack([speech, 0.5 * speech])) == ""
    assert said(soxr.resample(speech, RATE, 44_100), 44_100) == ""


def test_no_audio_is_no_check() -> None:
    assert check_audio(iter(())) is None


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_clipping_is_counted(share: float, speech: Floats) -> None:
    limit = float(np.quantile(np.abs(speech), 1 - share))
    clipped = np.clip(speech / limit, -1, 1)
    assert checked(clipped).clipped == pytest.approx(share, rel=0.1)
    assert f"clipping in {100 * checked(clipped).clipped:.1f} % of the samples" in said(clipped)
    assert "clipping" not in said(speech / np.abs(speech).max())  # one peak is at full scale


@pytest.mark.parametrize(("noise_db", "is_said"), [(-30, False), (-5, True)])
def test_the_noise_floor(noise_db: float, is_said: bool, speech: Floats) -> None:
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    power = np.sqrt(np.square(speech).mean()) * 10 ** (noise_db / 20)
    found = checked(speech + power * noise)
    assert found.floor_db > 20 * np.log10(power) - 3
    assert ("quietest tenth" in "; ".join(found.warnings())) == is_said


def test_long_pauses(speech: Floats) -> None:
    quiet = np.concatenate([speech, np.zeros(6 * RATE), speech])
    found = checked(quiet)
    assert found.longest_pause_s == pytest.approx(6, abs=0.5)
    assert found.longest_pause_at_s == pytest.approx(len(speech) / RATE, abs=0.5)
    assert "silence in" in said(quiet)
    assert "almost silent" in said(np.zeros(RATE))
    assert "almost silent" in said(1e-4 * speech)


def chords(seconds: int) -> Floats:
    """A new chord of three notes every half second, each dying away."""
    time_s, rng = np.arange(RATE // 2) / RATE, np.random.default_rng(1)
    parts = []
    for _ in range(2 * seconds):
        notes = 220 * 2 ** (rng.choice(12, 3, replace=False) / 12)
        tones = [np.sin(2 * np.pi * h * n * time_s) / h for n in notes for h in range(1, 5)]
        parts.append(np.exp(-3 * time_s) * np.sum(tones, axis=0))
    return 0.1 * np.concatenate(parts)


def test_music_is_suspected_alone_and_under_speech(speech: Floats) -> None:
    music = chords(round(len(speech) / RATE) + 1)[: len(speech)]
    assert checked(speech).steady < 0.05
    assert "possible background music" in said(music)
    assert "possible background music" in said(speech + 0.3 * music)


def test_a_telephone(speech: Floats) -> None:
    narrow = soxr.resample(speech, RATE, 8_000)
    for audio, rate in ((narrow, 8_000), (soxr.resample(narrow, 8_000, 48_000), 48_000)):
        assert "nothing above 3.9 kHz" in said(audio, rate)


def test_channels_that_are_empty_or_cancel(speech: Floats) -> None:
    assert said(np.stack([speech, 0 * speech])) == "channel 2 of 2 is silent"
    assert "cancel each other: their mean is 26 dB lower" in said(np.stack([speech, -0.9 * speech]))
    assert said(np.stack([speech, *[0 * speech] * 5])) == ""  # 5.1 with a voice in one channel


def test_lengths_out_of_the_ordinary() -> None:
    assert list(length_warnings(60)) == []
    assert list(length_warnings(0.5)) == ["only 0.50 s of audio"]
    assert list(length_warnings(4 * 3600)) == ["4.0 hours of audio"]


def test_damage_is_said_with_its_time(tmp_path: Path, speech: Floats) -> None:
    audio = np.concatenate([speech] * 2)
    soundfile.write(tmp_path / "a.flac", audio, RATE)
    content = bytearray((tmp_path / "a.flac").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    (tmp_path / "a.flac").write_bytes(content)
    blocks = list(read_audio(str(tmp_path / "a.flac")))
    assert sum(block.samples.shape[1] for block in blocks) == len(audio)
    found = check_audio(blocks)
    assert found is not None
    (at,) = found.damage_s
    assert at == pytest.approx(len(audio) / RATE / 2, abs=1)
    assert 0 < found.missing_s < 1
    (note,) = found.warnings()
    assert note.startswith(
        f"the audio is damaged at {at:.1f} s, {found.missing_s:.2f} s replaced by silence"
    )


def test_a_part_is_entered_without_what_is_before_it(tmp_path: Path, speech: Floats) -> None:
    soundfile.write(tmp_path / "a.wav", np.concatenate([speech, 0 * speech]), RATE)
    after_s = len(speech) / RATE
    found = check_audio(
        read_audio(str(tmp_path / "a.wav"), after_s + 0.2, after_s + 2.2), after_s + 0.2
    )
    assert found is not None
    assert found.longest_pause_at_s == pytest.approx(after_s + 0.2, abs=0.2)
    assert found.length_s == pytest.approx(2, abs=0.2)
    assert found.speech_db < -60


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e30, 1e300])
def test_samples_that_are_no_audio_spoil_no_others(
    value: float, tmp_path: Path, speech: Floats
) -> None:
    source, target, audio = tmp_path / "a.wav", tmp_path / "b.wav", speech.astype(np.float64)
    audio[1000:1003] = value
    soundfile.write(source, audio, RATE, "DOUBLE")
    found = check_audio(read_audio(str(source)))
    assert found is not None
    (note,) = found.warnings()
    assert note.startswith("3 samples are NaN or far too loud")
    heard = read_samples(target, 0, decode_audio(str(source), target))
    silent_or_cut = 0 if not np.isfinite(value) else np.sign(value) * LOUDEST
    assert np.all(heard[1000:1003] == silent_or_cut)
    assert np.array_equal(np.delete(heard, slice(1000, 1003)), np.delete(speech, slice(1000, 1003)))
    assert np.isfinite(log_mel(heard)).all()
    assert not can_be_copied(str(source), {"pcm_f64le"}, max_block_s=Fraction(1, 25))
    soundfile.write(source, speech, RATE, "DOUBLE")
    assert can_be_copied(str(source), {"pcm_f64le"}, max_block_s=Fraction(1, 25))
