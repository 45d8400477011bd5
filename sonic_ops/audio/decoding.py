"""From the packets of a recording to blocks of samples, past whatever cannot be decoded.

Shape letters: C channels, S samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from sonic_ops.core.containers import AnyPacket, CutOffError, frames_of, packets_of

LOUDEST = 100.0  # of full scale; what is beyond it is damage
_MAX_PLANES = 8  # from here on PyAV reads past the last plane


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Some samples of every channel, C S in [-1, 1]; louder ones up to `LOUDEST` if they are so."""

    samples: NDArray[np.float32]
    sample_rate_hz: int
    layout: str  # of the channels, as FFmpeg calls it
    is_missing: bool = False  # silence in the place of what is damaged
    num_wrong: int = 0  # of the block as it was decoded: no number, or beyond `LOUDEST`
    note: str = ""  # what the user should know of this place

    @property
    def length_s(self) -> float:
        """Return the seconds of audio."""
        return float(self.samples.shape[1] / self.sample_rate_hz)

    def silence(self, num_samples: int, *, is_missing: bool) -> "AudioBlock":
        """Silence of the form of this block."""
        silent_CS = np.zeros((len(self.samples), num_samples), np.float32)
        return AudioBlock(silent_CS, self.sample_rate_hz, self.layout, is_missing)


@dataclass(slots=True)
class Tally:
    """Counts of the packets of a stream, and when the last of them ends."""

    num_packets: int = 0
    num_damaged: int = 0
    start_s: float | None = None
    first_byte: int = 0
    end_s: float = 0.0
    file_end_s: float = 0.0  # of all streams
    is_cut_off: bool = False  # whether the rest of the file cannot be read

    def add(self, packet: AnyPacket, *, is_other: bool) -> None:
        """Count a packet of the stream, or look at one of another."""
        if packet.pts is None or packet.is_discard:
            return
        start_s = float(packet.pts * packet.time_base)
        end_s = start_s + float((packet.duration or 0) * packet.time_base)
        self.file_end_s = max(self.file_end_s, end_s)
        if not is_other:
            self.num_packets += 1
            if self.start_s is None:
                self.start_s, self.first_byte = start_s, packet.pos or 0
            self.end_s = end_s


def decoded_frames(
    container: InputContainer, stream: AudioStream, tally: Tally
) -> Iterator[AudioFrame | None]:
    """Decode a stream; None stands for what cannot be."""
    try:
        for packet in packets_of(container):
            is_other = packet is not None and packet.stream.index != stream.index
            if packet is not None:
                tally.add(packet, is_other=is_other)
            frames = [] if is_other else frames_of(packet)
            if frames is None:
                tally.num_damaged += 1
                yield None
            for frame in frames or []:
                assert isinstance(frame, AudioFrame)
                yield frame
    except CutOffError:
        tally.is_cut_off = True


def in_one_form(
    blocks: Iterable[AudioBlock], rate_hz: int, form: AudioBlock | None = None
) -> Iterator[AudioBlock]:
    """Bring what has another rate or other channels into a form; if unset, that of the first block.

    `rate_hz` is what the header says: where it is higher, as with HE-AAC whose upper band begins
    later, it is the rate.
    """
    converter: _Converter | None = None
    try:
        for block in blocks:
            form = form or _form(block, rate_hz)
            if converter is not None and converter.source != (
                block.sample_rate_hz,
                len(block.samples),
            ):
                yield from converter.close()
                yield replace(form, note=_change(converter.source, block))
                converter = None
            converter = converter or _Converter(block, form)
            yield converter.add(block)
        if converter is not None:
            yield from converter.close()
    finally:
        converter = None  # an error that is kept would keep its resampler


def _form(block: AudioBlock, rate_hz: int) -> AudioBlock:
    rate = max(block.sample_rate_hz, rate_hz)
    return AudioBlock(np.zeros((len(block.samples), 0), np.float32), rate, block.layout)


def _change(old: tuple[int, int], block: AudioBlock) -> str:
    new = (block.sample_rate_hz, len(block.samples))
    whats = (("sample rate", " Hz"), ("number of channels", ""))
    changes = [
        f"its {what} changes from {before}{unit} to {after}{unit}"
        for (what, unit), before, after in zip(whats, old, new, strict=True)
        if before != after
    ]
    return " and ".join(changes)


class _Converter:
    """Brings blocks that share a sample rate and number of channels into one form."""

    def __init__(self, block: AudioBlock, form: AudioBlock) -> None:
        self.source = (block.sample_rate_hz, len(block.samples))
        self._form = form
        self._resampler: soxr.ResampleStream | None = None
        if block.sample_rate_hz != form.sample_rate_hz:
            rates = (block.sample_rate_hz, form.sample_rate_hz)
            self._resampler = soxr.ResampleStream(*rates, len(form.samples), dtype="float32")

    def add(self, block: AudioBlock) -> AudioBlock:
        """Convert a block; some of it may come with the next one."""
        samples_CS, num_channels = block.samples, len(self._form.samples)
        if len(samples_CS) != num_channels:
            mean_1S = samples_CS.mean(axis=0, keepdims=True, dtype=np.float32)
            samples_CS = np.repeat(mean_1S, num_channels, axis=0)
        return self._resampled(samples_CS, block)

    def close(self) -> Iterator[AudioBlock]:
        """Give what is still held back."""
        if self._resampler is not None:
            yield self._resampled(self._form.samples, self._form, is_last=True)
            self._resampler = None

    def _resampled(
        self, samples_CS: NDArray[np.float32], block: AudioBlock, *, is_last: bool = False
    ) -> AudioBlock:
        if self._resampler is not None:
            chunk_SC = np.ascontiguousarray(samples_CS.T)
            samples_CS = self._resampler.resample_chunk(chunk_SC, last=is_last).T
        rate, layout = self._form.sample_rate_hz, self._form.layout
        return replace(block, samples=samples_CS, sample_rate_hz=rate, layout=layout)


def frame_of(block: AudioBlock, position: int) -> AudioFrame:
    """Convert a block to an FFmpeg frame that starts at sample `position`."""
    # Interleaved: with eight planes PyAV counts one too many.
    mixed_1S = np.ascontiguousarray(block.samples.T, np.float32).reshape(1, -1)
    frame = AudioFrame.from_ndarray(mixed_1S, format="flt", layout=block.layout)
    frame.sample_rate, frame.pts = block.sample_rate_hz, position
    frame.time_base = Fraction(1, block.sample_rate_hz)
    return frame


def block_of(frame: AudioFrame) -> AudioBlock:
    """Silence NaNs and clip what is too loud: one such sample would spoil everything."""
    samples_CS, num_wrong = _samples(frame), 0
    if not np.abs(samples_CS).max(initial=0) <= LOUDEST:  # which NaN is not either
        num_wrong = int(np.count_nonzero(~(np.abs(samples_CS) <= LOUDEST)))
        numbers_CS = np.nan_to_num(samples_CS, nan=0, posinf=0, neginf=0)
        samples_CS = np.clip(numbers_CS, -LOUDEST, LOUDEST)
    audio_CS = samples_CS.astype(np.float32)
    return AudioBlock(audio_CS, frame.sample_rate, frame.layout.name, num_wrong=num_wrong)


def _samples(frame: AudioFrame) -> NDArray[np.floating[Any]]:
    """Return samples C S as fractions of full scale; s16 is value / 32768."""
    if frame.format.is_planar and frame.layout.nb_channels >= _MAX_PLANES:
        frame = AudioResampler(format=frame.format.packed).resample(frame)[0]
    if frame.format.packed.name == "s64":  # which PyAV has no array for
        frame = AudioResampler(format="dbl").resample(frame)[0]
    samples: NDArray[Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype.kind == "f":
        return samples
    full_scale = 2.0 ** (8 * samples.dtype.itemsize - 1)
    centre = full_scale if samples.dtype.kind == "u" else 0.0
    return (samples - centre) / full_scale
