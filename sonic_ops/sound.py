"""The sound of a media file, as PyAV decodes it: blocks of samples, never the whole track.

Shape letters: C channels, S samples.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from sonic_ops.errors import AudioUnreadableError
from sonic_ops.files import open_address

MAX_DAMAGED_SHARE = 0.1
_GUESSED_DURATIONS = frozenset({"mp3", "aac", "amr"})  # from the bit rate and the size
_MAX_PLANES = 8  # from here on PyAV reads past the last plane
_OPTIONS = {"protocol_whitelist": "file,pipe"}  # a playlist may not reach for other machines


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of a file says about its first audio stream."""

    duration_s: float
    num_channels: int
    sample_rate_hz: int
    codec: str


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """Some samples of every channel, C S in [-1, 1]."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    layout: str  # of the channels, as FFmpeg calls it


@contextmanager
def open_sound(source: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open the first audio stream of any container.

    Raises MissingFileError if there is no file, AudioUnreadableError if there is no sound in it.
    """
    with open_address(source) as file:
        if not file.read(1):
            raise unreadable(source, "it is empty")
        file.seek(0)
        try:
            with av.open(file, options=_OPTIONS, metadata_errors="replace") as container:
                if not container.streams.audio:
                    raise unreadable(source, "it has no audio stream")
                if container.streams.audio[0].codec_context is None:
                    raise unreadable(source, "its codec is unknown")
                yield container, container.streams.audio[0]
        except (av.error.FFmpegError, OSError) as error:
            raise unreadable(source, error.strerror or type(error).__name__) from error


def probe_audio(source: str) -> AudioInfo:
    """Duration and format of the sound of `source`. Raises as `open_sound`."""
    with open_sound(source) as (container, stream):
        if not stream.rate:
            raise unreadable(source, "it has no sample rate")
        return AudioInfo(
            duration_s=_duration_s(container, stream),
            num_channels=stream.channels,
            sample_rate_hz=stream.rate,
            codec=stream.codec_context.name,
        )


def read_sound(
    source: str, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[SoundBlock]:
    """Decode the seconds `[start_s, end_s)` of a track block by block, all at one sample rate.

    Damaged packets are left out, as players do. Raises as `open_sound`, and AudioUnreadableError
    if more than a tenth is damaged or missing, or the sample rate changes on the way.
    """
    with open_sound(source) as (container, stream):
        position, rate = 0, 0
        for frame in _decode(source, container, stream):
            if rate not in (0, frame.sample_rate):
                raise unreadable(source, "its sample rate changes on the way")
            rate = frame.sample_rate
            start = max(round(start_s * rate) - position, 0)
            stop = frame.samples if end_s is None else round(end_s * rate) - position
            position += frame.samples
            if stop <= 0:
                return
            if start < min(stop, frame.samples):
                yield SoundBlock(_samples(frame)[:, start:stop], rate, frame.layout.name)


def first_sound_s(source: str) -> float:
    """When the sound of a file starts. Raises as `open_sound`."""
    with open_sound(source) as (container, stream):
        frame = next(_decode(source, container, stream), None)
        return float(frame.time or 0.0) if frame is not None else 0.0


def frame_of(block: SoundBlock, position: int) -> AudioFrame:
    """A block as a frame of FFmpeg that starts at sample `position`."""
    # Interleaved: with eight planes PyAV counts one too many.
    mixed_1S = np.ascontiguousarray(block.samples.T, np.float32).reshape(1, -1)
    frame = AudioFrame.from_ndarray(mixed_1S, format="flt", layout=block.layout)
    frame.sample_rate, frame.pts = block.sample_rate_hz, position
    frame.time_base = Fraction(1, block.sample_rate_hz)
    return frame


def can_be_copied(source: str, codecs: Collection[str], *, max_block_s: Fraction) -> bool:
    """Whether the sound is of one of the codecs and starts at 0, without gaps or damage.

    Decoded sound ends with a whole block, the file says where in that block it ends. Long blocks
    (low sample rates, HE-AAC) do not fit, so that both lengths are nearly one. AAC says only in an
    MP4 where it starts. Raises as `open_sound`.
    """
    with open_sound(source) as (container, stream):
        codec = stream.codec_context.name
        if codec not in codecs or (codec == "aac" and "mp4" not in container.format.name):
            return False
        if Fraction(stream.codec_context.frame_size, stream.rate or 1) >= max_block_s:
            return False
        try:
            starts_at_0 = stream.start_time in (None, 0)
            return starts_at_0 and _is_gapless(container, stream)
        except av.error.InvalidDataError:
            return False


def _is_gapless(container: InputContainer, stream: AudioStream) -> bool:
    expected: int | None = None
    for packet in container.demux(stream):
        packet.decode()
        if packet.pts is not None:
            if expected not in (None, packet.pts):
                return False
            expected = packet.pts + (packet.duration or 0)
    return True


def unreadable(source: str, reason: str) -> AudioUnreadableError:
    """The error of a file whose sound cannot be used."""
    return AudioUnreadableError(
        f"The audio of {source} cannot be read: {reason}",
        remedy="Give an audio file, or a video with sound, that a media player can play.",
    )


def _decode(source: str, container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    num_packets = num_damaged = 0
    decoded_s = 0.0
    for packet in container.demux(stream):
        num_packets += 1
        try:
            for frame in packet.decode():
                decoded_s += frame.samples / frame.sample_rate
                yield frame
        except av.error.InvalidDataError:
            num_damaged += 1
    if num_damaged > MAX_DAMAGED_SHARE * num_packets:
        raise unreadable(source, f"{num_damaged} of its {num_packets} packets are damaged")
    declared_s = _declared_s(container, stream)
    if decoded_s < (1 - MAX_DAMAGED_SHARE) * declared_s:
        raise unreadable(source, f"it breaks off after {decoded_s:.1f} of {declared_s:.1f} s")


def _samples(frame: AudioFrame) -> NDArray[np.float32]:
    """Float samples C S; integers become fractions of full scale, s16 is value / 32768."""
    if frame.format.is_planar and frame.layout.nb_channels >= _MAX_PLANES:
        frame = AudioResampler(format=frame.format.packed).resample(frame)[0]
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "f":
        return samples.astype(np.float32)
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    centre = full_scale if samples.dtype.kind == "u" else 0.0
    return ((samples - centre) / full_scale).astype(np.float32)


def _duration_s(container: InputContainer, stream: AudioStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return float(container.duration / av.time_base)
    ends_s = (
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux(stream)
        if packet.pts is not None
    )
    return max(ends_s, default=0.0)


def _declared_s(container: InputContainer, stream: AudioStream) -> float:
    """The duration that a file states for its sound; 0 where it states none or it is a guess."""
    if container.format.name in _GUESSED_DURATIONS:
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1
    return float((container.duration or 0) / av.time_base) if alone else 0.0
