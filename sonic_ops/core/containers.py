"""Open audio and film files: the one door, which words every fault of FFmpeg itself.

FFmpeg reads playlists too, which make it open other files and URLs: here it may not. A file of
the user is handed to it open, and it gets no protocol to open another with.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

AnyPacket: TypeAlias = "Packet[Any]"

MIN_OFFSET_S = 0.04  # smaller differences are how files round their times
_MAX_FAULTS = 3  # in a row, without a packet between them
# What FFmpeg raises does not tell what is wrong: EPERM and "patches welcome" mean damage too.
FAULTS = (av.error.FFmpegError, NotImplementedError)
_OPENERS = (
    "avisynth,concat,dash,dvd,dvdvideo,gdigrab,hls,image2,imf,lavfi,mlv,rtp,rtsp,sap,sdp,tee,"
    "vapoursynth,vobsub,webm_dash_manifest,whip"
)
"""Formats of FFmpeg that open other files, patterns of names, URLs or devices."""
_PAINTERS = "adf,bin,idf,tty,xbin"
"""Formats of FFmpeg that make an image of any text."""
_FORMATS = ",".join(sorted(av.formats_available.difference(f"{_OPENERS},{_PAINTERS}".split(","))))
_STILLS = ("_pipe", "image2", "gif", "apng", "ico", "tty")
_SNIFFED_BYTES = 1 << 14
_PLAYLIST = "it is a playlist, which names other files"
_NOT_MEDIA = (
    (b"<!doctype html", "it is a web page, perhaps one that asks for a password"),
    (b"<html", "it is a web page, perhaps one that asks for a password"),
    (b"%pdf", "it is a PDF document"),
    (b"pk\x03\x04", "it is a ZIP archive or an Office document"),
    (b"#extm3u", _PLAYLIST),
    (b"ffconcat version", _PLAYLIST),
    (b"mthd", "it is MIDI, which holds notes and no audio"),
)
_LACKS_DECODER = (
    av.error.DecoderNotFoundError,
    av.error.DemuxerNotFoundError,
    av.error.PatchWelcomeError,
    NotImplementedError,
)


class CutOffError(Exception):
    """The rest of a file cannot be read."""


class MediaError(Exception):
    """Why a media file cannot be used, as the end of a sentence."""


@contextmanager
def open_container(file: IO[bytes] | str) -> Iterator[InputContainer]:
    """Open any container that FFmpeg reads. Raises MediaError."""
    with translated(file):
        container = _opened(file)
    with container:
        yield container


@contextmanager
def translated(file: IO[bytes] | str) -> Iterator[None]:
    """Raise MediaError for what FFmpeg, or a store, raises while a file is read.

    FFmpeg has no common error for damage, so all of its errors are taken for that.
    """
    try:
        yield
    except (*FAULTS, OSError) as error:
        raise MediaError(reason_of(error, file)) from error


def is_still(container: InputContainer) -> bool:
    """Return whether FFmpeg takes a file for an image or text."""
    return container.format.name.endswith(_STILLS)


def _opened(file: IO[bytes] | str) -> InputContainer:
    """Open a container by its content; the extension helps if that is ambiguous."""
    if isinstance(file, str):
        return open_own_container(file)
    with suppress(*FAULTS):
        container = _open(file, "none")
        if not is_still(container):
            return container
    file.seek(0)
    return _open(_Nameless(file), "none")


def open_own_container(path: str | Path) -> InputContainer:
    """Open a film that this program wrote. Raises FFmpeg's errors, since it knows what it wrote."""
    return _open(str(path), "file")


def _open(file: "IO[bytes] | _Nameless | str", protocols: str) -> InputContainer:
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": protocols}
    container: InputContainer = av.open(file, options=options, metadata_errors="replace")
    return container


class _Nameless:
    """A file whose name does not mislead FFmpeg."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def reason_of(error: Exception, file: IO[bytes] | str = "") -> str:
    """Explain an error of FFmpeg, or of a store that FFmpeg reads from."""
    if isinstance(error, _LACKS_DECODER):
        return "its codec is not supported"
    if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
        return f"it could not be read to its end ({error.strerror or error})"
    return _sniffed(file) or "its format is unknown, or it is damaged"


def packets_of(container: InputContainer) -> "Iterator[AnyPacket | None]":
    """Read all packets of a file to its end; None stands for what cannot be read.

    Raises CutOffError where FFmpeg does not get any further.
    """
    num_faults = 0
    while num_faults < _MAX_FAULTS:
        try:
            for packet in container.demux():
                num_faults = 0
                yield packet
        except IndexError:  # a stream that begins on the way, which PyAV leaves out the next time
            num_faults += 1
        except FAULTS:
            num_faults += 1
            yield None
        else:
            return
    raise CutOffError


def frames_of(packet: "AnyPacket | None") -> "list[Frame] | None":
    """Decode a packet; None if that cannot be done."""
    try:
        return None if packet is None else list(packet.decode())
    except EOFError:  # it was flushed already
        return []
    except FAULTS:
        return None


def audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the audio that players choose: the default track, else the first that decodes."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    flagged = [stream for stream in known if stream.disposition & Disposition.default]
    return next(iter((*flagged, *known, *container.streams.audio)), None)


def film_stream(container: InputContainer) -> VideoStream | None:
    """Return the video that players show: the default track, cover art only as a last resort."""
    known = [stream for stream in container.streams.video if stream.codec_context is not None]
    films = [stream for stream in known if not is_cover(stream)]
    flagged = [stream for stream in films if stream.disposition & Disposition.default]
    return next(iter((*flagged, *films, *known, *container.streams.video)), None)


def is_cover(stream: VideoStream) -> bool:
    """Return whether a stream is an attached image, such as an album cover."""
    return bool(stream.disposition & Disposition.attached_pic)


def start_of(container: InputContainer) -> Fraction:
    """Return when players start a film on the file's clock: with its first track."""
    used = (audio_stream(container), film_stream(container))
    starts = [
        stream.start_time * stream.time_base
        for stream in used
        if stream is not None and stream.start_time is not None and stream.time_base is not None
        if not (isinstance(stream, VideoStream) and is_cover(stream))
    ]
    return max(min(starts, default=Fraction(0)), Fraction(0))  # below 0 are what codecs need first


def film_start(container: InputContainer, stream: VideoStream) -> Fraction:
    """Return when players start, on the file's clock: first frame or earlier audio."""
    first = (stream.start_time or 0) * (stream.time_base or 0)
    start = start_of(container)
    return start if abs(first - start) > MIN_OFFSET_S else Fraction(first)


def _sniffed(file: IO[bytes] | str) -> str:
    """Describe a file that is not media or lacks its index; empty if unknown."""
    with suppress(OSError, ValueError):
        if isinstance(file, str):
            with Path(file).open("rb") as opened:
                return _named(opened)
        return _named(file)
    return ""


def _named(file: IO[bytes]) -> str:
    file.seek(0)
    head = file.read(_SNIFFED_BYTES)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, meaning in _NOT_MEDIA:
        if start.startswith(signature):
            return meaning
    if b"<mpd" in start:
        return _PLAYLIST
    if head[4:8] == b"ftyp" and b"moov" not in head:
        return "its index is missing or damaged, as in an unfinished download or recording"
    return ""
