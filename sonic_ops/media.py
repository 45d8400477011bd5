"""Output frames to H.264 segments, segments to one video, the video and its sound to an MP4.

Equal input gives equal bytes: one encoder thread, bit-exact conversion, no dates in the file.
Nothing here holds more than a few frames or packets. Shape letters: H, W, C rows, columns, RGB.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from itertools import chain
from pathlib import Path
from platform import machine
from typing import Any, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from numpy.typing import NDArray

from sonic_ops.constants import OUTPUT_FPS
from sonic_ops.errors import VerifyError
from sonic_ops.files import draft_of
from sonic_ops.inspection import PIXEL_FORMAT, TOLERANCE_S, VideoInfo, probe_video, verify_video
from sonic_ops.sound import SoundBlock, is_plain_aac, open_sound, read_sound, unreadable

__all__ = [
    "EncodeSettings",
    "VideoInfo",
    "encode_frames",
    "mux",
    "probe_video",
    "stitch",
    "verify_video",
]

AnyPacket: TypeAlias = "Packet[Any]"

VIDEO_CODEC = "libx264"
# The macroblock tree of x264 reads memory that it never wrote, in its AVX-512 code at widths that
# are no multiple of 128: equal frames gave other bytes. SSE4 gives the bits of AVX2.
_X264_PARAMS = "open-gop=0" + (":asm=SSE4" if machine() in {"x86_64", "AMD64"} else "")
AAC_BITS_PER_CHANNEL = 96_000
AAC_RATES_HZ = frozenset({8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000})
AAC_OTHER_RATE_HZ = 48_000
_LAYOUTS = {1: "mono", 2: "stereo"}
_FRAME_TIME = Fraction(1, OUTPUT_FPS)
_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.BITEXACT
)


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """How segments are encoded; equal for all segments of a video, or they cannot be stitched."""

    crf: int = 18
    preset: str = "medium"
    gop_frames: int = 50
    threads: int = 1


def encode_frames(
    frames: Iterable[NDArray[np.uint8]], target: Path, settings: EncodeSettings
) -> int:
    """Encode RGB output frames (H W C) as one segment of closed GOPs; the number of frames."""
    num_frames = 0
    with draft_of(target) as draft, _create(draft) as container:
        stream: VideoStream | None = None
        for frame_HWC in frames:
            stream = stream or _add_video(container, frame_HWC.shape, settings)
            container.mux(stream.encode(_to_bt709(frame_HWC, num_frames)))
            num_frames += 1
        assert stream is not None, "a segment has at least one output frame"
        container.mux(stream.encode(None))
    return num_frames


def stitch(segments: Sequence[Path], target: Path) -> None:
    """Join segments without encoding again: frame n of the video is shown at n / 25 s.

    Raises VerifyError if the segments were encoded with different settings.
    """
    with draft_of(target) as draft, _create(draft) as output:
        stream: VideoStream | None = None
        form, num_frames = None, 0
        for segment in segments:
            with av.open(str(segment)) as container:
                source = container.streams.video[0]
                stream = stream or output.add_stream_from_template(source)
                form = form or _form(source)
                if _form(source) != form:
                    raise VerifyError(
                        f"The segment {segment} is encoded unlike those before it",
                        remedy="Delete the segments of this row and render it again.",
                    )
                for packet in _segment_packets(container, stream, num_frames):
                    output.mux(packet)
                    num_frames += 1


def mux(
    video: Path,
    audio_source: str,
    target: Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
) -> None:
    """Join a silent video with the seconds `[start_s, end_s)` of the original sound, for streaming.

    AAC from an MP4 is copied, other sound becomes AAC; more than two channels become one. Raises
    MissingFileError or AudioUnreadableError.
    """
    whole = start_s == 0 and end_s is None
    with draft_of(target) as draft, av.open(str(video)) as source, _create(draft) as output:
        picture = source.streams.video[0]
        copied = output.add_stream_from_template(picture)
        packets = _retarget(source.demux(picture), copied)
        if whole and is_plain_aac(audio_source, max_block_s=TOLERANCE_S):
            sound = _copied_sound(audio_source, output)
        else:
            blocks = read_sound(audio_source, start_s, end_s)
            first = next(blocks, None)
            if first is None:
                raise unreadable(audio_source, "no sound comes out of it")
            sound = _encoded_sound(first, blocks, output)
        for packet in merge(packets, sound, key=_decode_time):
            output.mux(packet)


def _create(path: Path) -> OutputContainer:
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    container: OutputContainer = av.open(str(path), "w", format="mp4", options=options)
    return container


def _add_video(
    container: OutputContainer, shape_HWC: Sequence[int], settings: EncodeSettings
) -> VideoStream:
    height, width, _ = shape_HWC
    assert height % 2 == 0
    assert width % 2 == 0
    options = {"crf": str(settings.crf), "preset": settings.preset, "x264-params": _X264_PARAMS}
    stream = container.add_stream(VIDEO_CODEC, rate=OUTPUT_FPS, options=options)
    assert isinstance(stream, VideoStream)
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = width, height, PIXEL_FORMAT
    context.time_base, context.gop_size = _FRAME_TIME, settings.gop_frames
    context.thread_count = settings.threads
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    return stream


def _to_bt709(frame_HWC: NDArray[np.uint8], index: int) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
    frame = rgb.reformat(
        format=PIXEL_FORMAT,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        interpolation=_EXACT,
        threads=1,
    )
    frame.pts, frame.time_base = index, _FRAME_TIME
    return frame


def _form(stream: VideoStream) -> tuple[int, int, bytes]:
    """What must be equal in all segments of a video: its size and the header of the encoder."""
    context = stream.codec_context
    return context.width, context.height, bytes(context.extradata or b"")


def _segment_packets(
    container: InputContainer, stream: VideoStream, first_frame: int
) -> Iterator[AnyPacket]:
    """The packets of a segment whose first frame becomes frame `first_frame` of `stream`.

    Times are counted anew in frames. Decoding runs ahead of showing by the reorder depth of the
    encoder, the same in all segments, so decode times rise by one frame across the joints too.
    """
    source = container.streams.video[0]
    depth = source.codec_context.reorder_depth
    packets = (packet for packet in container.demux(source) if packet.pts is not None)
    for index, packet in enumerate(packets):
        shown = round((packet.pts or 0) * packet.time_base * OUTPUT_FPS)
        packet.stream, packet.time_base, packet.duration = stream, _FRAME_TIME, 1
        packet.pts, packet.dts = first_frame + shown, first_frame + index - depth
        assert packet.pts >= packet.dts
        yield packet


def _retarget(
    packets: Iterator[AnyPacket], stream: VideoStream | AudioStream
) -> Iterator[AnyPacket]:
    for packet in packets:
        if packet.dts is not None:
            packet.stream = stream
            yield packet


def _decode_time(packet: AnyPacket) -> Fraction:
    assert packet.dts is not None
    return packet.dts * packet.time_base


def _copied_sound(source: str, output: OutputContainer) -> Iterator[AnyPacket]:
    with open_sound(source) as (_, template):
        stream = output.add_stream_from_template(template)
    return _sound_packets(source, stream)


def _sound_packets(source: str, stream: AudioStream) -> Iterator[AnyPacket]:
    with open_sound(source) as (container, template):
        yield from _retarget(container.demux(template), stream)


def _encoded_sound(
    first: SoundBlock, others: Iterator[SoundBlock], output: OutputContainer
) -> Iterator[AnyPacket]:
    """Add an AAC stream in the form of the first block and give its packets."""
    num_channels = 2 if len(first.samples) == 2 else 1
    rate = first.sample_rate_hz if first.sample_rate_hz in AAC_RATES_HZ else AAC_OTHER_RATE_HZ
    layout = _LAYOUTS[num_channels]
    stream: AudioStream = output.add_stream("aac", rate=rate, layout=layout)
    stream.bit_rate = AAC_BITS_PER_CHANNEL * num_channels
    return _aac_packets(chain([first], others), stream, num_channels)


def _aac_packets(
    blocks: Iterable[SoundBlock], stream: AudioStream, num_channels: int
) -> Iterator[AnyPacket]:
    position = 0
    for block in blocks:
        samples_CS = _to_channels(block.samples, num_channels)
        frame = av.AudioFrame.from_ndarray(samples_CS, format="fltp", layout=_LAYOUTS[num_channels])
        frame.sample_rate, frame.pts = block.sample_rate_hz, position
        frame.time_base = Fraction(1, block.sample_rate_hz)
        position += frame.samples
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _to_channels(samples_CS: NDArray[np.float32], num_channels: int) -> NDArray[np.float32]:
    """One or two channels as they are; any other number becomes the mean of all."""
    if len(samples_CS) == num_channels:
        return np.ascontiguousarray(samples_CS)
    return np.repeat(samples_CS.mean(axis=0, keepdims=True), num_channels, axis=0)
