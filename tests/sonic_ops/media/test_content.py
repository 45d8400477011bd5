"""A whole container may hold nothing: black, one colour, a picture that stands, or no audio."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import BrokenOutputError
from sonic_ops.core.formats import FORMATS
from sonic_ops.media.content import Expected, check_frames
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.inspection import VideoInfo
from sonic_ops.media.soundtrack import Soundtrack

Pictures = NDArray[np.uint8]
SIDE, FPS = 128, 25


def moving(num_frames: int) -> Pictures:
    """A mouth that opens and closes in a picture that is not plain."""
    face = np.tile(np.linspace(40, 200, SIDE, dtype=np.uint8)[:, None], (SIDE, 1, 3))
    frames = np.stack([face.reshape(SIDE, SIDE, 3)] * num_frames)
    for index, frame in enumerate(frames):
        height = 2 + index * 5 % 12
        frame[80 : 80 + height, 48:80] = 10
    return frames


def standing(num_frames: int) -> Pictures:
    return np.repeat(moving(1), num_frames, axis=0)


def black(num_frames: int) -> Pictures:
    return np.zeros((num_frames, SIDE, SIDE, 3), np.uint8)


def gray(num_frames: int) -> Pictures:
    return np.full((num_frames, SIDE, SIDE, 3), 127, np.uint8)


def finished(
    folder: Path,
    frames: Pictures,
    ending: str = ".mp4",
    expected: Expected = Expected(),  # noqa: B008
    loudness: float = 0.3,
    heard: float | None = None,
) -> VideoInfo:
    """A finished file of pictures and noise, where `heard` is how loud the file itself is."""
    num_samples = len(frames) * 16_000 // FPS
    noise = np.random.default_rng(1).uniform(-1, 1, num_samples).astype(np.float32)
    for name, gain in (("own", loudness), ("file", loudness if heard is None else heard)):
        soundfile.write(folder / f"{name}.wav", gain * noise, 16_000)
    decode_audio(str(folder / "own.wav"), folder / "wav.wav")
    settings = EncodeSettings(FORMATS[ending].codec(None), preset="ultrafast")
    encode_frames(iter(frames), folder / "segment.mp4", settings)
    finish = Finish(
        Soundtrack(str(folder / "file.wav")),
        folder / "wav.wav",
        num_samples,
        len(frames),
        expected=expected,
    )
    return finish_video([folder / "segment.mp4"], folder / f"video{ending}", finish)


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".mov", ".mkv", ".gif", ".webp"])
def test_what_moves_is_right_and_what_is_black_is_not(tmp_path: Path, ending: str) -> None:
    assert finished(tmp_path, moving(40), ending).notes == ()
    if ending == ".webp":
        return  # pictures that are alike become one, which is too few
    with pytest.raises(BrokenOutputError, match=r"video\.\w+ is black at 8 of 8 moments"):
        finished(tmp_path, black(40), ending)


@pytest.mark.parametrize("seconds", [1, 4, 9])
def test_short_and_long_videos_are_looked_at(tmp_path: Path, seconds: int) -> None:
    num_frames = seconds * FPS
    assert finished(tmp_path, moving(num_frames)).notes == ()
    with pytest.raises(BrokenOutputError, match="is frozen"):
        finished(tmp_path, standing(num_frames))
    with pytest.raises(BrokenOutputError, match="is of one colour"):
        finished(tmp_path, gray(num_frames))


def test_a_part_that_is_black_is_found(tmp_path: Path) -> None:
    frames = moving(3 * FPS)
    frames[50:] = 0
    with pytest.raises(BrokenOutputError, match=r"is black at [23] of 8 moments"):
        finished(tmp_path, frames)


def test_what_is_asked_for_is_noted(tmp_path: Path) -> None:
    plain = finished(tmp_path, black(40), expected=Expected(plain=True))
    assert plain.notes == (
        "the video is black at 8 of 8 moments that were looked at, as the portrait is",
    )
    still = finished(tmp_path, standing(40), expected=Expected(still=True))
    assert still.notes == ("the video is frozen, with nothing to move it",)
    silent = finished(tmp_path, standing(40), loudness=0.0)
    assert silent.notes == ("the video is frozen, with nothing to move it",)
    assert finished(tmp_path, standing(12)).notes == ()  # half a second may stand


def test_audio_that_is_lost_is_found(tmp_path: Path) -> None:
    with pytest.raises(BrokenOutputError, match=r"is silent at 0\.0 s, where its audio is not"):
        finished(tmp_path, moving(40), heard=0.0)
    assert finished(tmp_path, moving(40), loudness=0.0).notes == ()


def test_long_videos_are_not_decoded_whole(tmp_path: Path) -> None:
    frames = moving(12 * FPS)
    encode_frames(iter(frames), tmp_path / "a.mp4", EncodeSettings("h264", preset="ultrafast"))
    assert check_frames(tmp_path / "a.mp4", 12.0, Expected()) == ()
