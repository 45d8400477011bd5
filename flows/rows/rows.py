"""From a line of the manifest to a typed row, or to a sentence for every cell that is wrong."""

import os
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeAlias

from flows import urls
from flows.rows import parsers
from flows.rows.columns import COLUMN_NAMES, COLUMNS, INPUTS, REQUIRED, SHOWN, parse_cell
from flows.rows.manifest import Line
from flows.rows.templates import DEFAULT_OUTPUT, filled
from flows.urls import is_remote, resolve
from sonic_ops.core.errors import FieldError, InputError, SonicError
from sonic_ops.core.formats import format_of
from sonic_ops.core.shown import without_secrets

FaceBox: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height in pixels of the image."""

LIKE = 0.8
"""From this likeness on (of `difflib`), another name is taken for a slip of the pen."""

NOT_FOR_FILMS = ("start", "fps", "scale_to", "resolution", "framing")
ONLY_FOR_FILMS = {
    "length": "a portrait speaks as long as its audio",
    "speakers": "a portrait speaks all the time",
}
PASSED_ON = ("subtitles", "language", "consent")
MAX_NAME_BYTES = 240  # file systems take 255; the receipt adds an ending
MAX_PATH_BYTES = 3900  # systems take 4096; work lies below the folder of the output


@dataclass(frozen=True, slots=True)
class Row:
    """One video to render. None means: as the preset says. Paths are absolute.

    A row with `errors` is not rendered; what can be checked of it is checked all the same.
    """

    number: int
    id: str
    portrait: str | None
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
    video: str | None = None
    length: str | None = None
    voice: str | None = None
    background: str | None = None
    background_gain: float | None = None
    speakers: str | None = None
    errors: tuple[SonicError, ...] = ()
    place: str = ""

    @property
    def shown(self) -> str:
        """Return the image or film that shows the face."""
        return self.video or self.portrait or ""

    @property
    def name(self) -> str:
        """Return how messages call the row: by its line in the manifest, and its id."""
        return _name_of(self)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is not rendered, and all that is wrong with it."""

    number: int
    id: str
    errors: tuple[SonicError, ...]
    output: str = ""
    place: str = ""

    @property
    def name(self) -> str:
        """Return how messages call the row: by its line in the manifest, and its id."""
        return _name_of(self)


def _name_of(row: Row | BadRow) -> str:
    return f"{row.place or f'row number {row.number}'} {row.id and f'({row.id})'}".rstrip()


@contextmanager
def in_column(column: str) -> Iterator[None]:
    """Name the column in an InputError that names none."""
    try:
        yield
    except InputError as error:
        error.field = error.field or column
        raise


def parse_row(line: Line, folder: str, output_folder: str | None) -> Row | BadRow:
    """Type the cells of a line; a wrong cell becomes None and an error.

    Relative paths count from `folder`.

    Relative outputs count from `output_folder` where one is given, and stay inside it.
    """
    values, errors = _parse_cells(line)
    is_whole = all(values.get(name) for name in (*REQUIRED, "output"))
    if not is_whole or not any(values.get(name) for name in SHOWN):
        return BadRow(line.number, str(values.get("id") or ""), errors, place=line.place)
    row = Row(number=line.number, errors=errors, place=line.place, **values)
    return _with_urls(row, folder, output_folder)


def suspected_typos(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield columns that decide nothing, but are called nearly as one that does, and that one."""
    for name in names:
        nearest = get_close_matches(name.strip().lower(), COLUMN_NAMES, n=1, cutoff=LIKE)
        if nearest and name not in COLUMN_NAMES:
            yield name, nearest[0]


def passed_through(line: Line) -> dict[str, object]:
    """Return the cells that pass into the results unchanged: kept and unknown columns."""
    return {
        name: without_secrets(value) if isinstance(value, str) else value
        for name, value in line.cells.items()
        if name not in COLUMN_NAMES or (name in PASSED_ON and not parsers.is_empty(value))
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
    try:
        template = values["output"] or DEFAULT_OUTPUT
        values["output"] = filled(template, {**line.cells, **_texts(values)})
    except FieldError as error:
        values["output"] = None
        is_shown = any(map(values.get, SHOWN))
        if is_shown and all(map(values.get, REQUIRED)):  # else that is what is wrong
            errors.append(error)
    given = [name for name in SHOWN if not parsers.is_empty(line.cells.get(name))]
    return values, (*errors, *_shown_errors(given, values), *_order_errors(values))


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what placeholders stand for: the cells of known columns, as they were understood."""
    return {name: value for name, value in values.items() if name != "output"}


def _order_errors(values: Mapping[str, Any]) -> list[SonicError]:
    """Check cells that are valid alone against one another."""
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
    if values["background_gain"] is not None and not values["background"]:
        remedy = "Name a recording in `background`, or leave the cell empty."
        problem = "background_gain is for a background, and the row has none"
        errors.append(FieldError(problem, remedy=remedy, field="background_gain"))
    return [*errors, *name_errors(values["output"] or "")]


def _shown_errors(given: Sequence[str], values: Mapping[str, Any]) -> Iterator[FieldError]:
    """Say what is wrong if a row has not one image or film, and what a film cannot have."""
    if len(given) == 2:
        yield FieldError(
            "the row has both `portrait` and `video`",
            remedy="Keep `video` to dub that film, or `portrait` to animate that image.",
            field="video",
        )
    elif not given:
        yield FieldError(
            "the cell is empty",
            remedy="Write the path of an image, such as ada.png, or that of a film to dub in "
            "`video`.",
            field="portrait",
        )
    elif given == ["video"]:
        yield from _face_errors(values)
        for name in NOT_FOR_FILMS:
            if values[name] is not None:
                yield FieldError(
                    f"{name} is {values[name]!r}, and a film keeps its own",
                    remedy="Leave the cell empty; cut or scale the film itself.",
                    field=name,
                )
    else:
        for name, why in ONLY_FOR_FILMS.items():
            if values[name] is not None:
                yield FieldError(
                    f"{name} says what to do with a film, and the row has none",
                    remedy=f"Leave the cell empty; {why}.",
                    field=name,
                )


def _face_errors(values: Mapping[str, Any]) -> Iterator[FieldError]:
    """Say that a face is chosen twice: by the row, and by its table of speakers."""
    for name in ("face", "face_box"):
        if values["speakers"] and values[name] is not None:
            yield FieldError(
                f"the row has both `speakers` and `{name}`",
                remedy="Keep `speakers`, which says whose face is whose, or `face` for one person.",
                field=name,
            )


def name_errors(output: str) -> Iterator[SonicError]:
    """Say what is wrong with the name of a file to write, beside its ending."""
    if len(os.fsencode(urls.name_of(output))) > MAX_NAME_BYTES:
        problem = f"the name of the file is longer than {MAX_NAME_BYTES} bytes"
        yield FieldError(problem, remedy="Give the output a shorter name.", field="output")
    elif len(os.fsencode(output)) > MAX_PATH_BYTES and not urls.is_remote(output):
        yield FieldError(
            f"the path of the file is longer than {MAX_PATH_BYTES} bytes",
            remedy="Write to a folder with a shorter path.",
            field="output",
        )


def _with_urls(row: Row, folder: str, output_folder: str | None) -> Row:
    cells = {name: getattr(row, name) for name in INPUTS}
    inputs: dict[str, Any] = {
        name: resolve(cell, folder) for name, cell in cells.items() if cell is not None
    }
    return replace(row, output=output_url(row.output, folder, output_folder), **inputs)


def output_url(output: str, folder: str, output_folder: str | None) -> str:
    """Find where a video goes: as the manifest says, or in the folder the user asked for."""
    output = urls.local_path(output)
    if output_folder is None or is_remote(output) or output.startswith(("/", "~/")):
        return resolve(output, folder)
    parts = posixpath.normpath(output).split("/")
    return resolve("/".join(part for part in parts if part != ".."), output_folder)
