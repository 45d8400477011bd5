"""What a finished video file holds, and whether it is what was planned."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from sonic_ops.constants import OUTPUT_FPS
from sonic_ops.errors import VerifyError

PIXEL_FORMAT = "yuv420p"
TOLERANCE_S = Fraction(1, OUTPUT_FPS)
_BT709 = 1  # primaries, transfer and matrix have the same number in ITU-T H.273


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Streams of a video file; frames are counted, not believed."""

    width: int
    height: int
    num_frames: int
    fps: Fraction
    duration_s: float
    audio_duration_s: float  # 0 without sound
    video_codec: str
    audio_codec: str  # empty without sound
    pix_fmt: str
    is_constant_rate: bool
    is_bt709: bool


def probe_video(path: Path) -> VideoInfo:
    """Read the headers and the packets of a video. Raises VerifyError if there is no picture."""
    try:
        with av.open(str(path)) as container:
            return _info(path, container)
    except (av.error.FFmpegError, OSError) as error:
        raise _wrong(path, f"cannot be read: {error.strerror or error}") from error


def verify_video(path: Path, *, num_output_frames: int, duration_s: float) -> VideoInfo:
    """Check a finished file against its plan. Raises VerifyError that names all that is wrong."""
    info = probe_video(path)
    wrong = [
        f"{what} is {found} and not {planned}"
        for what, found, planned in (
            ("the video codec", info.video_codec, "h264"),
            ("the audio codec", info.audio_codec or "missing", "aac"),
            ("the pixel format", info.pix_fmt, PIXEL_FORMAT),
            ("the number of frames", info.num_frames, num_output_frames),
            ("the frame rate", info.fps, OUTPUT_FPS),
        )
        if found != planned
    ]
    for what, found_s in (("video", info.duration_s), ("audio", info.audio_duration_s)):
        if abs(found_s - duration_s) > TOLERANCE_S:
            wrong.append(f"the {what} lasts {found_s:.3f} s and not {duration_s:.3f} s")
    if not info.is_constant_rate:
        wrong.append("its frames are not evenly spaced")
    if not info.is_bt709:
        wrong.append("its colours are not tagged as bt709")
    if wrong:
        raise _wrong(path, "is not what was planned: " + ", ".join(wrong))
    return info


def _info(path: Path, container: InputContainer) -> VideoInfo:
    if not container.streams.video:
        raise _wrong(path, "has no picture")
    stream = container.streams.video[0]
    sound = container.streams.audio[0] if container.streams.audio else None
    context = stream.codec_context
    tags = {context.color_primaries, context.color_trc, context.colorspace}
    shown = _shown_frames(container, stream)
    return VideoInfo(
        width=context.width,
        height=context.height,
        num_frames=len(shown),
        fps=stream.average_rate or Fraction(0),
        duration_s=_duration_s(stream),
        audio_duration_s=0.0 if sound is None else _duration_s(sound),
        video_codec=context.name,
        audio_codec="" if sound is None else sound.codec_context.name,
        pix_fmt=context.pix_fmt or "",
        is_constant_rate=shown == [Fraction(n, OUTPUT_FPS) for n in range(len(shown))],
        is_bt709=tags == {_BT709},
    )


def _shown_frames(container: InputContainer, stream: VideoStream) -> list[Fraction]:
    """When each frame that is whole is shown, in seconds, rising."""
    return sorted(
        packet.pts * packet.time_base
        for packet in container.demux(stream)
        if packet.pts is not None and not packet.is_corrupt  # None at the end of the file
    )


def _duration_s(stream: av.stream.Stream) -> float:
    if stream.duration is None or stream.time_base is None:
        return 0.0
    return float(stream.duration * stream.time_base)


def _wrong(path: Path, what: str) -> VerifyError:
    return VerifyError(
        f"The video {path.name} {what}", remedy="Render the row again; if it stays, report it."
    )
