"""A video that is given as a picture, against the pictures that it was made of."""

import socket
import struct
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.core.formats import VideoCodec
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.picture.images import load_image, load_source_image
from sonic_ops.picture.video_frames import frames_at

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
    levels = [np.asarray(picture).mean() for picture in frames_at(path, moments)]
    return [round((each - level(0)) / 3) for each in levels]


@pytest.mark.parametrize(("codec", "fps"), [("h264", FPS), ("vp9", Fraction(30))])
@pytest.mark.parametrize("first", [0, 1, 19, 20, 21, 47, 59])
def test_a_moment_shows_the_last_image_before_it(
    tmp_path: Path, codec: VideoCodec, fps: Fraction, first: int
) -> None:
    path = slides(tmp_path / "a.mp4", codec, fps)
    numbers = list(range(first, NUM_FRAMES))
    assert shown(path, *(n / fps for n in numbers)) == numbers
    assert shown(path, *((n + Fraction(9, 10)) / fps for n in numbers)) == numbers


def turned(path: Path) -> Path:
    """The same file for a player that turns it by 90 degrees, clockwise, as phones write it."""
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    numbers = (0, one, 0, -one, 0, 0, 64 * one, 0, 1 << 30)
    content[matrix : matrix + 36] = struct.pack(">9i", *numbers)
    path.write_bytes(content)
    return path


def test_a_video_of_a_phone_stands_upright(tmp_path: Path) -> None:
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = 200  # what is left is above when turned
    encode_frames([picture] * 3, tmp_path / "a.mp4", EncodeSettings(preset="veryfast"))
    path = turned(tmp_path / "a.mp4")
    for seen in (load_image(str(path)), next(frames_at(path, [Fraction(0)]))):
        shown_HWC = np.asarray(seen)
        assert shown_HWC.shape == (96, 64, 3)
        assert shown_HWC[:40].mean() > 190
        assert shown_HWC[56:].mean() < 10


def test_a_photo_of_a_phone_is_no_video(tmp_path: Path) -> None:
    path = slides(tmp_path / "a.mp4")
    content = bytearray(path.read_bytes())
    content[8:12] = b"heic"
    path.write_bytes(content)
    with pytest.raises(ImageUnreadableError, match="format is unknown"):
        load_image(str(path))


def test_a_playlist_reaches_for_no_other_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        port = server.getsockname()[1]
        text = f"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:{port}/seg.ts\n#EXT-X-ENDLIST\n"
        path = tmp_path / "a.m3u8"
        path.write_text(text)
        with pytest.raises(ImageUnreadableError):
            load_image(str(path))
        with pytest.raises(TimeoutError):
            server.accept()


def test_behind_its_end_the_last_image_stays(tmp_path: Path) -> None:
    assert shown(slides(tmp_path / "a.mp4"), Fraction(2), Fraction(3), Fraction(90)) == [50, 59, 59]


def test_images_that_come_rarely_stay_until_the_next(tmp_path: Path) -> None:
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
def test_its_first_image_is_a_portrait(tmp_path: Path, ending: str) -> None:
    path = slides(tmp_path / "a.mp4", "vp9")
    with av.open(str(path)) as source, av.open(str(tmp_path / f"b.{ending}"), "w") as target:
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    picture = load_source_image(str(tmp_path / f"b.{ending}"), 1)
    assert picture.is_video
    assert picture.image.size == (96, 64)
    assert np.abs(np.asarray(picture.image).astype(int) - level(0)).max() <= 2
    with pytest.raises(ImageUnreadableError, match="96 x 64"):
        load_source_image(str(tmp_path / f"b.{ending}"), 0.005)


def test_colours_are_those_of_the_codec(tmp_path: Path) -> None:
    colour = np.array([200, 80, 40])
    frame = np.full((64, 96, 3), colour, np.uint8)
    encode_frames([frame] * 3, tmp_path / "a.mp4", EncodeSettings(crf=4))
    pixels = np.asarray(load_source_image(str(tmp_path / "a.mp4"), 1).image).astype(int)
    assert np.abs(pixels - colour).max() <= 3


def test_damage_is_a_sentence(tmp_path: Path) -> None:
    whole = slides(tmp_path / "a.mp4").read_bytes()
    lengths, seen = range(16, len(whole), 97), []
    for length in lengths:
        (tmp_path / "half.mp4").write_bytes(whole[:length])
        with suppress(ImageUnreadableError):  # and nothing else
            load_source_image(str(tmp_path / "half.mp4"), 1)
            seen.append(len(list(frames_at(tmp_path / "half.mp4", [Fraction(0), Fraction(2)]))))
    assert set(seen) <= {2}
    assert len(seen) < len(lengths)


def test_audio_is_no_image(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ImageUnreadableError, match="format is unknown"):
        load_source_image(str(tmp_path / "a.mp4"), 1)
