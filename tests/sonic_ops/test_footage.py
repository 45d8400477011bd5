"""A video that is given as a picture, against the pictures that it was made of."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sonic_ops.encoding import EncodeSettings, encode_frames
from sonic_ops.errors import ImageUnreadableError
from sonic_ops.footage import pictures_at
from sonic_ops.formats import VideoCodec
from sonic_ops.pictures import load_picture

NUM_FRAMES = 60
FPS = Fraction(25)


def level(number: int) -> int:
    """Every picture has a level of its own, far enough from the others for a codec."""
    return 20 + 3 * number


def slides(target: Path, codec: VideoCodec = "h264", fps: Fraction = FPS) -> Path:
    frames = [np.full((64, 96, 3), level(n), np.uint8) for n in range(NUM_FRAMES)]
    settings = EncodeSettings(codec, preset="veryfast", gop_frames=20, fps=fps)
    encode_frames(frames, target, settings)
    return target


def shown(path: Path, *moments: Fraction) -> list[int]:
    """The numbers of the pictures at some moments."""
    levels = [np.asarray(picture).mean() for picture in pictures_at(path, moments)]
    return [round((each - level(0)) / 3) for each in levels]


@pytest.mark.parametrize(("codec", "fps"), [("h264", FPS), ("vp9", Fraction(30))])
@pytest.mark.parametrize("first", [0, 1, 19, 20, 21, 47, 59])
def test_a_moment_shows_the_last_picture_before_it(
    tmp_path: Path, codec: VideoCodec, fps: Fraction, first: int
) -> None:
    path = slides(tmp_path / "a.mp4", codec, fps)
    numbers = list(range(first, NUM_FRAMES))
    assert shown(path, *(n / fps for n in numbers)) == numbers
    assert shown(path, *((n + Fraction(9, 10)) / fps for n in numbers)) == numbers


def test_behind_its_end_the_last_picture_stays(tmp_path: Path) -> None:
    assert shown(slides(tmp_path / "a.mp4"), Fraction(2), Fraction(3), Fraction(90)) == [50, 59, 59]


def test_pictures_that_come_rarely_stay_until_the_next(tmp_path: Path) -> None:
    """As programs that record a screen write them."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for second, number in ((0, 3), (2, 9), (7, 30)):
            frame = av.VideoFrame.from_ndarray(
                np.full((64, 96, 3), level(number), np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = second, Fraction(1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    moments = [Fraction(n, 2) for n in range(16)]
    expected = [3] * 4 + [9] * 10 + [30] * 2
    assert shown(tmp_path / "a.mkv", *moments) == expected
    for moment, number in zip(moments, expected, strict=True):
        assert shown(tmp_path / "a.mkv", moment) == [number]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_its_first_picture_is_a_portrait(tmp_path: Path, ending: str) -> None:
    path = slides(tmp_path / "a.mp4", "vp9")
    with av.open(str(path)) as source, av.open(str(tmp_path / f"b.{ending}"), "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    picture = load_picture(str(tmp_path / f"b.{ending}"), 1)
    assert picture.is_video
    assert picture.image.size == (96, 64)
    assert np.abs(np.asarray(picture.image).astype(int) - level(0)).max() <= 2
    with pytest.raises(ImageUnreadableError, match="96 x 64"):
        load_picture(str(tmp_path / f"b.{ending}"), 0.005)


def test_colours_are_those_of_the_codec(tmp_path: Path) -> None:
    colour = np.array([200, 80, 40])
    frame = np.full((64, 96, 3), colour, np.uint8)
    encode_frames([frame] * 3, tmp_path / "a.mp4", EncodeSettings(crf=4))
    pixels = np.asarray(load_picture(str(tmp_path / "a.mp4"), 1).image).astype(int)
    assert np.abs(pixels - colour).max() <= 3


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    whole = slides(tmp_path / "a.mp4").read_bytes()
    for length in range(16, len(whole), 97):
        (tmp_path / "half.mp4").write_bytes(whole[:length])
        with suppress(ImageUnreadableError):
            load_picture(str(tmp_path / "half.mp4"), 1)
            list(pictures_at(tmp_path / "half.mp4", [Fraction(0), Fraction(2)]))


def test_a_sound_is_no_picture(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ImageUnreadableError, match="format is unknown"):
        load_picture(str(tmp_path / "a.mp4"), 1)
