"""The columns of a manifest: what each may hold, and the sentence for a cell that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from flows.rows import parsers
from sonic_ops.core.config import LengthPolicy
from sonic_ops.core.errors import FieldError
from sonic_ops.core.rates import EXPECTED
from sonic_ops.core.sizes import MAX_VIDEO_SIDE, MIN_SCALE

REQUIRED = ("id", "audio")
SHOWN = ("portrait", "video")
"""A row has one of these."""
MAX_SEED = 2**31 - 1
MIN_GAIN_DB, MAX_GAIN_DB = -60, 20
LENGTHS: tuple[str, ...] = get_args(LengthPolicy)
FRAMINGS = ("face", "full", "paste")
MAX_RESOLUTION = 1024


@dataclass(frozen=True, slots=True)
class Column:
    """What a column may hold."""

    name: str
    parse: Callable[[object], Any]
    expects: str
    example: str
    choices: tuple[str, ...] = ()


def _resolution(value: object) -> int:
    resolution = parsers.whole_number(64, MAX_RESOLUTION)(value)
    if resolution % 64:
        raise ValueError
    return resolution


def _short_side(value: object) -> int:
    side = parsers.whole_number(MIN_SCALE, MAX_VIDEO_SIDE)(value)
    if side % 2:
        raise ValueError
    return side


_STRENGTH = "a number from 0 to 3"
COLUMNS = (
    Column("id", parsers.name, "text of up to 1,000 characters that names the row", "lecture-01"),
    Column("portrait", parsers.path_or_url, "the path or URL of an image", "ada.png"),
    Column("video", parsers.path_or_url, "the path or URL of a film to dub", "talk.mp4"),
    Column("audio", parsers.path_or_url, "the path or URL of an audio file", "speech.wav"),
    Column("voice", parsers.path_or_url, "the path or URL of an audio file", "voice.wav"),
    Column("background", parsers.path_or_url, "the path or URL of an audio file", "music.wav"),
    Column(
        "background_gain",
        parsers.number(MIN_GAIN_DB, MAX_GAIN_DB),
        f"a number of dB from {MIN_GAIN_DB} to {MAX_GAIN_DB}",
        "-6",
    ),
    Column("speakers", parsers.path_or_url, "the path or URL of a speaker table", "speakers.csv"),
    Column("output", parsers.path_or_url, "the path or URL of the video to write", "out/ada.mp4"),
    Column("seed", parsers.whole_number(0, MAX_SEED), "a whole number from 0 to 2147483647", "7"),
    Column("resolution", _resolution, f"a multiple of 64 from 64 to {MAX_RESOLUTION}", "512"),
    Column("framing", parsers.word(FRAMINGS), "'face', 'full' or 'paste'", "face", FRAMINGS),
    Column("face_box", parsers.box, "four numbers x, y, width, height in pixels", "40 30 120 120"),
    Column("face", parsers.whole_number(1, 99), "a number that counts faces from the left", "2"),
    Column("head_motion", parsers.number(0, 3), _STRENGTH, "1.0"),
    Column("expression", parsers.number(0, 3), _STRENGTH, "1.0"),
    Column("audio_guidance", parsers.number(0, 50), "a number from 0 to 50", "7.5"),
    Column("start", parsers.seconds, "seconds or a clock time", "12.5"),
    Column("end", parsers.seconds, "seconds or a clock time", "1:02:03"),
    Column("fps", parsers.fps, EXPECTED, "30"),
    Column("scale_to", _short_side, f"an even number from {MIN_SCALE} to {MAX_VIDEO_SIDE}", "1080"),
    Column("subtitles", parsers.path_or_url, "the path or URL of an SRT or VTT file", "speech.srt"),
    Column("language", parsers.language, "a language tag", "en"),
    Column("length", parsers.word(LENGTHS), f"one of {', '.join(LENGTHS)}", "cut", LENGTHS),
    Column("consent", parsers.text, "text that says who agreed", "form 12, 2026-11-02"),
)
COLUMN_NAMES = frozenset(column.name for column in COLUMNS)


def parse_cell(column: Column, value: object) -> Any:
    """Parse a cell; None if it is empty and may be. Raises FieldError."""
    if parsers.is_empty(value):
        if column.name not in REQUIRED:
            return None
        raise FieldError(
            "the cell is empty",
            remedy=f"Write {column.expects}, such as {column.example}.",
            field=column.name,
        )
    try:
        return column.parse(value)
    except parsers.WRONG as error:
        raise _wrong_value(column, value) from error


def _wrong_value(column: Column, value: object) -> FieldError:
    likely = get_close_matches(str(value).lower(), column.choices, n=1)
    meant = f"Did you mean {likely[0]}? " if likely else ""
    rest = "" if column.name in REQUIRED else ", or leave the cell empty for what the preset says"
    return FieldError(
        f"{_shown(value)} is not {column.expects}",
        remedy=f"{meant}Write a value such as {column.example}{rest}.",
        field=column.name,
    )


def _shown(value: object, length: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[:length]}..."


INPUTS = ("portrait", "video", "audio", "voice", "background", "speakers", "subtitles")
"""Columns that name a file which is read."""

TRUTH = "truth"
"""The column that passes through, and names a real video of the same speech for the report."""
