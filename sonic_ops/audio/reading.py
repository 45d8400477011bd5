"""The sound of a media file, as PyAV decodes it: blocks of samples, never the whole track.

Shape letters: C channels, S samples.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from sonic_ops.core.errors import AudioUnreadableError
from sonic_ops.core.files import LOCAL_ONLY, open_address

LOUDEST = 100.0  # of full scale; what is beyond it is no sound
MAX_DAMAGED_SHARE = 0.1
MIN_GAP_S = 0.04  # less is how files round their times
_UNKNOWN_DURATION_S = 600.0  # for the limit of what may be missing
_GUESSED_DURATIONS = frozenset({"mp3", "aac", "amr"})  # from the bit rate and the size
_MAX_PLANES = 8  # from here on PyAV reads past the last plane


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the header of a file says about its first audio stream."""

    duration_s: float
    num_channels: int
    sample_rate_hz: int
    codec: str


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """Some samples of every channel, C S in [-1, 1]; louder ones up to `LOUDEST` if they are so."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    layout: str  # of the channels, as FFmpeg calls it
    is_missing: bool = False  # silence in the place of what is damaged
    num_wrong: int = 0  # of the block as it was decoded: no number, or beyond `LOUDEST`


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
            with av.open(file, options=LOCAL_ONLY, metadata_errors="replace") as container:
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

    What is damaged or missing is silent, so that all that follows keeps its time; formats without
    times, such as MP3, lose it. Raises as `open_sound`, and AudioUnreadableError if more than a
    tenth is damaged or missing, or the sample rate changes on the way.
    """
    with open_sound(source) as (container, stream):
        position, rate = 0, 0
        for block in _decode(source, container, stream):
            if rate not in (0, block.sample_rate_hz):
                raise unreadable(source, "its sample rate changes on the way")
            rate, num_samples = block.sample_rate_hz, block.samples.shape[1]
            start = max(round(start_s * rate) - position, 0)
            stop = num_samples if end_s is None else round(end_s * rate) - position
            position += num_samples
            if stop <= 0:
                return
            if start < min(stop, num_samples):
                yield replace(block, samples=block.samples[:, start:stop])


def read_sound_near(source: str, start_s: float, length_s: float) -> Iterator[SoundBlock]:
    """Decode `length_s` seconds from about `start_s` on, without what is before them.

    For a first look: where it begins is as exact as the file can be entered, and damage in a format
    without times shows as an empty block. Raises as `read_sound`.
    """
    with open_sound(source) as (container, stream):
        if start_s > 0:
            with suppress(av.error.FFmpegError):  # what cannot be entered is heard from its start
                container.seek(round(start_s * av.time_base))
        heard_s = 0.0
        for block in _decode(source, container, stream, start_s):
            yield block
            heard_s += block.samples.shape[1] / block.sample_rate_hz
            if heard_s >= length_s:
                return


def first_sound_s(source: str) -> float:
    """When the sound of a file starts. Raises as `open_sound`."""
    with open_sound(source) as (container, stream):
        for packet in container.demux(stream):
            with suppress(av.error.InvalidDataError):
                for frame in packet.decode():
                    return float(frame.time or 0.0)
    return 0.0


def frame_of(block: SoundBlock, position: int) -> AudioFrame:
    """A block as a frame of FFmpeg that starts at sample `position`."""
    # Interleaved: with eight planes PyAV counts one too many.
    mixed_1S = np.ascontiguousarray(block.samples.T, np.float32).reshape(1, -1)
    frame = AudioFrame.from_ndarray(mixed_1S, format="flt", layout=block.layout)
    frame.sample_rate, frame.pts = block.sample_rate_hz, position
    frame.time_base = Fraction(1, block.sample_rate_hz)
    return frame


def can_be_copied(source: str, codecs: Collection[str], *, max_block_s: Fraction) -> bool:
    """Whether the sound is of one of the codecs and starts at 0, without gaps and whole.

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
            return starts_at_0 and _is_whole(container, stream)
        except av.error.InvalidDataError:
            return False


def _is_whole(container: InputContainer, stream: AudioStream) -> bool:
    expected: int | None = None
    for packet in container.demux(stream):
        if any(_block(frame).num_wrong for frame in packet.decode()):
            return False
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


def _decode(
    source: str, container: InputContainer, stream: AudioStream, start_s: float = 0.0
) -> Iterator[SoundBlock]:
    """The blocks of a stream that was entered at `start_s`, and silence where some are missing."""
    num_packets = num_damaged = 0
    clock = _Clock(source, start_s, _duration_stated_s(container, stream))
    for packet in container.demux(stream):
        num_packets += 1
        try:
            for frame in packet.decode():
                yield from clock.missing(block := _block(frame), frame.time)
                yield block
        except av.error.InvalidDataError:
            num_damaged += 1
            clock.note_damage()
    if num_damaged > MAX_DAMAGED_SHARE * num_packets:
        where = f", the first at {clock.first_damage_s:.1f} s"
        raise unreadable(source, f"{num_damaged} of its {num_packets} packets are damaged{where}")
    declared_s = _declared_s(container, stream)
    if clock.now_s < (1 - MAX_DAMAGED_SHARE) * declared_s:
        raise unreadable(source, f"it breaks off after {clock.now_s:.1f} of {declared_s:.1f} s")


class _Clock:
    """Tells by the times of the blocks how much is missing before each."""

    def __init__(self, source: str, start_s: float, duration_s: float) -> None:
        self._source = source
        self._limit_s = MAX_DAMAGED_SHARE * (duration_s or _UNKNOWN_DURATION_S)
        self._origin_s: float | None = None
        self._missing_s = 0.0
        self.now_s = start_s
        self._is_damaged = False
        self.first_damage_s: float | None = None

    def note_damage(self) -> None:
        """Something cannot be decoded here."""
        self._is_damaged = True
        self.first_damage_s = self.now_s if self.first_damage_s is None else self.first_damage_s

    def missing(self, block: SoundBlock, time_s: float | None) -> Iterator[SoundBlock]:
        """Silence of the form of a block up to its time; then the clock stands at its end."""
        rate, gap = block.sample_rate_hz, 0
        if time_s is not None:
            origin_s = time_s - self.now_s if self._origin_s is None else self._origin_s
            self._origin_s = origin_s
            gap = round((time_s - origin_s - self.now_s) * rate)
        if gap > MIN_GAP_S * rate:
            self.note_damage()
            self._missing_s += gap / rate
            if self._missing_s > self._limit_s:
                reason = f"{self._missing_s:.1f} s of it are missing, the first"
                raise unreadable(self._source, f"{reason} at {self.first_damage_s:.1f} s")
            for start in range(0, gap, rate):
                silence = np.zeros((len(block.samples), min(rate, gap - start)), np.float32)
                yield replace(block, samples=silence, is_missing=True, num_wrong=0)
            self.now_s += gap / rate
        elif self._is_damaged:
            yield replace(block, samples=block.samples[:, :0], is_missing=True, num_wrong=0)
        self._is_damaged = False
        self.now_s += block.samples.shape[1] / rate


def _block(frame: AudioFrame) -> SoundBlock:
    """What is no number becomes silent, what is too loud is cut: one such sample spoils all."""
    samples_CS, num_wrong = _samples(frame), 0
    if not np.abs(samples_CS).max(initial=0) <= LOUDEST:  # which NaN is not either
        num_wrong = int(np.count_nonzero(~(np.abs(samples_CS) <= LOUDEST)))
        numbers_CS = np.nan_to_num(samples_CS, nan=0, posinf=0, neginf=0)
        samples_CS = np.clip(numbers_CS, -LOUDEST, LOUDEST)
    sound_CS = samples_CS.astype(np.float32)
    return SoundBlock(sound_CS, frame.sample_rate, frame.layout.name, num_wrong=num_wrong)


def _samples(frame: AudioFrame) -> NDArray[np.floating[Any]]:
    """Samples C S as fractions of full scale; s16 is value / 32768."""
    if frame.format.is_planar and frame.layout.nb_channels >= _MAX_PLANES:
        frame = AudioResampler(format=frame.format.packed).resample(frame)[0]
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "f":
        return samples
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    centre = full_scale if samples.dtype.kind == "u" else 0.0
    return (samples - centre) / full_scale


def _duration_s(container: InputContainer, stream: AudioStream) -> float:
    if stated_s := _duration_stated_s(container, stream):
        return stated_s
    ends_s = (
        float((packet.pts + (packet.duration or 0)) * packet.time_base)
        for packet in container.demux(stream)
        if packet.pts is not None
    )
    return max(ends_s, default=0.0)


def _duration_stated_s(container: InputContainer, stream: AudioStream) -> float:
    """What the headers say of the duration; 0 if nothing."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) / av.time_base)


def _declared_s(container: InputContainer, stream: AudioStream) -> float:
    """The duration that a file states for its sound; 0 where it states none or it is a guess."""
    of_all = not stream.duration and len(container.streams) > 1
    guessed = of_all or container.format.name in _GUESSED_DURATIONS
    return 0.0 if guessed else _duration_stated_s(container, stream)
