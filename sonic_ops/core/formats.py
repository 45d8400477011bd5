"""What the ending of an output says: its container, and which codecs go into it."""

from dataclasses import dataclass
from posixpath import splitext
from typing import Literal, get_args

from sonic_ops.core.errors import FieldError

VideoCodec = Literal["h264", "hevc", "prores", "vp9", "av1"]
CODECS: tuple[VideoCodec, ...] = get_args(VideoCodec)
WATCHED_CODECS: tuple[VideoCodec, ...] = ("h264", "hevc", "av1")
"""What players of HLS take."""

_PCM = frozenset({"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"})


@dataclass(frozen=True, slots=True)
class Format:
    """A container, by the names that FFmpeg gives to it and to codecs."""

    muxer: str
    video: tuple[VideoCodec, ...]  # what it can hold, the usual one first; none for an animation
    copied: frozenset[str] = frozenset()  # audio that goes in as it is
    audio: str = ""  # the encoder of all other audio
    subtitles: str = ""
    can_be_signed: bool = False  # whether C2PA has a place in it

    @property
    def is_animation(self) -> bool:
        """Return whether it is an animation, without audio."""
        return not self.video

    def codec(self, wished: VideoCodec | None) -> VideoCodec:
        """Return the requested codec if the container supports it, else its default."""
        if self.is_animation:
            return "h264"  # of the segments, from which an animation is made
        return wished if wished in self.video else self.video[0]


FORMATS = {
    ".mp4": Format("mp4", ("h264", "hevc", "av1"), frozenset({"aac"}), "aac", "mov_text", True),
    ".mov": Format(
        "mov", ("prores", "h264", "hevc"), _PCM | {"aac", "alac"}, "pcm_s24le", "mov_text", True
    ),
    ".mkv": Format("matroska", CODECS, _PCM | {"flac", "opus"}, "flac", "subrip"),
    ".webm": Format("webm", ("vp9", "av1"), frozenset({"opus"}), "libopus", "webvtt"),
    ".gif": Format("gif", (), can_be_signed=True),
    ".webp": Format("webp", (), can_be_signed=True),
}
ENDINGS = tuple(FORMATS)


def format_of(output: str) -> Format:
    """Return the format of an output by its extension. Raises FieldError."""
    ending = splitext(output)[1].lower()
    if ending not in FORMATS:
        raise FieldError(
            f"{output!r} is no video that can be written",
            remedy=f"Let the output end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}.",
            field="output",
        )
    return FORMATS[ending]


def likely_format(output: str) -> Format:
    """Return the format of an output, or MP4 so that other checks can go on."""
    return FORMATS.get(splitext(output)[1].lower(), FORMATS[ENDINGS[0]])
