"""Segments, stitching, muxing and verification of real files."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.errors import AudioUnreadableError, MissingFileError, VerifyError
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.muxing import (
    EncodeSettings,
    Soundtrack,
    encode_frames,
    mux,
    probe_video,
    stitch,
    verify_video,
)

FAST = EncodeSettings(preset="veryfast", gop_frames=12)
Pixels = NDArray[np.uint8]


def moving_picture(num_frames: int, first: int = 0, size: int = 64) -> Iterator[Pixels]:
    """A bright square that walks over a gradient; frame `first + i` is the same in any segment."""
    gradient = np.linspace(20, 200, size).astype(np.uint8)
    for index in range(first, first + num_frames):
        frame = np.stack([np.tile(gradient, (size, 1))] * 3, axis=2)
        left = (3 * index) % (size - 16)
        frame[20:36, left : left + 16] = (250, 240, 30)
        yield frame


def decoded(path: Path) -> list[Pixels]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def segments_of(folder: Path, lengths: list[int], settings: EncodeSettings = FAST) -> list[Path]:
    paths = []
    for index, length in enumerate(lengths):
        path = folder / f"segment_{index}.mp4"
        encode_frames(moving_picture(length, sum(lengths[:index])), path, settings)
        paths.append(path)
    return paths


def sine(seconds: float, rate: int, channels: int) -> NDArray[np.float32]:
    time_S = np.arange(round(seconds * rate)) / rate
    wave = 0.4 * np.sin(2 * np.pi * 330 * time_S) * np.sin(np.pi * time_S / seconds)
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def heard_in(path: Path, folder: Path) -> NDArray[np.float32]:
    num_samples = decode_audio(str(path), folder / "heard.wav")
    return read_samples(folder / "heard.wav", 0, num_samples)


@pytest.mark.parametrize("lengths", [[1], [30, 30], [25, 1, 2, 61, 7, 1]])
def test_stitched_frames_are_the_frames_of_the_segments(tmp_path: Path, lengths: list[int]) -> None:
    segments = segments_of(tmp_path, lengths)
    stitch(segments, tmp_path / "whole.mp4")
    frames = decoded(tmp_path / "whole.mp4")
    expected = [frame for segment in segments for frame in decoded(segment)]
    assert len(frames) == sum(lengths) == len(expected)
    assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))
    info = probe_video(tmp_path / "whole.mp4")
    assert info.num_frames == sum(lengths)
    assert info.duration_s == pytest.approx(sum(lengths) / 25, abs=1e-9)
    assert info.fps == 25
    assert info.is_constant_rate


def test_times_rise_evenly_with_b_frames_across_the_joints(tmp_path: Path) -> None:
    stitch(segments_of(tmp_path, [25, 1, 2, 37]), tmp_path / "whole.mp4")
    with av.open(str(tmp_path / "whole.mp4")) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        ticks = [packet.dts * packet.time_base * 25 for packet in packets]
        assert stream.codec_context.has_b_frames
        assert stream.start_time == 0
    assert ticks == list(range(int(ticks[0]), int(ticks[0]) + 65))
    assert sorted(packet.pts * packet.time_base * 25 for packet in packets) == list(range(65))
    assert all(packet.pts >= packet.dts for packet in packets)
    with av.open(str(tmp_path / "whole.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert shown == pytest.approx([n / 25 for n in range(65)])


def test_every_segment_starts_with_a_frame_that_needs_no_other(tmp_path: Path) -> None:
    stitch(segments_of(tmp_path, [20, 20, 20]), tmp_path / "whole.mp4")
    with av.open(str(tmp_path / "whole.mp4")) as container:
        container.seek(round(0.8 * 1_000_000))
        frame = next(container.decode(video=0))
        assert frame.time == pytest.approx(0.8)
        assert frame.key_frame


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        soundfile.write(folder / "sound.wav", sine(1.2, 44_100, 2), 44_100)
        stitch(segments_of(folder, [17, 13]), folder / "whole.mp4")
        mux(folder / "whole.mp4", Soundtrack(str(folder / "sound.wav")), folder / "final.mp4")
    for name in ("segment_0.mp4", "whole.mp4", "final.mp4"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_encoder_does_not_read_memory_that_it_never_wrote(tmp_path: Path) -> None:
    grain = np.random.default_rng(0).integers(0, 12, (17, 192, 192, 3)).astype(np.uint8)
    frames = [a + b for a, b in zip(moving_picture(17, size=192), grain, strict=True)]
    seen = set()
    for seed in range(8):
        traces = np.random.default_rng(seed).integers(0, 255, (200, 200, 50)).astype(np.uint8)
        encode_frames(frames, tmp_path / f"{traces[0, 0, 0]}.mp4", EncodeSettings())
        seen.add((tmp_path / f"{traces[0, 0, 0]}.mp4").read_bytes())
    assert len(seen) == 1


def test_segments_of_other_settings_cannot_be_stitched(tmp_path: Path) -> None:
    (first,) = segments_of(tmp_path, [5])
    encode_frames(moving_picture(5, size=96), tmp_path / "other.mp4", FAST)
    with pytest.raises(VerifyError, match=r"other\.mp4"):
        stitch([first, tmp_path / "other.mp4"], tmp_path / "whole.mp4")
    assert not (tmp_path / "whole.mp4").exists()


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 40, 120)]
)
def test_colours_survive_and_are_tagged(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    frame = np.full((64, 64, 3), colour, np.uint8)
    encode_frames([frame] * 3, tmp_path / "a.mp4", EncodeSettings(crf=8))
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
        assert context.color_range == 1
        yuv = next(container.decode(video=0)).to_ndarray(format="yuv420p")
    luma, blue, red = (float(plane.mean()) for plane in (yuv[:64], yuv[64:80], yuv[80:]))
    assert np.abs(bt709_to_rgb(luma, blue, red) - np.array(colour)).max() <= 3


def bt709_to_rgb(luma: float, blue: float, red: float) -> NDArray[np.float64]:
    """The matrix of ITU-R BT.709, limited range, written out."""
    y, u, v = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    r, b = y + 1.5748 * v, y + 1.8556 * u
    g = (y - 0.2126 * r - 0.0722 * b) / 0.7152
    return 255 * np.array([r, g, b])


def test_what_was_encoded_looks_like_what_was_given(tmp_path: Path) -> None:
    encode_frames(moving_picture(10), tmp_path / "a.mp4", EncodeSettings())
    with av.open(str(tmp_path / "a.mp4")) as container:
        shown = [frame.to_ndarray(format="yuv420p")[:64] for frame in container.decode(video=0)]
    for luma, frame in zip(shown, moving_picture(10), strict=True):
        wanted = 16 + 219 / 255 * (frame @ np.array([0.2126, 0.7152, 0.0722]))
        assert np.abs(luma - wanted).mean() < 2


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(16_000, 1, "PCM_16"), (44_100, 2, "PCM_24"), (96_000, 2, "FLOAT"), (48_000, 6, "PCM_16")],
)
def test_the_audio_of_the_video_is_the_original_audio(
    tmp_path: Path, rate: int, channels: int, subtype: str
) -> None:
    audio = sine(1.5, rate, channels)
    audio[:, 3:4] = 0  # of six channels this is the bass, and AAC keeps only the bass of it
    soundfile.write(tmp_path / "sound.wav", audio, rate, subtype=subtype)
    (segment,) = segments_of(tmp_path, [38])
    mux(segment, Soundtrack(str(tmp_path / "sound.wav")), tmp_path / "final.mp4")
    info = verify_video(tmp_path / "final.mp4", num_output_frames=38, duration_s=1.5)
    assert info.audio_duration_s == pytest.approx(1.5, abs=1e-3)
    assert (info.num_channels, info.sample_rate_hz) == (channels, rate)
    before = heard_in(tmp_path / "sound.wav", tmp_path)
    after = heard_in(tmp_path / "final.mp4", tmp_path)
    padding = after[len(before) :]  # FFmpeg decodes the last AAC block whole
    assert len(padding) <= 1024 * 16_000 / min(rate, 48_000)
    assert np.abs(padding[16:]).max(initial=0) < 1e-3
    assert np.abs(before - after[: len(before)]).max() < 0.02


def test_aac_is_copied_and_stays_in_time(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", sine(1.5, 44_100, 2), 44_100)
    (segment,) = segments_of(tmp_path, [38])
    mux(segment, Soundtrack(str(tmp_path / "sound.wav")), tmp_path / "source.mp4")
    mux(segment, Soundtrack(str(tmp_path / "source.mp4")), tmp_path / "final.mp4")
    verify_video(tmp_path / "final.mp4", num_output_frames=38, duration_s=1.5)
    before = heard_in(tmp_path / "source.mp4", tmp_path)
    after = heard_in(tmp_path / "final.mp4", tmp_path)
    assert np.array_equal(before, after)


def test_damaged_aac_is_encoded_again_so_that_image_and_audio_agree(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", sine(3.0, 44_100, 2), 44_100)
    (segment,) = segments_of(tmp_path, [75])
    mux(segment, Soundtrack(str(tmp_path / "sound.wav")), tmp_path / "source.mp4")
    content = bytearray((tmp_path / "source.mp4").read_bytes())
    content[-1500:-1300] = bytes(200)  # within the last packets of audio
    (tmp_path / "hurt.mp4").write_bytes(content)
    whole = heard_in(tmp_path / "source.mp4", tmp_path)
    hurt = heard_in(tmp_path / "hurt.mp4", tmp_path)
    assert len(hurt) == len(whole)
    assert not np.array_equal(hurt, whole)
    mux(segment, Soundtrack(str(tmp_path / "hurt.mp4")), tmp_path / "final.mp4")
    assert probe_video(tmp_path / "final.mp4").audio_duration_s == pytest.approx(3, abs=1e-3)


def test_aac_of_long_blocks_is_as_long_as_what_is_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", sine(1.537, 16_000, 1), 16_000)
    (segment,) = segments_of(tmp_path, [38])
    mux(segment, Soundtrack(str(tmp_path / "sound.wav")), tmp_path / "source.mp4")
    num_samples = len(heard_in(tmp_path / "source.mp4", tmp_path))
    assert num_samples / 16_000 == 1.537
    segment = segments_of(tmp_path, [num_output_frames_of(num_samples)])[0]
    mux(segment, Soundtrack(str(tmp_path / "source.mp4")), tmp_path / "final.mp4")
    verify_video(
        tmp_path / "final.mp4",
        num_output_frames=num_output_frames_of(num_samples),
        duration_s=num_samples / 16_000,
    )


def test_a_range_of_the_audio_is_cut_out(tmp_path: Path) -> None:
    audio = sine(4.0, 32_000, 1)
    soundfile.write(tmp_path / "sound.wav", audio, 32_000)
    (segment,) = segments_of(tmp_path, [50])
    mux(segment, Soundtrack(str(tmp_path / "sound.wav"), 1.25, 3.25), tmp_path / "final.mp4")
    verify_video(tmp_path / "final.mp4", num_output_frames=50, duration_s=2.0)
    wanted_from = decode_audio(
        str(tmp_path / "sound.wav"), tmp_path / "cut.wav", start_s=1.25, end_s=3.25
    )
    wanted = read_samples(tmp_path / "cut.wav", 0, wanted_from)
    heard = heard_in(tmp_path / "final.mp4", tmp_path)
    assert np.abs(wanted[800:31_200] - heard[800:31_200]).max() < 0.02


def test_images_are_not_encoded_again_and_the_header_comes_first(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", sine(1.6, 16_000, 1), 16_000)
    stitch(segments_of(tmp_path, [20, 20]), tmp_path / "whole.mp4")
    mux(tmp_path / "whole.mp4", Soundtrack(str(tmp_path / "sound.wav")), tmp_path / "final.mp4")
    pairs = zip(decoded(tmp_path / "whole.mp4"), decoded(tmp_path / "final.mp4"), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)
    content = (tmp_path / "final.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_audio_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    (segment,) = segments_of(tmp_path, [3])
    (tmp_path / "bad.mp3").write_bytes(b"no audio")
    with pytest.raises(AudioUnreadableError):
        mux(segment, Soundtrack(str(tmp_path / "bad.mp3")), tmp_path / "final.mp4")
    with pytest.raises(MissingFileError):
        mux(segment, Soundtrack(str(tmp_path / "none.mp3")), tmp_path / "final.mp4")
    soundfile.write(tmp_path / "short.wav", sine(1.0, 16_000, 1), 16_000)
    with pytest.raises(AudioUnreadableError, match="no audio"):
        mux(segment, Soundtrack(str(tmp_path / "short.wav"), 2.0), tmp_path / "final.mp4")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["bad.mp3", "segment_0.mp4", "short.wav"]


def test_verification_names_everything_that_is_wrong(tmp_path: Path) -> None:
    (segment,) = segments_of(tmp_path, [10])
    with pytest.raises(VerifyError) as caught:
        verify_video(segment, num_output_frames=12, duration_s=0.48)
    message = str(caught.value)
    for fact in ("10 and not 12", "audio codec is missing", "video lasts 0.400 s", "audio lasts"):
        assert fact in message


def test_uneven_frames_and_untagged_colours_are_noticed(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index, pixels in enumerate(moving_picture(6)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index + (index > 3), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VerifyError, match=r"evenly spaced.*bt709"):
        verify_video(tmp_path / "a.mp4", num_output_frames=6, duration_s=0.24)


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"half a file")
    with pytest.raises(VerifyError, match=r"a\.mp4 cannot be read"):
        probe_video(tmp_path / "a.mp4")
    with pytest.raises(VerifyError, match=r"none\.mp4 cannot be read"):
        probe_video(tmp_path / "none.mp4")
