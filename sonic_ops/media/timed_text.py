"""Texts with times, out of files as people have them.

SubRip and WebVTT are read here, since readers are stricter than players: pysubs2 takes a number at
the end of a text for that of the next cue, knows no names and notes of WebVTT, and no times without
milliseconds. It reads all other formats: ASS, SAMI, TTML, MicroDVD and more.
"""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pysubs2

_CLOCK = r"(-?)\s*(?:(\d{1,4})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[,.:;]\s*(\d{1,9}))?"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*(?:[-–—]+\s*>|→)\s*{_CLOCK}(?:\s.*)?")  # noqa: RUF001
_BROKEN = re.compile(r"\s*[\d:,.]*:[\d:,.\s]*(?:[-–—]+\s*>?.*)?|.*-->.*")  # noqa: RUF001
_ARROW = re.compile(r"[\d\s:,.-]*\d[\d\s:,.]*(?:[-–—]+\s*>|→)")  # noqa: RUF001
_NUMBER = re.compile(r"\W*\d+\W*")
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s.*)?")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SEPARATORS = re.compile("[\u2028\u2029\x85\x0b\x0c]")
_MANY_BLANK = re.compile(r"\n\s*\n")


@dataclass(slots=True)
class TimedText:
    """A text and the milliseconds of its times; `problem` says why it has none.

    `place` is where a person finds it, such as `line 7`.
    """

    place: str
    start_ms: int = 0
    end_ms: int = 0
    problem: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text without blank lines, which would end it in files."""
        text = _SEPARATORS.sub("\n", "\n".join(self.lines)).replace("\0", "")
        return _MANY_BLANK.sub("\n", text.strip())


def timed_texts(text: str, *, is_webvtt: bool) -> list[TimedText]:
    """Read SubRip or WebVTT; nothing if no line has an arrow between times."""
    lines = _NEWLINE.split(text)
    if not any(map(_ARROW.match, lines)):
        return []
    found: list[TimedText] = []
    comment = is_webvtt and lines[0].startswith("WEBVTT")
    for index, line in enumerate(lines):
        begun = _begun(lines, index)
        if begun is not None:
            _drop_name(found, lines, index, is_webvtt=is_webvtt)
            found.append(begun)
            comment = False
        elif comment or (is_webvtt and _is_blank(lines, index - 1) and _COMMENT.fullmatch(line)):
            comment = bool(line.strip())
        elif found:
            found[-1].lines.append(line)
        elif line.strip() and not (_NUMBER.fullmatch(line) or _is_name(lines, index, is_webvtt)):
            found.append(TimedText(f"line {index + 1}", problem="no time stands before it"))
    return [*found, *_last_number(found, lines, is_webvtt=is_webvtt)]


def other_texts(text: str) -> list[TimedText]:
    """Read any other format of subtitles; nothing if it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            events = pysubs2.SSAFile.from_string(text).get_text_events()
    except Exception:  # its readers raise whatever their parsers raise
        return []
    return [
        TimedText(f"the one at {event.start / 1000:g} s", event.start, event.end, lines=[shown])
        for event in events
        if (shown := event.plaintext)
    ]


def _begun(lines: Sequence[str], index: int) -> TimedText | None:
    """Return a text that begins with this line, if it has times or was meant to."""
    line, number = lines[index], index + 1
    if match := _TIMES.fullmatch(line):
        start, end = match.groups()[:5], match.groups()[5:]
        return TimedText(f"line {number}", _milliseconds(start), _milliseconds(end))
    has_number = index > 0 and _NUMBER.fullmatch(lines[index - 1])
    if _is_blank(lines, index - (2 if has_number else 1)) and _BROKEN.fullmatch(line):
        return TimedText(f"line {number}", problem="it does not begin with a time")
    return None


def _milliseconds(parts: Sequence[str | None]) -> int:
    sign, hours, minutes, seconds, rest = parts
    whole = 3600 * int(hours or 0) + 60 * int(minutes or 0) + int(seconds or 0)
    return 0 if sign else 1000 * whole + int((rest or "").ljust(3, "0")[:3])


def _is_blank(lines: Sequence[str], index: int) -> bool:
    return index < 0 or not lines[index].strip()


def _is_name(lines: Sequence[str], index: int, is_webvtt: bool) -> bool:
    """Return whether a line is the name of the cue below it."""
    below = lines[index + 1] if index + 1 < len(lines) else ""
    return is_webvtt and _is_blank(lines, index - 1) and bool(_TIMES.fullmatch(below))


def _drop_name(
    found: list[TimedText], lines: Sequence[str], index: int, *, is_webvtt: bool
) -> None:
    """Take the number or name above the times out of the text before them."""
    if not found or not found[-1].lines or _is_blank(lines, index - 1):
        return
    if _NUMBER.fullmatch(lines[index - 1]) or _is_name(lines, index - 1, is_webvtt):
        found[-1].lines.pop()


def _last_number(
    found: list[TimedText], lines: Sequence[str], *, is_webvtt: bool
) -> Iterator[TimedText]:
    """Yield a number at the end of the file, whose cue was cut off."""
    last = next((n for n in reversed(range(len(lines))) if lines[n].strip()), 0)
    is_number = not is_webvtt and _is_blank(lines, last - 1) and _NUMBER.fullmatch(lines[last])
    if is_number and found and any(line.strip() for line in found[-1].lines[: last - len(lines)]):
        del found[-1].lines[last - len(lines) :]
        yield TimedText(f"line {last + 1}", problem="the file ends before its time")
