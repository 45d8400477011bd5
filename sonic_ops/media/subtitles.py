"""Subtitles: read from SRT or WebVTT, cut to what is rendered, a track and a file of their own."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import PurePath
from typing import Any, TypeAlias

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from sonic_ops.core.errors import SubtitlesUnreadableError
from sonic_ops.core.files import open_address

AnyPacket: TypeAlias = "Packet[Any]"

MAX_BYTES = 16 << 20
_CLOCK = r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}(?:\s.*)?")
_SKIPPED = ("NOTE", "STYLE", "REGION", "WEBVTT")  # blocks of WebVTT that show nothing
_MARKUP = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
_MS = Fraction(1, 1000)
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is shown for the milliseconds `[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int
    text: str


def read_subtitles(source: str) -> tuple[Cue, ...]:
    """The cues of an SRT or WebVTT file by their start.

    Raises MissingFileError, or SubtitlesUnreadableError that names the line.
    """
    with open_address(source) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _unreadable(source, "it is larger than 16 MB")
    try:
        text = content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(source, "it is not text in UTF-8") from error
    cues = sorted(_parse(source, text.splitlines()), key=lambda cue: (cue.start_ms, cue.end_ms))
    if not cues:
        raise _unreadable(source, "it has no subtitle")
    return tuple(cues)


def cut(cues: Iterable[Cue], start_s: float, end_s: float) -> tuple[Cue, ...]:
    """What is shown in the seconds `[start_s, end_s)`, counted from `start_s`."""
    start_ms, stop_ms = round(start_s * 1000), round(end_s * 1000)
    inside = (cue for cue in cues if cue.start_ms < stop_ms and cue.end_ms > start_ms)
    return tuple(
        replace(
            cue,
            start_ms=max(cue.start_ms, start_ms) - start_ms,
            end_ms=min(cue.end_ms, stop_ms) - start_ms,
        )
        for cue in inside
    )


def side_car(output: str, source: str, language: str | None) -> str:
    """Where the subtitles of a video are written: `lecture.mp4` has `lecture.en.srt`."""
    ending = ".vtt" if source.lower().endswith(".vtt") else ".srt"
    return (
        output.removesuffix(PurePath(output).suffix) + (f".{language}" if language else "") + ending
    )


def in_text(cues: Iterable[Cue], ending: str) -> str:
    """The cues as the content of a `.vtt` or an `.srt` file."""
    if ending == ".vtt":
        blocks = [f"{_clock(c.start_ms, '.')} --> {_clock(c.end_ms, '.')}\n{c.text}" for c in cues]
        return "\n\n".join(["WEBVTT", *blocks]) + "\n"
    return "\n".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{cue.text}\n"
        for number, cue in enumerate(cues, 1)
    )


def add_subtitles(
    output: OutputContainer, codec: str, cues: Sequence[Cue], language: str | None
) -> Iterator[AnyPacket]:
    """Add a stream of subtitles, and give its packets; a cue ends where the next one starts."""
    stream = output.add_mux_stream(codec, time_base=_MS)
    if language:
        stream.metadata["language"] = language
    return _packets(stream, codec, cues)


def _packets(stream: Stream, codec: str, cues: Sequence[Cue]) -> Iterator[AnyPacket]:
    ends = [min(a.end_ms, b.start_ms) for a, b in pairwise(cues)] + [c.end_ms for c in cues[-1:]]
    for cue, end_ms in zip(cues, ends, strict=True):
        if end_ms <= cue.start_ms:
            continue
        text = _MARKUP.sub("", cue.text).encode()
        # The text samples of MP4 start with their length (3GPP TS 26.245).
        packet: AnyPacket = Packet(
            len(text).to_bytes(2, "big") + text if codec == "mov_text" else text
        )
        packet.stream, packet.time_base = stream, _MS
        packet.pts = packet.dts = cue.start_ms
        packet.duration = end_ms - cue.start_ms
        packet.is_keyframe = True
        yield packet


def _parse(source: str, lines: Sequence[str]) -> Iterator[Cue]:
    for first, block in _blocks(lines):
        if block[0].startswith(_SKIPPED):
            continue
        # The time is the first line of a cue, or the second if it has a number or a name.
        at = next((n for n, line in enumerate(block[:2]) if "-->" in line), 0)
        times = _TIMES.fullmatch(block[at])
        if times is None:
            raise _unreadable(source, f"line {first + at} is no time: {block[at][:40]!r}")
        start_ms, end_ms = _milliseconds(times.groups()[:4]), _milliseconds(times.groups()[4:])
        if end_ms <= start_ms:
            raise _unreadable(source, f"line {first + at} ends before it starts")
        if text := "\n".join(block[at + 1 :]).strip():
            yield Cue(start_ms, end_ms, text)


def _blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, with the number of their first line."""
    block: list[str] = []
    for number, line in enumerate([*lines, ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _milliseconds(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, rest = parts
    whole = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0)
    return 1000 * whole + int((rest or "").ljust(3, "0"))


def _clock(time_ms: int, point: str) -> str:
    seconds, rest = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{rest:03}"


def _unreadable(source: str, reason: str) -> SubtitlesUnreadableError:
    return SubtitlesUnreadableError(
        f"The subtitles {source} cannot be read: {reason}",
        remedy="Give an SRT or WebVTT file, saved as UTF-8.",
        field="subtitles",
    )
