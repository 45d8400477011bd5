"""Whether a recording ends where its file says: half a download must not be taken for the whole."""

from collections.abc import Iterator

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from sonic_ops.audio.decoding import Tally
from sonic_ops.core.containers import start_of
from sonic_ops.core.errors import AudioUnreadableError
from sonic_ops.core.files import open_url

MAX_DAMAGED_SHARE = 0.1
_MAX_SHORT_S = 0.06  # by which a recording ends before its header says; rounding, not damage
_SAVE_ANEW = "Fetch or export the file again; if this is all of it, save it anew."
_UNSTATED = frozenset({"aac", "amr", "avi"})  # what FFmpeg takes from the size, or with the start
_HEAD_BYTES = 4096
_UNKNOWN_SIZE = 0xFFFFFF00  # from here on the sizes that programs write which do not know them
_RATES_HZ = (44_100, 48_000, 32_000)  # of MPEG 1; MPEG 2 has halves of them, MPEG 2.5 quarters
_ALL_FIELDS = 15  # before what LAME says of the padding of an MP3 file
_OGG_HEAD_BYTES = 1 << 20
_NO_POSITION = (1 << 64) - 1
_OGG_MAX_BYTES = 65_307  # of a page
_OGG_IS_LAST = 4


def end_notes(
    source: str, container: InputContainer, stream: AudioStream, tally: Tally, decoded_s: float
) -> Iterator[str]:
    """Say what is wrong with the end of a recording of which `decoded_s` seconds were there.

    Raises AudioUnreadableError if more than a tenth of what the file states is lacking.
    """
    if container.format.name == "ogg" and tally.first_byte > _first_page(source):
        raise unreadable(source, "its beginning is damaged", _SAVE_ANEW)
    if tally.is_cut_off:
        raise unreadable(source, f"it cannot be decoded after {decoded_s:.1f} s", _SAVE_ANEW)
    found_s, stated_s = decoded_s, _stated_s(source, container, stream)
    if not stated_s and len(container.streams) > 1:  # audio may end early; then the video goes on
        found_s = tally.file_end_s - float(start_of(container))
        stated_s = (container.duration or 0) / av.time_base
    what = f"it breaks off after {found_s:.1f} of {stated_s:.1f} s"
    is_loose = container.format.name == "wav"  # a header that nobody has corrected after recording
    if not is_loose and found_s < (1 - MAX_DAMAGED_SHARE) * stated_s:
        raise unreadable(source, what, _SAVE_ANEW)
    if found_s < stated_s - _MAX_SHORT_S:
        yield what
    elif container.format.name == "ogg" and not _last_page(source)[1]:
        yield "its end is not marked, as in an unfinished download or recording"


def known_duration_s(container: InputContainer, stream: AudioStream) -> float:
    """Return what FFmpeg takes for the duration, stated or guessed; 0 if it has no idea."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float((container.duration or 0) / av.time_base)


def unreadable(source: str, reason: str, remedy: str = "") -> AudioUnreadableError:
    """Make the error of a file whose audio cannot be used."""
    usual = "Give an audio file, or a video with audio, that a media player can play."
    return AudioUnreadableError(
        f"The audio of {source} cannot be read: {reason}", remedy=remedy or usual
    )


def _stated_s(source: str, container: InputContainer, stream: AudioStream) -> float:
    """Return the duration that a file states for its audio, or 0 if it states none."""
    match container.format.name:
        case "mp3":
            return _mp3_duration_s(source)
        case "wav":
            return _wav_duration_s(source)
        case "ogg":
            return _ogg_duration_s(source, stream)
    of_all = not stream.duration and len(container.streams) > 1
    guessed = of_all or container.format.name in _UNSTATED
    return 0.0 if guessed else known_duration_s(container, stream)


def _wav_duration_s(source: str) -> float:
    """Return the duration by the size that a WAV file states for its samples."""
    with open_url(source) as file:
        head = file.read(_HEAD_BYTES)
    place, rate = 12, 0
    while place + 8 <= len(head):
        name, size = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if name == b"fmt ":
            rate = int.from_bytes(head[place + 16 : place + 20], "little")  # bytes per second
        if name == b"data":
            return size / rate if rate and size < _UNKNOWN_SIZE else 0.0
        place += 8 + size + size % 2
    return 0.0


def _ogg_duration_s(source: str, stream: AudioStream) -> float:
    """Return the duration by the number of samples that the last page of an Ogg file counts."""
    position, _ = _last_page(source)
    context = stream.codec_context
    rate, skipped = stream.rate, 0
    if context.name == "opus":  # whose header says how many samples are only for the codec
        rate, skipped = 48_000, int.from_bytes((context.extradata or b"")[10:12], "little")
    if not rate or not 0 < position < 1 << 62 or stream.time_base is None:
        return 0.0
    start_s = float((stream.start_time or 0) * stream.time_base)
    return (position - skipped) / rate - max(start_s, 0)


def _first_page(source: str) -> int:
    """Return the place of the first page of an Ogg file that holds samples."""
    with open_url(source) as file:
        head = file.read(_OGG_HEAD_BYTES)
    place = head.find(b"OggS")
    while place >= 0 and int.from_bytes(head[place + 6 : place + 14], "little") in (
        0,
        _NO_POSITION,
    ):
        place = head.find(b"OggS", place + 1)
    return place if place >= 0 else len(head)


def _last_page(source: str) -> tuple[int, bool]:
    """Return the position of the last page of an Ogg file, and whether it is marked as the end."""
    with open_url(source) as file:
        file.seek(max(file.seek(0, 2) - _OGG_MAX_BYTES, 0))
        page = file.read().rpartition(b"OggS")[2]
    return int.from_bytes(page[2:10], "little"), len(page) > 1 and bool(page[1] & _OGG_IS_LAST)


def _mp3_duration_s(source: str) -> float:
    """Return the duration by the number of frames that the first frame of an MP3 file may state."""
    with open_url(source) as file:
        head = file.read(10)
        if head[:3] == b"ID3":  # tags, whose length is in the last 4 bytes, 7 bits in each
            file.seek(
                10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[:5:-1]))
            )
        else:
            file.seek(0)
        frame = file.read(_HEAD_BYTES)
    place = max(frame.find(b"Xing"), frame.find(b"Info"))
    if frame[:1] != b"\xff" or place < 0 or len(frame) < place + 12 or not frame[place + 7] & 1:
        return 0.0
    version, rate = frame[1] >> 3 & 3, _RATES_HZ[min(frame[2] >> 2 & 3, 2)]
    halvings = {3: 0, 2: 1}.get(version, 2)
    frame_samples = 1152 >> min(halvings, 1)
    num_samples = frame_samples * int.from_bytes(frame[place + 8 : place + 12], "big")
    padding = int.from_bytes(frame[place + 141 : place + 144], "big")  # 12 bits before, 12 after
    has_padding = frame[place + 7] == _ALL_FIELDS and padding > 0
    num_samples -= (padding >> 12) + (padding & 0xFFF) if has_padding else 3 * frame_samples
    return num_samples / (rate >> halvings)
