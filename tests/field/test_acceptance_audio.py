"""Sounds that stopped other tools, by the reports that `ACCEPTANCE.md` names."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows.preflight.inputs import inspect_audio
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.errors import AudioTooShortError, AudioUnreadableError
from tests.field.media import SPEECH, SPEECH_S, ffmpeg, speech_in

WHOLE_S = pytest.approx(SPEECH_S, abs=0.04)


@pytest.mark.parametrize("where", ["before", "inside"])
def test_junk_in_an_mp3(where: str, tmp_path: Path) -> None:
    """SadTalker #218: 1 KB that is no MP3."""
    content = speech_in(tmp_path / "a.mp3").read_bytes()
    junk, middle = np.random.default_rng(0).bytes(1024), len(content) // 2
    parts = (junk, content) if where == "before" else (content[:middle], junk, content[middle:])
    (tmp_path / "b.mp3").write_bytes(b"".join(parts))
    assert inspect_audio(str(tmp_path / "b.mp3"), None, None).duration_s >= SPEECH_S - 0.04


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [8_000, 11_025, 96_000, 192_000])
def test_wav_of_any_depth_and_rate(subtype: str, rate: int, tmp_path: Path) -> None:
    """SadTalker #235: the same audio as of 16 bits."""
    plain = speech_in(tmp_path / "plain.wav", "-ar", str(rate))
    audio, _ = soundfile.read(plain)
    soundfile.write(tmp_path / "a.wav", audio, rate, subtype)
    heard = []
    for source in (plain, tmp_path / "a.wav"):
        num_samples = decode_audio(str(source), tmp_path / "heard.wav")
        heard.append(read_samples(tmp_path / "heard.wav", 0, num_samples))
    assert np.corrcoef(heard[0], heard[1])[0, 1] > 0.99
    assert inspect_audio(str(tmp_path / "a.wav"), None, None).duration_s == WHOLE_S


@pytest.mark.parametrize("ending", ["mp3", "m4a", "ogg", "webm", "opus", "mka"])
@pytest.mark.parametrize("name", ["speech.MP3", "speech.wav", "speech"])
def test_the_content_decides_and_not_the_name(ending: str, name: str, tmp_path: Path) -> None:
    """python-soundfile #431, ComfyUI_Sonic #117, ComfyUI #12590."""
    speech_in(tmp_path / f"a.{ending}").rename(tmp_path / name)
    assert inspect_audio(str(tmp_path / name), None, None).duration_s == WHOLE_S


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.15, 1.0])
def test_short_audio(seconds: float, tmp_path: Path) -> None:
    """aafactory #98, Wav2Lip: rendered, or the least length is named."""
    ffmpeg("-i", SPEECH, "-t", str(seconds), tmp_path / "a.wav")
    if seconds < 0.08:
        with pytest.raises(AudioTooShortError) as caught:
            inspect_audio(str(tmp_path / "a.wav"), None, None)
        assert "0.08 s" in caught.value.remedy
    else:
        found = inspect_audio(str(tmp_path / "a.wav"), None, None)
        assert found.duration_s == pytest.approx(seconds, abs=1e-3)


def test_a_film_without_audio(tmp_path: Path) -> None:
    """pyvideotrans #465."""
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", tmp_path / "a.mp4")
    with pytest.raises(AudioUnreadableError, match="it has no audio stream"):
        inspect_audio(str(tmp_path / "a.mp4"), None, None)
