"""Segments to one video, and the video with its audio and subtitles to the finished file.

Nothing here encodes a frame again, or holds more than a few packets.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any, TypeAlias

from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from sonic_ops.core.constants import OUTPUT_FPS
from sonic_ops.core.containers import open_own_container
from sonic_ops.core.errors import VerifyError
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import format_of
from sonic_ops.media.encoding import (
    ENCODERS,
    EncodeSettings,
    create_file,
    encode_frames,
    settings_of,
)
from sonic_ops.media.inspection import VideoInfo, probe_video, verify_video
from sonic_ops.media.languages import track_language
from sonic_ops.media.soundtrack import Soundtrack, add_audio
from sonic_ops.media.subtitles import Cue, add_subtitles

__all__ = [
    "EncodeSettings",
    "Soundtrack",
    "VideoInfo",
    "encode_frames",
    "mux",
    "probe_video",
    "settings_of",
    "stitch",
    "verify_video",
]

AnyPacket: TypeAlias = "Packet[Any]"

_TAGGED = frozenset(codec for codec, encoder in ENCODERS.items() if encoder.tag)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter that players show, in seconds of the video."""

    title: str
    start_s: Fraction
    stop_s: Fraction

    def entry(self, id: int) -> Any:
        """Return the chapter as PyAV takes it."""
        base = Fraction(1, 1000)
        start, end = (round(time_s / base) for time_s in (self.start_s, self.stop_s))
        tags = {"title": self.title}
        return {"id": id, "start": start, "end": end, "time_base": base, "metadata": tags}


def stitch(segments: Sequence[Path], target: Path, fps: Fraction = OUTPUT_FPS) -> None:
    """Join segments without encoding again: frame n of the video is shown at n / `fps` s.

    Raises VerifyError if the segments were encoded with different settings.
    """
    with draft_of(target) as draft, create_file(draft, muxer_of(segments[0])) as output:
        stream: VideoStream | None = None
        form, num_frames = None, 0
        for segment in segments:
            with open_own_container(segment) as container:
                source = container.streams.video[0]
                stream = stream or copied_stream(output, source)
                form = form or _form(source)
                if _form(source) != form:
                    raise VerifyError(
                        f"The segment {segment} has other encoding parameters than those before it",
                        remedy="Delete the segments of this row and render it again.",
                    )
                for packet in segment_packets(container, stream, num_frames, fps):
                    output.mux(packet)
                    num_frames += 1


def mux(
    video: Path,
    track: Soundtrack,
    target: Path,
    subtitles: Sequence[Cue] = (),
    tags: Mapping[str, str] | None = None,
    chapters: Sequence[Chapter] = (),
    display_matrix: Sequence[int] | None = None,
) -> None:
    """Join a silent video with the original audio and with subtitles, in the format of `target`.

    Audio that the format takes is copied, other audio is encoded with its channels and sample
    rate; `tags` become metadata, `display_matrix` says how players turn the frames. Raises
    MissingFileError or AudioUnreadableError.
    """
    form = format_of(target.name)
    language = track_language(track.language, form.muxer) if track.language else None
    with (
        draft_of(target) as draft,
        open_own_container(video) as source,
        create_file(draft, form.muxer) as output,
    ):
        output.metadata.update(tags or {})
        if chapters:
            output.set_chapters([chapter.entry(id) for id, chapter in enumerate(chapters, 1)])
        video_stream = source.streams.video[0]
        copied = copied_stream(output, video_stream)
        if display_matrix is not None:
            copied.set_display_matrix(display_matrix)
        streams = [
            _retarget(source.demux(video_stream), copied),
            add_audio(output, form, track, language),
        ]
        if subtitles:
            streams.append(add_subtitles(output, form.subtitles, subtitles, language))
        for packet in merge(*streams, key=decode_time):
            output.mux(packet)


def copied_stream(output: OutputContainer, template: VideoStream) -> VideoStream:
    """Add an empty stream for packets of a template."""
    # Opaque: by its parameters. FFmpeg reads AV1 with a library that has no encoder to look up.
    stream = output.add_stream_from_template(template, opaque=True)
    if template.codec_context.name in _TAGGED:
        stream.codec_context.codec_tag = template.codec_context.codec_tag
    return stream


def muxer_of(segment: Path) -> str:
    """ProRes is only in QuickTime's form of MP4."""
    with open_own_container(segment) as container:
        return "mov" if container.streams.video[0].codec_context.name == "prores" else "mp4"


def _form(stream: VideoStream) -> tuple[str, int, int, bytes]:
    """Return what all segments of a video share: codec, size, encoder header."""
    context = stream.codec_context
    return context.name, context.width, context.height, bytes(context.extradata or b"")


def segment_packets(
    container: InputContainer, stream: VideoStream, first_frame: int, fps: Fraction
) -> Iterator[AnyPacket]:
    """Yield the packets of a segment whose first frame becomes frame `first_frame` of `stream`.

    Times are counted anew in frames. Decoding runs ahead of showing by the reorder depth of the
    encoder, the same in all segments, so decode times rise by one frame across the joints too.
    """
    source = container.streams.video[0]
    depth = source.codec_context.reorder_depth
    packets = (packet for packet in container.demux(source) if packet.pts is not None)
    for index, packet in enumerate(packets):
        shown = round((packet.pts or 0) * packet.time_base * fps)
        packet.stream, packet.time_base, packet.duration = stream, 1 / fps, 1
        packet.pts, packet.dts = first_frame + shown, first_frame + index - depth
        assert packet.pts >= packet.dts
        yield packet


def _retarget(packets: Iterator[AnyPacket], stream: VideoStream) -> Iterator[AnyPacket]:
    for packet in packets:
        if packet.dts is not None:
            packet.stream = stream
            yield packet


def decode_time(packet: AnyPacket) -> Fraction:
    """Return the decoding time of a packet in seconds."""
    assert packet.dts is not None
    return packet.dts * packet.time_base
