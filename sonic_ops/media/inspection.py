"""What a finished video file holds, and whether it is what was planned."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from sonic_ops.core.constants import OUTPUT_FPS
from sonic_ops.core.containers import open_own_container
from sonic_ops.core.errors import VerifyError
from sonic_ops.core.formats import Format, VideoCodec, format_of
from sonic_ops.media.encoding import ENCODERS

TOLERANCE_S = Fraction(1, 25)
_EMPTY_TEXT_BYTES = 2  # a subtitle of MP4 that shows nothing
_RATE_ROUNDING = 1e-6
_BT709 = 1  # primaries, transfer and matrix have the same number in ITU-T H.273
_AUDIO_CODEC_OF = {"libopus": "opus"}  # codecs by the names of their encoders, where these differ


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Streams of a video file; frames are counted, not believed."""

    width: int
    height: int
    num_frames: int
    fps: Fraction
    duration_s: float
    audio_duration_s: float  # 0 without audio
    video_codec: str
    audio_codec: str  # empty without audio
    pix_fmt: str
    is_constant_rate: bool
    is_bt709: bool
    num_channels: int = 0
    sample_rate_hz: int = 0
    language: str = ""
    num_subtitles: int = 0
    audio_offset_s: float | None = None  # measured where the original is at hand
    provenance: str = ""  # what the file says of its making, where it was asked
    notes: tuple[str, ...] = ()  # about what it shows, where that was looked at


def probe_video(path: Path, fps: Fraction = OUTPUT_FPS) -> VideoInfo:
    """Read the headers and the packets of a video that should have `fps` frames per second.

    Raises VerifyError if there are no frames.
    """
    try:
        with open_own_container(path) as container:
            return _info(path, container, fps)
    except (av.error.FFmpegError, OSError) as error:
        raise wrong(path, f"cannot be read: {error.strerror or error}") from error


def track_lengths_s(path: Path) -> tuple[float, ...]:
    """Return seconds of the frames and of every audio track of a video."""
    with open_own_container(path) as container:
        tracks = [container.streams.video[0], *container.streams.audio]
        times = _times(container)
        return tuple(_duration_s(track, times) for track in tracks)


def verify_video(
    path: Path,
    *,
    num_output_frames: int,
    duration_s: float,
    codec: VideoCodec | None = None,
    fps: Fraction = OUTPUT_FPS,
) -> VideoInfo:
    """Check a finished file against its plan; the format is the one that its name says.

    `codec` is the wished one. Raises VerifyError that names all that is wrong.
    """
    form = format_of(path.name)
    info = probe_video(path, fps)
    differences = _differences(info, form, form.codec(codec), num_output_frames, duration_s, fps)
    if differences:
        raise wrong(path, "is not what was planned: " + ", ".join(differences))
    return info


def verify_film(path: Path, times_s: Sequence[Fraction]) -> VideoInfo:
    """Check that the frames of a file are shown when those of its film are. Raises VerifyError.

    A container may round times to half of its smallest step.
    """
    info = probe_video(path)
    with open_own_container(path) as container:
        stream = container.streams.video[0]
        found = sorted(start for start, _ in _times(container)[stream.index])
        allowed_s = (stream.time_base or Fraction(0)) / 2
    if len(found) != len(times_s):
        raise wrong(path, f"has {len(found)} frames, and the film {len(times_s)}")
    furthest_s = max(abs(a - b) for a, b in zip(found, times_s, strict=True))
    if furthest_s > allowed_s:
        raise wrong(path, f"shows a frame {float(1000 * furthest_s):.2f} ms off the film's time")
    return info


def wrong(path: Path, what: str) -> VerifyError:
    """Make the error of a finished file that is not as planned."""
    return VerifyError(
        f"The video {path.name} {what}",
        remedy="Render the row again; if the error persists, report it.",
    )


def _differences(
    info: VideoInfo,
    form: Format,
    codec: VideoCodec,
    num_output_frames: int,
    duration_s: float,
    fps: Fraction,
) -> list[str]:
    planned_audio = _AUDIO_CODEC_OF.get(form.audio, form.audio)
    copied = info.audio_codec in form.copied
    found = [
        f"{what} is {found} and not {planned}"
        for what, found, planned in (
            ("the video codec", info.video_codec, codec),
            ("the pixel format", info.pix_fmt, ENCODERS[codec].pixel_format),
            ("the number of frames", info.num_frames, num_output_frames),
            ("the frame rate", info.fps, fps),
        )
        if found != planned
    ]
    if not copied and info.audio_codec != planned_audio:
        found.append(f"the audio codec is {info.audio_codec or 'missing'} and not {planned_audio}")
    for what, found_s in (("video", info.duration_s), ("audio", info.audio_duration_s)):
        if abs(found_s - duration_s) > TOLERANCE_S:
            found.append(f"the {what} lasts {found_s:.3f} s and not {duration_s:.3f} s")
    if not info.is_constant_rate:
        found.append("its frames are not evenly spaced")
    if not info.is_bt709:
        found.append("its colours are not tagged as bt709")
    return found


def _info(path: Path, container: InputContainer, fps: Fraction) -> VideoInfo:
    if not container.streams.video:
        raise wrong(path, "has no frames")
    stream = container.streams.video[0]
    audio = container.streams.audio[0] if container.streams.audio else None
    context = stream.codec_context
    tags = {context.color_primaries, context.color_trc, context.colorspace}
    times = _times(container)
    shown = sorted(start for start, _ in times[stream.index])
    return VideoInfo(
        width=context.width,
        height=context.height,
        num_frames=len(shown),
        fps=_rate(stream, fps),
        duration_s=_duration_s(stream, times),
        audio_duration_s=0.0 if audio is None else _duration_s(audio, times),
        video_codec=context.codec.canonical_name,
        audio_codec="" if audio is None else audio.codec_context.codec.canonical_name,
        pix_fmt=context.pix_fmt or "",
        is_constant_rate=_is_constant(shown, fps, stream),
        is_bt709=tags == {_BT709},
        num_channels=0 if audio is None else audio.channels,
        sample_rate_hz=0 if audio is None else audio.rate or 0,
        language="" if audio is None else audio.metadata.get("language", ""),
        num_subtitles=sum(len(times[s.index]) for s in container.streams.subtitles),
    )


def _rate(stream: VideoStream, expected: Fraction) -> Fraction:
    """Return frames per second; Matroska keeps the time of a frame in whole nanoseconds."""
    found = stream.average_rate or Fraction(0)
    return expected if abs(found - expected) < _RATE_ROUNDING * expected else found


def _is_constant(shown: Sequence[Fraction], fps: Fraction, stream: VideoStream) -> bool:
    """Tell whether frame n is shown at n / `fps` s, to the millisecond that Matroska counts in."""
    assert stream.time_base is not None, "every stream that is read has one"
    is_exact = (1 / fps) % stream.time_base == 0
    allowed_s = 0 if is_exact else stream.time_base / 2
    return all(abs(start - n / fps) <= allowed_s for n, start in enumerate(shown))


def _times(container: InputContainer) -> dict[int, list[tuple[Fraction, Fraction]]]:
    """Return when each packet that is whole starts and how long it lasts, in seconds, by stream."""
    times: dict[int, list[tuple[Fraction, Fraction]]] = defaultdict(list)
    for packet in container.demux():
        if packet.pts is None or packet.is_corrupt or packet.size <= _EMPTY_TEXT_BYTES:
            continue  # the end of a stream, damage, or the gap between two subtitles of MP4
        start, length = packet.pts * packet.time_base, (packet.duration or 0) * packet.time_base
        if isinstance(packet.stream, VideoStream) and packet.stream.average_rate:
            length = 1 / packet.stream.average_rate  # Matroska leaves it out
        times[packet.stream.index].append((start, length))
    return times


def _duration_s(
    stream: av.stream.Stream, times: dict[int, list[tuple[Fraction, Fraction]]]
) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    ends = [start + length for start, length in times[stream.index]]
    return float(max(ends, default=Fraction(0)))
