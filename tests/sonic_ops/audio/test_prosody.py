"""Tone, loudness, speaking rate and pauses of made and of real speech."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonic_ops.audio import prosody as prosody_module
from sonic_ops.audio.prosody import Floats, Prosody, analyse_prosody, pauses

RATE_HZ = 16_000
SPEECH = Path(__file__).parents[3] / "examples" / "amiable.wav"


def voice(pitch_hz: float, seconds: float, loudness: float = 0.3) -> Floats:
    """A buzz with falling harmonics."""
    time_S = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = [np.sin(2 * np.pi * pitch_hz * k * time_S) / k for k in range(1, 12)]
    buzz: Floats = (loudness * np.sum(harmonics, axis=0) / 2).astype(np.float32)
    return buzz


def hiss(seconds: float, loudness: float) -> Floats:
    noise = np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))
    return (loudness * noise).astype(np.float32)


def analyse(samples: Floats) -> Prosody:
    return analyse_prosody(samples, len(samples) // 1280)


@pytest.mark.parametrize("pitch_hz", [80, 130, 220, 350])
def test_the_pitch_of_a_voice_is_heard(pitch_hz: int) -> None:
    prosody = analyse(voice(pitch_hz, 1.6))
    assert prosody.voiced_F[1:-1].all()
    assert np.abs(prosody.pitch_hz_F[1:-1] - pitch_hz).max() < 0.02 * pitch_hz
    assert prosody.pitch_hz_F.shape == (20,)


def test_a_hiss_has_loudness_and_no_pitch() -> None:
    prosody = analyse(hiss(2.0, 0.1))
    assert prosody.voiced_F.mean() < 0.1
    assert (prosody.pitch_hz_F[~prosody.voiced_F] == 0).all()
    assert np.abs(prosody.loudness_db_F + 20).max() < 0.5
    assert not prosody.pause_F.any()


def test_loudness_is_the_root_mean_square_of_the_frame() -> None:
    samples = np.concatenate([hiss(0.8, 0.01), hiss(0.8, 0.2)])
    frames = samples.reshape(-1, 1280)
    expected = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)))
    assert np.allclose(analyse(samples).loudness_db_F, expected, atol=0.01)


def test_pauses_are_found_where_they_are() -> None:
    quiet = hiss(0.8, 0.0005)
    samples = np.concatenate(
        [voice(120, 1.6), quiet, voice(120, 1.6), quiet[:2560], voice(120, 1.6)]
    )
    prosody = analyse(samples)
    (long,) = pauses(prosody, min_s=0.4)
    assert abs(long.start - 20) <= 1
    assert abs(long.stop - 30) <= 1
    assert len(pauses(prosody, min_s=0.0)) == 2


def test_silence_is_one_pause() -> None:
    prosody = analyse(np.zeros(32_000, np.float32))
    assert pauses(prosody, min_s=1.0) == [range(25)]
    assert not prosody.voiced_F.any()
    assert (prosody.rate_F == 0).all()


@pytest.mark.parametrize("per_second", [2.5, 4.0, 5.0])
def test_the_rate_is_the_number_of_syllables_per_second(per_second: float) -> None:
    samples = voice(140, 6.0)
    swell = 0.52 - 0.48 * np.cos(2 * np.pi * per_second * np.arange(len(samples)) / RATE_HZ)
    prosody = analyse(samples * swell.astype(np.float32))
    assert np.abs(prosody.rate_F[13:-13] - per_second).max() <= 0.51
    assert prosody.rate_F.mean() == pytest.approx(per_second, abs=0.3)


def test_real_speech_is_counted_and_pitched() -> None:
    samples, _ = soundfile.read(SPEECH, dtype="float32")
    prosody = analyse(samples)
    num_syllables = prosody.rate_F.mean() * len(samples) / RATE_HZ
    assert num_syllables == pytest.approx(13, abs=3)
    assert 0.5 < prosody.voiced_F.mean() < 0.9
    assert 75 < np.median(prosody.pitch_hz_F[prosody.voiced_F]) < 120


def test_pieces_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, _ = soundfile.read(SPEECH, dtype="float32")
    whole = analyse(samples)
    monkeypatch.setattr(prosody_module, "CHUNK_HOPS", 52)
    cut = analyse(samples)
    for name in ("pitch_hz_F", "voiced_F", "loudness_db_F", "rate_F", "pause_F"):
        assert np.allclose(getattr(whole, name), getattr(cut, name), atol=1e-3), name


def test_a_memory_map_is_read_in_pieces(tmp_path: Path) -> None:
    samples = voice(150, 40.0)
    samples.tofile(tmp_path / "samples")
    mapped = np.memmap(tmp_path / "samples", np.float32, "r")
    prosody = analyse_prosody(mapped, 500)
    assert prosody.pitch_hz_F.shape == (500,)
    assert np.abs(prosody.pitch_hz_F[1:-1] - 150).max() < 3
