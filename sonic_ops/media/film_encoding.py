"""Encode the frames of a film as they are: their times, depth, colours and shape of pixels.

Segments are closed GOPs, so that they can be stitched.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from sonic_ops.core.containers import open_own_container
from sonic_ops.core.errors import VerifyError
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import VideoCodec
from sonic_ops.media.encoding import (
    ENCODERS,
    EXACT,
    EncodeSettings,
    create_file,
    last_packets,
    options_of,
)
from sonic_ops.media.muxing import copied_stream, muxer_of

AnyPacket: TypeAlias = "Packet[Any]"

_PLANAR = ("yuv420p", "yuv422p", "yuv444p", "gray")
_FULL_RANGE = 2


@cache
def _formats(codec: VideoCodec) -> frozenset[str]:
    encoder = av.codec.Codec(ENCODERS[codec].name, "w")
    return frozenset(form.name for form in encoder.video_formats or ())


def pixel_format(found: str, codec: VideoCodec) -> str:
    """Return the pixel format in which a film is edited and encoded: its own if that can be."""
    name = found.replace("yuvj", "yuv")
    is_planar = name.startswith(_PLANAR) and not name.endswith("be")
    if is_planar and name in _formats(codec):
        return name
    deep = "10le" in name or "12le" in name or "p010" in name
    sampled = next((p for p in _PLANAR if name.startswith(p)), "yuv420p")
    wished = f"{sampled}10le" if deep else sampled
    usual = ENCODERS[codec].pixel_format
    return wished if wished in _formats(codec) else usual


def native(raw: VideoFrame, codec: VideoCodec) -> VideoFrame:
    """Return a frame in the pixel format in which the film is encoded; most need no change."""
    wished = pixel_format(raw.format.name, codec)
    if raw.format.name == wished:
        return raw
    is_full = raw.format.name.startswith("yuvj")
    if raw.format.name.replace("yuvj", "yuv") == wished:
        return _renamed(raw, wished)
    changed = raw.reformat(format=wished, interpolation=EXACT, threads=1)
    changed.pts, changed.time_base = raw.pts, raw.time_base
    if is_full:
        changed.color_range = _FULL_RANGE
    return changed


def _renamed(raw: VideoFrame, name: str) -> VideoFrame:
    """Return the same samples under another name: full range is said by a tag."""
    made = VideoFrame(raw.width, raw.height, name)
    for plane, source in zip(made.planes, raw.planes, strict=True):
        rows = min(plane.height, source.height)
        line = min(plane.line_size, source.line_size)
        target = bytearray(plane.buffer_size)
        content = bytes(source)
        for row in range(rows):
            start = row * plane.line_size
            target[start : start + line] = content[
                row * source.line_size : row * source.line_size + line
            ]
        plane.update(bytes(target))
    made.pts, made.time_base = raw.pts, raw.time_base
    made.colorspace, made.color_range = raw.colorspace, _FULL_RANGE
    made.color_primaries, made.color_trc = raw.color_primaries, raw.color_trc
    return made


@dataclass(frozen=True, slots=True)
class FilmForm:
    """What a film keeps beside its frames: the shape of its pixels, and how it is turned."""

    pixel_shape: Fraction | None = None
    display_matrix: tuple[int, ...] | None = None


def encode_film(
    frames: Iterable[VideoFrame], target: Path, settings: EncodeSettings, form: FilmForm
) -> int:
    """Encode frames to closed groups, the first one at 0; the number of frames.

    Raises VerifyError if there are none.
    """
    num_frames, first_pts = 0, 0
    with draft_of(target) as draft, create_file(draft, settings.encoder.muxer) as container:
        stream: VideoStream | None = None
        for frame in frames:
            if stream is None:
                stream, first_pts = _add_stream(container, frame, settings, form), frame.pts or 0
            frame.pts = (frame.pts or 0) - first_pts
            frame.pict_type = 0  # what the film had is no wish
            container.mux(stream.encode(frame))
            num_frames += 1
        if stream is None:
            raise VerifyError(
                "A part of the film could be decoded before, and cannot now",
                remedy="Check the disk, and run the same command again.",
            )
        container.mux(last_packets(stream, num_frames))
    return num_frames


def _add_stream(
    container: Any, frame: VideoFrame, settings: EncodeSettings, form: FilmForm
) -> VideoStream:
    stream: VideoStream = container.add_stream(
        settings.encoder.name, rate=settings.fps, options=options_of(settings, 0)
    )
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    assert frame.time_base is not None
    context.time_base, context.gop_size = frame.time_base, settings.gop_frames
    context.thread_count = settings.threads
    context.color_primaries, context.color_trc = frame.color_primaries, frame.color_trc
    context.colorspace, context.color_range = frame.colorspace, frame.color_range
    if form.pixel_shape:
        context.sample_aspect_ratio = form.pixel_shape
    if settings.encoder.tag:
        context.codec_tag = settings.encoder.tag
    return stream


def stitch_film(segments: Sequence[tuple[Fraction, Path]], target: Path) -> None:
    """Join the segments of a film, each from its moment on; frames keep their times.

    Decode times are those of the frames in their order, as early as the encoder's reordering asks.
    Raises VerifyError.
    """
    times = sorted(start_s + time for start_s, path in segments for time in _times(path))
    if len(set(times)) != len(times):
        raise VerifyError("Two frames of the film have one time", remedy="Render the row again.")
    with draft_of(target) as draft, create_file(draft, muxer_of(segments[0][1])) as output:
        stream: VideoStream | None = None
        index = 0
        for start_s, path in segments:
            with open_own_container(path) as container:
                source = container.streams.video[0]
                if stream is None:
                    stream = copied_stream(output, source)
                depth = source.codec_context.reorder_depth
                for packet in container.demux(source):
                    if packet.pts is not None:
                        decode_s = _decode_time(times, index - depth)
                        output.mux(_placed(packet, stream, start_s, decode_s))
                        index += 1


def _placed(
    packet: AnyPacket, stream: VideoStream, start_s: Fraction, decode_s: Fraction
) -> AnyPacket:
    base = packet.time_base or Fraction(1)
    packet.pts = (packet.pts or 0) + round(start_s / base)
    packet.dts = min(round(decode_s / base), packet.pts)
    packet.stream = stream
    return packet


def _decode_time(times: Sequence[Fraction], index: int) -> Fraction:
    if index >= 0:
        return times[index]
    step = times[1] - times[0] if len(times) > 1 else Fraction(1, 25)
    return times[0] + index * step


def _times(segment: Path) -> Iterator[Fraction]:
    with open_own_container(segment) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.pts is not None:
                yield packet.pts * packet.time_base
