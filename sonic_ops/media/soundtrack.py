"""The original audio as a track of the finished file: copied where that is exact, else encoded.

Shape letters: C channels, S samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet

from sonic_ops.audio.decoding import AudioBlock, frame_of
from sonic_ops.audio.endings import unreadable
from sonic_ops.audio.loudness import measure_loudness
from sonic_ops.audio.mixing import Background, read_mix
from sonic_ops.audio.reading import can_be_copied, open_audio
from sonic_ops.core.formats import Format

AnyPacket: TypeAlias = "Packet[Any]"

BITS_PER_CHANNEL = 96_000
MAX_CHANNELS = 8
MAX_COPIED_BLOCK_S = Fraction(1, 25)  # by which the lengths of audio and video may differ
_USUAL_RATE_HZ = 48_000
_AAC_RATES_HZ = frozenset(
    {8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000}
)
_RATES_HZ = {"aac": _AAC_RATES_HZ, "libopus": frozenset({_USUAL_RATE_HZ})}  # the others take any
# The usual places of that many channels, which is all that encoders know.
_LAYOUTS = {
    1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Soundtrack:
    """Seconds `[start_s, end_s)` of a file, what is under them, and how loud they are to be.

    With a background the track lasts `length_s` at least.
    """

    source: str
    start_s: float = 0.0
    end_s: float | None = None
    language: str | None = None
    loudness_lufs: float | None = None  # None: as loud as it is
    background: Background | None = None
    length_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Return whether the track is used as it is."""
        is_all = self.start_s == 0 and self.end_s is None and self.background is None
        return is_all and self.loudness_lufs is None

    def blocks(self) -> Iterator[AudioBlock]:
        """Read the track, before its gain. Raises MissingFileError or AudioUnreadableError."""
        return read_mix(
            self.source,
            self.background,
            start_s=self.start_s,
            end_s=self.end_s,
            length_s=self.length_s,
        )


def add_audio(
    output: OutputContainer, form: Format, track: Soundtrack, language: str | None
) -> Iterator[AnyPacket]:
    """Add a stream for the track, and give its packets.

    Raises MissingFileError or AudioUnreadableError.
    """
    if track.is_whole and can_be_copied(track.source, form.copied, max_block_s=MAX_COPIED_BLOCK_S):
        with open_audio(track.source) as (_, template):
            stream = output.add_stream_from_template(template)
        _tag(stream, language)
        return _copied(track.source, stream)
    gain, blocks = _gain(track), _read(track)
    first = next(blocks, None)
    if first is None:
        raise unreadable(track.source, "no audio comes out of it")
    stream = _add_encoder(output, form.audio, first)
    _tag(stream, language)
    return _encoded(chain([first], blocks), stream, gain)


def _gain(track: Soundtrack) -> float:
    """Return the gain for the wished loudness, or for a mix that would be clipped."""
    if track.loudness_lufs is not None:
        return measure_loudness(_read(track)).gain_to(track.loudness_lufs)
    if track.background is not None:
        return measure_loudness(_read(track)).gain_below_peak
    return 1.0


def _read(track: Soundtrack) -> Iterator[AudioBlock]:
    return (block for block in track.blocks() if block.length_s)  # the others only mark damage


def _tag(stream: AudioStream, language: str | None) -> None:
    if language:
        stream.metadata["language"] = language


def _copied(source: str, stream: AudioStream) -> Iterator[AnyPacket]:
    with open_audio(source) as (container, template):
        for packet in container.demux(template):
            if packet.dts is not None:
                packet.stream = stream
                yield packet


def _add_encoder(output: OutputContainer, encoder: str, block: AudioBlock) -> AudioStream:
    """Add a stream with the channels and sample rate of a block, if supported."""
    num_channels = len(block.samples) if len(block.samples) <= MAX_CHANNELS else 1
    rates = _RATES_HZ.get(encoder, frozenset({block.sample_rate_hz}))
    rate = block.sample_rate_hz if block.sample_rate_hz in rates else _USUAL_RATE_HZ
    stream = output.add_stream(encoder, rate=rate, layout=_LAYOUTS[num_channels])
    assert isinstance(stream, AudioStream)
    if encoder in _RATES_HZ:
        stream.bit_rate = BITS_PER_CHANNEL * num_channels
    else:
        stream.codec_context.format = "s32"  # of which 24 bits are kept, as many as samples have
    return stream


def _encoded(blocks: Iterable[AudioBlock], stream: AudioStream, gain: float) -> Iterator[AnyPacket]:
    position = 0
    for block in blocks:
        yield from stream.encode(frame_of(_fitted(block, stream, gain), position))
        position += block.samples.shape[1]
    yield from stream.encode(None)


def _fitted(block: AudioBlock, stream: AudioStream, gain: float) -> AudioBlock:
    """Apply the gain; mix down channels that cannot be encoded."""
    samples_CS = block.samples * np.float32(gain) if gain != 1 else block.samples
    layout = stream.codec_context.layout
    if layout.nb_channels != len(samples_CS):
        samples_CS = samples_CS.mean(axis=0, keepdims=True)
    return AudioBlock(samples_CS, block.sample_rate_hz, layout.name)
