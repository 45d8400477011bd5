"""From a line of the manifest to a typed row, or to a sentence for every cell that is wrong."""

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any, TypeAlias

from flows.addresses import is_remote, resolve
from flows.rows import parsers
from flows.rows.manifest import REQUIRED, Line
from sonic_ops.core.errors import FieldError, InputError, SonicError
from sonic_ops.core.formats import format_of
from sonic_ops.core.rates import EXPECTED
from sonic_ops.core.sizes import MAX_VIDEO_SIDE, MIN_SCALE

FaceBox: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height in pixels of the picture."""

MAX_SEED = 2**31 - 1
FRAMINGS = ("face", "full", "paste")
MAX_RESOLUTION = 1024
LIKE = 0.8
"""From this likeness on (of `difflib`), another name is taken for a slip of the pen."""

MAX_NAME_BYTES = 240  # file systems take 255; the receipt adds an ending


@dataclass(frozen=True, slots=True)
class Row:
    """One video to render. None means: as the preset says. Addresses are absolute.

    A row with `errors` is not rendered; what can be checked of it is checked all the same.
    """

    number: int
    id: str
    portrait: str
    audio: str
    output: str
    seed: int | None
    resolution: int | None
    framing: str | None
    face_box: FaceBox | None
    face: int | None
    head_motion: float | None
    expression: float | None
    audio_guidance: float | None
    start: float | None
    end: float | None
    fps: str | None
    scale_to: int | None
    subtitles: str | None
    language: str | None
    consent: str | None
    errors: tuple[SonicError, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not rendered, and all that is wrong with it."""

    number: int
    id: str
    errors: tuple[SonicError, ...]
    output: str = ""

    @property
    def name(self) -> str:
        """How messages call the row."""
        return self.id or f"number {self.number}"


@dataclass(frozen=True, slots=True)
class Column:
    """What a column may hold."""

    name: str
    parse: Callable[[object], Any]
    expects: str
    example: str


def _framing(value: object) -> str:
    framing = parsers.text(value).lower()
    if framing not in FRAMINGS:
        raise ValueError
    return framing


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
    Column("id", parsers.name, "text that names the row", "lecture-01"),
    Column("portrait", parsers.address, "the address of a picture", "ada.png"),
    Column("audio", parsers.address, "the address of a sound file", "speech.wav"),
    Column("output", parsers.address, "the address of the video to write", "out/ada.mp4"),
    Column("seed", parsers.whole_number(0, MAX_SEED), "a whole number from 0 to 2147483647", "7"),
    Column("resolution", _resolution, f"a multiple of 64 from 64 to {MAX_RESOLUTION}", "512"),
    Column("framing", _framing, "'face', 'full' or 'paste'", "face"),
    Column("face_box", parsers.box, "four numbers x, y, width, height in pixels", "40 30 120 120"),
    Column("face", parsers.whole_number(1, 99), "a number that counts faces from the left", "2"),
    Column("head_motion", parsers.number(0, 3), _STRENGTH, "1.0"),
    Column("expression", parsers.number(0, 3), _STRENGTH, "1.0"),
    Column("audio_guidance", parsers.number(0, 50), "a number from 0 to 50", "7.5"),
    Column("start", parsers.seconds, "seconds or a clock time", "12.5"),
    Column("end", parsers.seconds, "seconds or a clock time", "1:02:03"),
    Column("fps", parsers.fps, EXPECTED, "30"),
    Column("scale_to", _short_side, f"an even number from {MIN_SCALE} to {MAX_VIDEO_SIDE}", "1080"),
    Column("subtitles", parsers.address, "the address of an SRT or WebVTT file", "speech.srt"),
    Column("language", parsers.language, "a language tag", "en"),
    Column("consent", parsers.text, "text that says who agreed", "form 12, 2026-11-02"),
)
_NAMES = frozenset(column.name for column in COLUMNS)
PASSED_ON = ("subtitles", "language", "consent")


@contextmanager
def blaming(column: str) -> Iterator[None]:
    """Name the column in an InputError that names none."""
    try:
        yield
    except InputError as error:
        error.field = error.field or column
        raise


def parse_row(line: Line, folder: str, output_folder: str | None) -> Row | BadRow:
    """Type the cells of a line; a wrong cell becomes None and an error.

    Relative addresses count from `folder`.

    Relative outputs count from `output_folder` where one is given, and stay inside it.
    """
    values, errors = _parse_cells(line)
    if not all(values.get(name) for name in REQUIRED):
        return BadRow(line.number, str(values.get("id") or ""), errors)
    row = Row(number=line.number, errors=errors, **values)
    return _with_addresses(row, folder, output_folder)


def suspected_typos(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Columns that decide nothing, but are called nearly as one that does, and that one."""
    for name in names:
        nearest = get_close_matches(name.strip().lower(), _NAMES, n=1, cutoff=LIKE)
        if nearest and name not in _NAMES:
            yield name, nearest[0]


def passed_through(line: Line) -> dict[str, object]:
    """What goes from a line into the results as it is: what is only kept, and unknown columns."""
    return {
        name: value
        for name, value in line.cells.items()
        if name not in _NAMES or (name in PASSED_ON and not parsers.is_empty(value))
    }


def _parse_cells(line: Line) -> tuple[dict[str, Any], tuple[SonicError, ...]]:
    if line.problem:
        problem = FieldError(f"the line {line.problem}", remedy="Write the line again.")
        return {}, (problem,)
    values: dict[str, Any] = dict.fromkeys(column.name for column in COLUMNS)
    errors: list[SonicError] = []
    for column in COLUMNS:
        try:
            values[column.name] = parse_cell(column, line.cells.get(column.name))
        except FieldError as error:
            errors.append(error)
    return values, (*errors, *_order_errors(values))


def parse_cell(column: Column, value: object) -> Any:
    """The value of a cell, None if it is empty and may be. Raises FieldError."""
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
    rest = "" if column.name in REQUIRED else ", or leave the cell empty for what the preset says"
    return FieldError(
        f"{_shown(value)} is not {column.expects}",
        remedy=f"Write a value such as {column.example}{rest}.",
        field=column.name,
    )


def _shown(value: object, length: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[:length]}..."


def _order_errors(values: Mapping[str, Any]) -> list[SonicError]:
    """What is wrong between cells that are right one by one."""
    errors: list[SonicError] = []
    start, end = values["start"] or 0.0, values["end"]
    if end is not None and end <= start:
        remedy = "Let the end be later than the start, both in seconds of the audio."
        errors.append(FieldError(f"{end:g} s is not after {start:g} s", remedy=remedy, field="end"))
    if values["output"]:
        try:
            format_of(values["output"])
        except FieldError as error:
            errors.append(error)
    return [*errors, *name_errors(values["output"] or "")]


def name_errors(output: str) -> Iterator[SonicError]:
    """What is wrong with the name of a file to write, beside its ending."""
    if len(PurePath(output).name.encode()) > MAX_NAME_BYTES:
        problem = f"the name of the file is longer than {MAX_NAME_BYTES} bytes"
        yield FieldError(problem, remedy="Give the output a shorter name.", field="output")


def _with_addresses(row: Row, folder: str, output_folder: str | None) -> Row:
    return replace(
        row,
        portrait=resolve(row.portrait, folder),
        audio=resolve(row.audio, folder),
        output=output_address(row.output, folder, output_folder),
        subtitles=None if row.subtitles is None else resolve(row.subtitles, folder),
    )


def output_address(output: str, folder: str, output_folder: str | None) -> str:
    """Where a video goes: the manifest's address, or inside the folder the user asked for."""
    if output_folder is None or is_remote(output) or output.startswith(("/", "~/")):
        return resolve(output, folder)
    parts = posixpath.normpath(output).split("/")
    return resolve("/".join(part for part in parts if part != ".."), output_folder)
