"""Subtitles: read as players do, cut to what is rendered, a track and a file of their own."""

import html
import re
from collections import deque
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
from sonic_ops.core.files import open_url, path_of
from sonic_ops.core.texts import encoding_of
from sonic_ops.media.timed_text import TimedText, other_texts, timed_texts

AnyPacket: TypeAlias = "Packet[Any]"

MAX_BYTES = 16 << 20
MAX_NOTES = 5
"""Cues that are named one by one if they cannot be shown."""
MAX_CUE_BYTES = 60_000  # a text sample of MP4 has two bytes for its length
MAX_TOGETHER = 8
"""Cues that are shown at the same time, at most: the latest ones."""
_MS = Fraction(1, 1000)
_MARKUP = re.compile(
    r"</?(?:[ibus]|c|v|lang|ruby|rt)(?:\.[^<>\s]*)?>|<(?:v|lang|c)[ .][^<>]*>|</?font(?:\s[^<>]*)?>"
    r"|<(?:\d+:)?\d\d:\d\d\.\d{3}>|\{\\[^{}]*\}",
    re.IGNORECASE,
)
"""Tags of SubRip, WebVTT and ASS; any other `<` is text."""
_ESCAPED = re.compile("[\udc80-\udcff]")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|lrm|rlm|#\d+|#x[0-9a-f]+);", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cue:
    """Text that is shown for the milliseconds `[start_ms, end_ms)`."""

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The cues of a file by their start, and what to tell the user about the others."""

    cues: tuple[Cue, ...]
    notes: tuple[str, ...] = ()


def read_subtitles(source: str, language: str | None = None) -> Subtitles:
    """Read a file of subtitles as players do; `language` tells old encodings apart.

    What cannot be shown becomes a note. Raises MissingFileError or SubtitlesUnreadableError.
    """
    with open_url(source) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _unreadable(source, "it is larger than 16 MB")
    encoding = encoding_of([content], language)
    text = encoding.decode(content).removeprefix("\ufeff")
    is_webvtt = text.startswith("WEBVTT") or path_of(source).lower().endswith(".vtt")
    timed = timed_texts(text, is_webvtt=is_webvtt) or other_texts(text)
    if not timed:
        raise _unreadable(source, "it has no subtitle")
    cues, problems = _sorted_out(timed)
    notes = [f"the subtitles are {encoding.note}"] if encoding.note else []
    notes += [f"subtitles: {problem}" for problem in problems[:MAX_NOTES]]
    if more := len(problems) - MAX_NOTES:
        notes += [f"subtitles: {more} more cannot be shown"] if more > 0 else []
    return Subtitles(tuple(cues), tuple(notes))


def _sorted_out(timed: Sequence[TimedText]) -> tuple[list[Cue], list[str]]:
    """Return the cues that can be shown, and a sentence for each that cannot."""
    cues, problems = [], []
    for one in timed:
        text, lost = one.text, f"{one.place} is not shown"
        if "\ufffd" in text or _ESCAPED.search(text):
            problems.append(f"{one.place} has letters that are damaged")
            text = _ESCAPED.sub("\ufffd", text)
        if one.problem:
            problems.append(f"{lost}: {one.problem}")
        elif one.end_ms <= one.start_ms and text:
            when = "when" if one.end_ms == one.start_ms else "before"
            problems.append(f"{lost}: it ends {when} it starts")
        elif len(text.encode()) > MAX_CUE_BYTES:
            problems.append(f"{lost}: its text is longer than {MAX_CUE_BYTES:,} bytes")
        elif text:
            cues.append(Cue(one.start_ms, one.end_ms, text))
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms)), problems


def cut(cues: Iterable[Cue], start_s: float, end_s: float) -> tuple[Cue, ...]:
    """Cut cues to `[start_s, end_s)`, counted from `start_s`."""
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
    """Return the subtitle file of a video: `lecture.mp4` has `lecture.en.srt`."""
    ending = ".vtt" if path_of(source).lower().endswith(".vtt") else ".srt"
    return (
        output.removesuffix(PurePath(output).suffix) + (f".{language}" if language else "") + ending
    )


def in_text(cues: Iterable[Cue], ending: str) -> str:
    """Format cues as a `.vtt` or `.srt` file."""
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
    """Add a stream of subtitles, and give its packets."""
    stream = output.add_mux_stream(codec, time_base=_MS)
    if language:
        stream.metadata["language"] = language
    return _packets(stream, codec, cues)


def _packets(stream: Stream, codec: str, cues: Sequence[Cue]) -> Iterator[AnyPacket]:
    for cue in together(cues):
        shown = plain(cue.text)
        if not shown:
            continue
        text = (html.escape(shown, quote=False) if codec == "webvtt" else shown).encode()
        # The text samples of MP4 start with their length (3GPP TS 26.245).
        packet: AnyPacket = Packet(
            len(text).to_bytes(2, "big") + text if codec == "mov_text" else text
        )
        packet.stream, packet.time_base = stream, _MS
        packet.pts = packet.dts = cue.start_ms
        packet.duration = cue.end_ms - cue.start_ms
        packet.is_keyframe = True
        yield packet


def plain(text: str) -> str:
    """Return the text that players show, without tags and with the letters that entities mean."""
    text = _MARKUP.sub("", _BREAK.sub("\n", text))
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text).strip()


def together(cues: Sequence[Cue]) -> Iterator[Cue]:
    """Cut cues that overlap where another begins or ends: formats show one text at a time."""
    edges = sorted({time_ms for cue in cues for time_ms in (cue.start_ms, cue.end_ms)})
    coming, shown = deque(cues), list[Cue]()
    for start_ms, end_ms in pairwise(edges):
        shown = [cue for cue in shown if cue.end_ms > start_ms]
        while coming and coming[0].start_ms <= start_ms:
            shown = [*shown, coming.popleft()][-MAX_TOGETHER:]
        if shown:
            text = "\n".join(cue.text for cue in shown)
            yield Cue(start_ms, end_ms, text.encode()[:MAX_CUE_BYTES].decode(errors="ignore"))


def _clock(time_ms: int, point: str) -> str:
    seconds, rest = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{rest:03}"


def _unreadable(source: str, reason: str) -> SubtitlesUnreadableError:
    return SubtitlesUnreadableError(
        f"The subtitles {source} cannot be read: {reason}",
        remedy="Give a file of subtitles, such as SRT, WebVTT or ASS.",
        field="subtitles",
    )
