"""Groups of pictures that do not know of the frames before them, measured on real files."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from sonic_ops.core.formats import VideoCodec
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import stitch

GOP = 12
NUM_FRAMES = 4 * GOP
SIZE = 96
Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]


def talking(num_frames: int = NUM_FRAMES) -> Iterator[Pixels]:
    """A patch that moves ever faster over a texture whose levels tremble, as decoded latents do."""
    random = np.random.default_rng(0)
    texture = random.normal(120, 12, (SIZE, SIZE, 3))
    texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1)) / 3
    patch = random.normal(160, 30, (24, 24, 3))
    for index in range(num_frames):
        frame = texture + random.normal(0, 0.4, texture.shape)
        left = round(8 + 20 * np.sin(0.008 * index**2) ** 2)
        frame[56:80, left : left + 24] = patch
        yield frame.round().clip(0, 255).astype(np.uint8)


def stored(path: Path) -> Floats:
    """The frames as they are stored, luma over both chromas."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray() for f in container.decode(video=0)]).astype(float)


def changes(frames: Floats) -> Floats:
    """The mean change to every frame from the one before it; entry 0 belongs to frame 1."""
    return np.abs(np.diff(frames, axis=0)).mean(axis=tuple(range(1, frames.ndim)))


def encoded(folder: Path, settings: EncodeSettings, length: int) -> Floats:
    """What a video of segments of a length shows."""
    frames, segments = list(talking()), []
    for start in range(0, len(frames), length):
        segments.append(folder / f"{length}-{start}.mp4")
        part = frames[start : start + length]
        encode_frames(part, segments[-1], settings, expected=len(part))
    stitch(segments, folder / f"{length}.mp4")
    return stored(folder / f"{length}.mp4")


@pytest.mark.parametrize(
    ("codec", "preset"),
    [("h264", "ultrafast"), ("h264", "medium"), ("h264", "slower"), ("hevc", "medium")],
)
def test_a_cut_changes_no_bit_of_any_frame(tmp_path: Path, codec: VideoCodec, preset: str) -> None:
    settings = EncodeSettings(codec, preset=preset, gop_frames=GOP)
    whole = encoded(tmp_path, settings, NUM_FRAMES)
    for length in (GOP, 2 * GOP):
        assert np.array_equal(encoded(tmp_path, settings, length), whole)


@pytest.mark.parametrize("codec", ["prores", "vp9", "av1"])
def test_a_segment_begins_as_an_uncut_video_goes_on(tmp_path: Path, codec: VideoCodec) -> None:
    settings = EncodeSettings(codec, preset="veryfast", gop_frames=GOP)
    borders = slice(GOP - 1, None, GOP)
    cut = changes(encoded(tmp_path, settings, GOP))[borders]
    assert len(cut) == 3
    uncut = changes(encoded(tmp_path, settings, NUM_FRAMES))[borders]
    assert cut.sum() / uncut.sum() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_key_frame_hardly_pulses(tmp_path: Path, codec: VideoCodec) -> None:
    """Against elsewhere, and against the frames before the codec: 1.66 with a rate control."""
    file = encoded(tmp_path, EncodeSettings(codec, gop_frames=GOP), GOP)
    lossless = encoded(tmp_path, EncodeSettings(crf=0), NUM_FRAMES)
    assert pulse(file) / pulse(lossless) < 1.2


def pulse(frames: Floats) -> float:
    """The change to the first frames of groups against that to all others."""
    found, borders = changes(frames), slice(GOP - 1, None, GOP)
    return float(found[borders].mean() / np.delete(found, borders).mean())


def test_crf_0_is_lossless(tmp_path: Path) -> None:
    assert np.array_equal(
        encoded(tmp_path, EncodeSettings(crf=0), GOP),
        encoded(tmp_path, EncodeSettings(crf=0, preset="ultrafast"), NUM_FRAMES),
    )


def test_a_lone_frame_of_hevc_is_the_same_every_time(tmp_path: Path) -> None:
    """x265 leaves its decode time to chance."""
    frame = np.random.default_rng(5).integers(0, 255, (64, 64, 3), np.uint8)
    made = set()
    for _ in range(60):
        encode_frames([frame], tmp_path / "one.mp4", EncodeSettings("hevc", preset="veryfast"))
        made.add((tmp_path / "one.mp4").read_bytes())
    assert len(made) == 1
