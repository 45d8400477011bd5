"""`sonic mux` on videos of the field: a video takes its own audio back, whatever wrote it."""

from pathlib import Path

import av
import numpy as np
import pytest

from flows.commands.mux import mux
from sonic_ops.audio.reading import duration_s
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.errors import FieldError
from tests.field.media import DATA, SPEECH, SPEECH_S, ffmpeg, film_in


def joined(video: Path, target: Path, audio: Path | None = None) -> Path:
    mux(str(video), [f"en={audio or video}"], [], str(target), "/", lambda _: None)
    return target


def lengths_s(video: Path) -> tuple[float, float]:
    """Of the pictures and of the audio."""
    with av.open(str(video)) as container:
        (picture,) = container.streams.video
        shown = [float(frame.time) for frame in container.decode(picture)]
    return max(shown) + 0.04, duration_s(str(video))


@pytest.mark.parametrize("target", ["mkv", "mp4", "mov"])
def test_the_video_of_the_report(target: str, tmp_path: Path) -> None:
    picture_s, audio_s = lengths_s(joined(DATA / "ben.mp4", tmp_path / f"x.{target}"))
    assert picture_s == pytest.approx(3.28, abs=1e-3)
    assert audio_s == pytest.approx(3.29, abs=2e-3)


@pytest.mark.parametrize(
    ("ending", "more"),
    [
        ("mp4", ["-ar", "8000"]),
        ("mp4", ["-ar", "16000"]),
        ("mov", ["-c:a", "alac"]),
        ("mkv", ["-c:a", "aac", "-ar", "16000"]),
        ("mkv", ["-c:a", "libvorbis"]),
        ("webm", ["-c:v", "libvpx-vp9", "-c:a", "libopus"]),
        ("mkv", ["-c:a", "libmp3lame", "-ar", "16000"]),
        ("avi", ["-c:a", "libmp3lame"]),
        ("avi", ["-c:v", "mjpeg", "-c:a", "pcm_s16le"]),
        ("ts", ["-c:a", "aac", "-ar", "16000"]),
        ("mpg", ["-c:a", "mp2"]),
        ("flv", ["-c:v", "libx264", "-c:a", "aac", "-ar", "22050"]),
        ("wmv", []),
    ],
)
def test_a_video_takes_its_own_audio_back(ending: str, more: list[str], tmp_path: Path) -> None:
    video = film_in(tmp_path / f"a.{ending}", *more)
    picture_s, audio_s = lengths_s(joined(video, tmp_path / "x.mkv"))
    assert picture_s == pytest.approx(SPEECH_S, abs=0.1)
    assert audio_s == pytest.approx(duration_s(str(video)), abs=0.03)


def test_audio_of_a_codec_with_padding_fits_too(tmp_path: Path) -> None:
    video = film_in(tmp_path / "a.mp4")
    ffmpeg("-i", SPEECH, "-ar", "16000", "-c:a", "aac", tmp_path / "a.aac")
    assert lengths_s(joined(video, tmp_path / "x.mkv", tmp_path / "a.aac"))[1] > SPEECH_S


@pytest.mark.parametrize("first", ["sound", "pictures"])
def test_what_starts_later_starts_later(first: str, tmp_path: Path) -> None:
    levels = ["-f", "lavfi", "-i", "color=gray:s=64x64:r=25:d=2.4"]
    late = ["-itsoffset", "0.6"]
    inputs = [*late, *levels, "-i", SPEECH] if first == "sound" else [*levels, *late, "-i", SPEECH]
    video = tmp_path / "a.mp4"
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", "-c:a", "aac", video)
    both = joined(video, tmp_path / "x.mkv")
    with av.open(str(both)) as container:
        start = next(float(frame.time) for frame in container.decode(video=0))
    assert start == pytest.approx(0.6 if first == "sound" else 0, abs=0.03)
    num_samples = decode_audio(str(both), tmp_path / "heard.wav")
    silent = np.abs(read_samples(tmp_path / "heard.wav", 0, num_samples)[:8000]).max() < 1e-3
    assert silent == (first == "pictures")


def test_a_title_in_another_encoding(tmp_path: Path) -> None:
    assert lengths_s(joined(DATA / "shift_jis.mp4", tmp_path / "x.mp4"))[0] > 0


def test_the_remedy_is_possible(tmp_path: Path) -> None:
    video = film_in(tmp_path / "a.avi")
    with pytest.raises(FieldError, match="cannot hold the frames") as caught:
        joined(video, tmp_path / "x.mp4")
    assert ".mkv" in caught.value.remedy
    joined(video, tmp_path / "x.mkv")
