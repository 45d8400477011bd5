"""Languages joined: the frames of a video, copied, with several tracks of audio and subtitles."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from heapq import merge
from pathlib import Path
from typing import Any, TypeAlias

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from sonic_ops.audio.reading import padding_s
from sonic_ops.core.containers import (
    MIN_OFFSET_S,
    MediaError,
    film_stream,
    is_cover,
    open_container,
    start_of,
    translated,
)
from sonic_ops.core.errors import FieldError, LengthsDifferError, VideoUnreadableError
from sonic_ops.core.files import draft_of, open_url
from sonic_ops.core.formats import Format, format_of
from sonic_ops.media.encoding import create_file
from sonic_ops.media.inspection import TOLERANCE_S, track_lengths_s
from sonic_ops.media.languages import track_language
from sonic_ops.media.muxing import copied_stream, decode_time
from sonic_ops.media.soundtrack import Soundtrack, add_audio
from sonic_ops.media.subtitles import add_subtitles, cut, read_subtitles
from sonic_ops.provenance.marks import has_tags, mark_file, tags_of

AnyPacket: TypeAlias = "Packet[Any]"

_HOLDS_ALL = "matroska"


@dataclass(frozen=True, slots=True)
class Dub:
    """A file in one language; the language is a tag of BCP 47, such as `de` or `pt-BR`."""

    language: str
    source: str


def join_languages(
    video: str, audio_tracks: Sequence[Dub], subtitles: Sequence[Dub], target: Path
) -> tuple[float, ...]:
    """Join the frames of `video` with audio tracks and subtitles, in the format of `target`.

    No frame is encoded again; audio is copied where the format takes it. The first language is
    the one that players choose. What players show or play first
    is at 0, whenever it was in the video.
    Returns the seconds of the frames and of every audio track. Raises InputError: a file
    is missing or unreadable, the format cannot hold the frames, or audio is more than 0.04 s
    longer or shorter than they are, beyond the padding of its codec; the video's own may have any
    length.
    """
    form = format_of(target.name)
    first_pts, video_s = _shown(video)
    with ExitStack() as stack:
        draft = stack.enter_context(draft_of(target))
        source, video_stream = stack.enter_context(_open_video(video))
        _check_format(form, video_stream, target)
        is_marked = has_tags(source.metadata)
        with create_file(draft, form.muxer) as output:
            output.metadata.update(tags_of(form) if is_marked else {})
            packets = _from_0(_packets(video, source, video_stream), first_pts)
            streams = [_timed(packets, copied_stream(output, video_stream))]
            for dub in audio_tracks:
                track = Soundtrack(dub.source, language=dub.language)
                streams.append(add_audio(output, form, track, _tag(dub, form)))
            for index, stream in enumerate(output.streams.audio):
                stream.disposition = Disposition.default if index == 0 else Disposition(0)
            for dub in subtitles:
                cues = cut(read_subtitles(dub.source, dub.language).cues, 0, video_s)
                streams.append(add_subtitles(output, form.subtitles, cues, _tag(dub, form)))
            for packet in merge(*streams, key=decode_time):
                output.mux(packet)
        lengths_s = track_lengths_s(draft)
        _check_lengths(video, audio_tracks, lengths_s)
    if is_marked:  # what AI has made stays marked; a signature is of the whole file, and is lost
        mark_file(target)
    return lengths_s


def join_films(films: Sequence[Dub], target: Path) -> None:
    """Join videos into one file: the video and the audio of each, copied, with its language.

    Players choose the first. Raises InputError.
    """
    form = format_of(target.name)
    with ExitStack() as stack:
        draft = stack.enter_context(draft_of(target))
        opened = [stack.enter_context(_open_video(film.source)) for film in films]
        with create_file(draft, form.muxer) as output:
            is_marked = all(has_tags(source.metadata) for source, _ in opened)
            output.metadata.update(tags_of(form, edited=True) if is_marked else {})
            packets = []
            for film, (source, video_stream) in zip(films, opened, strict=True):
                shown = copied_stream(output, video_stream)
                audio_stream = output.add_stream_from_template(source.streams.audio[0])
                for stream in (shown, audio_stream):
                    stream.metadata["language"] = _tag(film, form)
                    is_first = film is films[0]
                    stream.disposition = Disposition.default if is_first else Disposition(0)
                packets.append(_pair(source, video_stream, shown, audio_stream))
            for packet in merge(*packets, key=decode_time):
                output.mux(packet)


def _pair(
    source: InputContainer, video_stream: VideoStream, shown: VideoStream, audio_stream: AudioStream
) -> Iterator[AnyPacket]:
    """Yield the packets of a video and its audio, for the streams of another file."""
    targets = {video_stream.index: shown, source.streams.audio[0].index: audio_stream}
    for packet in source.demux([video_stream, source.streams.audio[0]]):
        if packet.pts is not None:
            packet.dts = packet.pts if packet.dts is None else packet.dts
            packet.stream = targets[packet.stream.index]
            yield packet


@contextmanager
def _open_video(video: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_url(video) as file:
        try:
            with open_container(file) as container:
                video_stream = film_stream(container)
                if video_stream is None or is_cover(video_stream):
                    raise _unreadable(video, "it has no frames")
                if video_stream.codec_context is None:
                    raise _unreadable(video, "its codec is unknown")
                yield container, video_stream
        except MediaError as error:
            raise _unreadable(video, str(error)) from error


def _packets(video: str, source: InputContainer, video_stream: VideoStream) -> Iterator[AnyPacket]:
    try:
        with translated(video):
            yield from source.demux(video_stream)
    except MediaError as error:
        raise _unreadable(video, str(error)) from error


def _shown(video: str) -> tuple[int, float]:
    """Return the time stamp at which players start, and the seconds from there to the end."""
    with _open_video(video) as (source, video_stream):
        num_hidden, stamps = 0, []
        for packet in _packets(video, source, video_stream):
            num_hidden += packet.is_discard
            if packet.pts is not None:
                stamps.append(packet.pts)
        if num_hidden:
            raise VideoUnreadableError(
                f"{num_hidden} frames of {video} are cut away and still in the file",
                remedy="Give the whole video, or cut it with a tool that encodes it again.",
            )
        if not stamps or video_stream.time_base is None:
            raise _unreadable(video, "the file does not say when they are shown")
        first = min(stamps) * video_stream.time_base
        start = start_of(source)
        start = start if first - start > MIN_OFFSET_S else first
        last_s = 1 / video_stream.average_rate if video_stream.average_rate else 0
        end_s = float(max(stamps) * video_stream.time_base - start + last_s)
        return round(start / video_stream.time_base), end_s


def _from_0(packets: Iterable[AnyPacket], first_pts: int) -> Iterator[AnyPacket]:
    for packet in packets:
        if packet.pts is not None:
            packet.pts -= first_pts
        if packet.dts is not None:
            packet.dts -= first_pts
        yield packet


def _unreadable(video: str, reason: str) -> VideoUnreadableError:
    return VideoUnreadableError(
        f"The frames of {video} cannot be read: {reason}",
        remedy="Give a video that a media player can play, such as one that was rendered.",
    )


def _check_format(form: Format, video_stream: VideoStream, target: Path) -> None:
    codec = video_stream.codec_context.codec.canonical_name
    if codec not in form.video and form.muxer != _HOLDS_ALL:
        raise FieldError(
            f"{target.name} cannot hold the frames of the video, which are {codec}",
            remedy="Let the output end in .mkv, which holds them all.",
            field="output",
        )


def _tag(dub: Dub, form: Format) -> str:
    try:
        return track_language(dub.language, form.muxer)
    except ValueError as error:
        raise FieldError(
            f"{dub.language!r}, of {dub.source}, is no language tag",
            remedy="Write a tag such as de, fr or pt-BR before the file: de=speech.wav.",
            field="language",
        ) from error


def _timed(packets: Iterable[AnyPacket], stream: VideoStream) -> Iterator[AnyPacket]:
    """Yield the packets of a stream, each with a time to decode it.

    Matroska does not say the first.
    """
    waiting: list[AnyPacket] = []
    for packet in packets:
        if packet.pts is None:
            continue  # the end of the stream
        packet.stream = stream
        waiting.append(packet)
        if packet.dts is not None:
            for places, early in enumerate(reversed(waiting)):
                early.dts = packet.dts - places * (packet.duration or 1)
            yield from waiting
            waiting = []
    for packet in waiting:
        packet.dts = packet.pts
        yield packet


def _is_same(one: str, other: str) -> bool:
    with suppress(OSError, ValueError):
        return Path(one).samefile(other)
    return one == other


def _check_lengths(video: str, audio_tracks: Sequence[Dub], lengths_s: Sequence[float]) -> None:
    video_s, *audio_lengths_s = lengths_s
    for dub, audio_s in zip(audio_tracks, audio_lengths_s, strict=True):
        if _is_same(dub.source, video):  # it has the length that its maker wanted
            continue
        if abs(audio_s - video_s) > TOLERANCE_S + padding_s(dub.source):
            raise LengthsDifferError(
                f"The audio of {dub.source} lasts {audio_s:.3f} s, and the frames of {video} "
                f"{video_s:.3f} s",
                remedy=f"Cut or fill the audio to {video_s:.3f} s, or render a video for it.",
            )
