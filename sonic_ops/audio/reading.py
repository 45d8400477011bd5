"""The audio of a media file as players play it: blocks of samples, never the whole track.

The check before a render and the render read through here, so that both find the same. Headers are
not believed where decoding can tell: the duration, the sample rate and the channels are those of
what decodes. Shape letters: C channels, S samples.
"""

from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer

from sonic_ops.audio.decoding import (
    AudioBlock,
    Tally,
    block_of,
    decoded_frames,
    in_one_form,
)
from sonic_ops.audio.endings import MAX_DAMAGED_SHARE, end_notes, known_duration_s, unreadable
from sonic_ops.core.containers import (
    FAULTS,
    MIN_OFFSET_S,
    MediaError,
    audio_stream,
    film_stream,
    is_cover,
    open_container,
    start_of,
    translated,
)
from sonic_ops.core.files import open_url

_ROUNDING_S = 0.001
_MIN_LOST_S = 0.002  # where something is damaged; elsewhere files round their times
_RESTART_S = 0.5  # times that go back by more have begun anew
_UNKNOWN_DURATION_S = 600.0  # for the limit of what may be missing
_ENDS_IN_PACKET = "mp4"  # the containers that say where in its last packet a recording ends


@contextmanager
def open_audio(source: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open the audio of any container that players would play: the default track, or the first.

    Raises MissingFileError if there is no file, AudioUnreadableError if there is no audio in it.
    """
    with open_url(source) as file:
        if not file.read(1):
            raise unreadable(source, "it is empty")
        file.seek(0)
        try:
            with translated(file), open_container(file) as container:
                stream = audio_stream(container)
                if stream is None:
                    raise unreadable(source, "it has no audio stream")
                if stream.codec_context is None:
                    raise unreadable(source, "its codec is unknown")
                yield container, stream
        except MediaError as error:
            raise unreadable(source, str(error)) from error


def read_audio(
    source: str, start_s: float = 0.0, end_s: float | None = None
) -> Generator[AudioBlock, None, bool]:
    """Decode the seconds `[start_s, end_s)` of a track block by block, all in one form.

    Seconds count from where players start the file: the audio of a film that starts after its
    frames begins with silence. What is damaged or missing is silent, so that all that follows
    keeps its time. Returns whether there is audio after `end_s`. Raises as `open_audio`, and
    AudioUnreadableError if more than a tenth is damaged or missing.
    """
    with open_audio(source) as (container, stream):
        position = 0
        for block in in_one_form(_decode(source, container, stream), stream.rate or 0):
            rate, num_samples = block.sample_rate_hz, block.samples.shape[1]
            start = max(round(start_s * rate) - position, 0)
            stop = num_samples if end_s is None else round(end_s * rate) - position
            position += num_samples
            if start < min(stop, num_samples) or start == num_samples == 0:
                yield replace(block, samples=block.samples[:, start : max(stop, 0)])
            if stop < num_samples - _ROUNDING_S * rate:
                return True
    return False


def duration_s(source: str) -> float:
    """Return the seconds that decode. Raises as `read_audio`."""
    num_samples, rate_hz = 0, 1
    for block in read_audio(source):
        num_samples, rate_hz = num_samples + block.samples.shape[1], block.sample_rate_hz
    return num_samples / rate_hz


def first_audio_s(source: str) -> float:
    """Return by how much the audio of a file starts later than `read_audio` tells.

    Raises as `open_audio`.
    """
    with open_audio(source) as (container, stream):
        for frame in decoded_frames(container, stream, Tally()):
            if frame is not None:
                start_s = float(frame.time or 0.0)
                return 0.0 if _lead_s(container, start_s) else start_s
    return 0.0


def padding_s(source: str) -> float:
    """Return the most seconds that the codec of a recording may add: a block at each end.

    Raises as `open_audio`.
    """
    with open_audio(source) as (_, stream):
        return float(2 * (stream.codec_context.frame_size or 0) / (stream.rate or 1))


def can_be_copied(source: str, codecs: Collection[str], *, max_block_s: Fraction) -> bool:
    """Return whether the audio can be copied: a known codec, from 0, without gaps.

    Long blocks (low sample rates, HE-AAC) do not fit, so that the lengths of what is decoded and of
    what the file says are nearly one. AAC says only in an MP4 where it starts. Raises as
    `open_audio`.
    """
    with open_audio(source) as (container, stream):
        codec = stream.codec_context.name
        if codec not in codecs or (codec == "aac" and "mp4" not in container.format.name):
            return False
        if Fraction(stream.codec_context.frame_size, stream.rate or 1) >= max_block_s:
            return False
        return stream.start_time in (None, 0) and _is_whole(container, stream)


def _is_whole(container: InputContainer, stream: AudioStream) -> bool:
    expected: int | None = None
    forms = set()
    try:
        for packet in container.demux(stream):
            for block in map(block_of, packet.decode()):
                forms.add((block.sample_rate_hz, len(block.samples)))
                if block.num_wrong or len(forms) > 1:
                    return False
            if packet.pts is not None:
                if expected not in (None, packet.pts):
                    return False
                expected = packet.pts + (packet.duration or 0)
    except FAULTS:
        return False
    return True


def _lead_s(container: InputContainer, start_s: float) -> float:
    """Return how much later than its video the audio starts; 0 without video."""
    film = film_stream(container)
    lead_s = 0.0 if film is None or is_cover(film) else start_s - float(start_of(container))
    return lead_s if lead_s > MIN_OFFSET_S else 0.0


def _decode(source: str, container: InputContainer, stream: AudioStream) -> Iterator[AudioBlock]:
    """Yield the blocks of a stream from its start, with silence for missing ones."""
    tally = Tally()
    clock = _Clock(source, container, stream)
    last: AudioBlock | None = None
    for frame in decoded_frames(container, stream, tally):
        if frame is None:
            clock.note_damage()
            continue
        if last is not None:
            yield last
        last = block_of(frame)
        yield from clock.before(last, frame.time, tally)
    if last is not None:
        yield from _end(container, clock, tally, last)
    _check_damage(source, clock, tally)
    if last is not None:
        for note in end_notes(source, container, stream, tally, clock.now_s):
            yield replace(last.silence(0, is_missing=False), note=note)


def _end(
    container: InputContainer, clock: "_Clock", tally: Tally, last: AudioBlock
) -> Iterator[AudioBlock]:
    """Yield the last block, cut where its packet ends, and silence for damage after it."""
    beyond_s = clock.now_s - clock.position_s(tally.end_s)
    beyond = (
        round(beyond_s * last.sample_rate_hz) if _ENDS_IN_PACKET in container.format.name else 0
    )
    is_padding = not clock.is_damaged and 0 < beyond < last.samples.shape[1]
    yield replace(last, samples=last.samples[:, :-beyond]) if is_padding else last
    if is_padding:
        clock.now_s -= beyond_s
    if clock.is_damaged:
        yield from clock.silence(last, max(-beyond_s, 0.0))


def _check_damage(source: str, clock: "_Clock", tally: Tally) -> None:
    if tally.num_damaged > MAX_DAMAGED_SHARE * tally.num_packets:
        where = f", the first at {clock.first_damage_s:.1f} s"
        raise unreadable(
            source, f"{tally.num_damaged} of its {tally.num_packets} packets are damaged{where}"
        )


class _Clock:
    """Tells by the times of the blocks how much is missing before each."""

    def __init__(self, source: str, container: InputContainer, stream: AudioStream) -> None:
        self._source = source
        self._duration_s = known_duration_s(container, stream) or _UNKNOWN_DURATION_S
        self._origin_s: float | None = None
        self._start_s = None if stream.start_time is None else _in_s(stream, stream.start_time)
        self._missing_s = 0.0
        self._container = container
        self.now_s = 0.0
        self.is_damaged = False
        self.first_damage_s: float | None = None

    def note_damage(self) -> None:
        """Something cannot be decoded here."""
        self.is_damaged = True
        self.first_damage_s = self.now_s if self.first_damage_s is None else self.first_damage_s

    def position_s(self, time_s: float) -> float:
        """Convert a time of the file to a position in what is read."""
        return time_s - (self._origin_s or 0.0)

    def before(self, block: AudioBlock, time_s: float | None, tally: Tally) -> Iterator[AudioBlock]:
        """Silence of the form of a block up to its time; then the clock stands at its end."""
        if self._origin_s is None:
            known = (s for s in (self._start_s, tally.start_s, time_s) if s is not None)
            start_s = next(known, 0.0) if self.is_damaged else time_s or 0.0
            self.now_s = _lead_s(self._container, start_s)
            yield from _silence(block, self.now_s, is_missing=False)
            self._origin_s = start_s - self.now_s
        late_s = 0.0 if time_s is None else self.position_s(time_s) - self.now_s
        if late_s < -_RESTART_S or late_s > max(self._duration_s, _RESTART_S):
            self._origin_s += late_s  # another file was joined to the first, or the time is damaged
            self.is_damaged, late_s = self.is_damaged or late_s > 0, 0.0
        if late_s > MIN_OFFSET_S or self.is_damaged:
            yield from self.silence(block, late_s if late_s > _MIN_LOST_S else 0.0)
        self.now_s += block.length_s

    def silence(self, block: AudioBlock, length_s: float) -> Iterator[AudioBlock]:
        """Silence for what is missing; an empty block marks damage that takes no time."""
        self.note_damage()
        self._missing_s += length_s
        if self._missing_s > MAX_DAMAGED_SHARE * self._duration_s:
            reason = f"{self._missing_s:.1f} s of it are missing, the first"
            raise unreadable(self._source, f"{reason} at {self.first_damage_s:.1f} s")
        yield from _silence(block, length_s, is_missing=True)
        self.now_s += round(length_s * block.sample_rate_hz) / block.sample_rate_hz
        self.is_damaged = False


def _silence(block: AudioBlock, length_s: float, *, is_missing: bool) -> Iterator[AudioBlock]:
    rate = block.sample_rate_hz
    num_samples = round(length_s * rate)
    if is_missing and not num_samples:
        yield block.silence(0, is_missing=True)
    for start in range(0, num_samples, rate):
        yield block.silence(min(rate, num_samples - start), is_missing=is_missing)


def _in_s(stream: AudioStream, time: int) -> float:
    return float(time * stream.time_base) if stream.time_base else 0.0
