"""Who speaks when in a film, and whose face that is: the table that a row names in `speakers`.

CSV, Parquet or JSON with the columns start, end, speaker, face or position, and voice; or SubRip
and WebVTT, whose texts begin with a name. What one row of a speaker says of face and voice holds
for their other rows too.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO, StringIO
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from flows import urls
from flows.rows import parsers
from flows.rows.csv_records import csv_records, without_comments
from flows.rows.limits import check_parquet, open_parquet
from sonic_ops.core.errors import FieldError
from sonic_ops.core.files import open_url
from sonic_ops.core.texts import encoding_of
from sonic_ops.film.choice import Choice

MAX_BYTES: Final = 16 << 20
MAX_TURNS: Final = 50_000
"""A day of film has fewer."""
MAX_SPEAKERS: Final = 16
"""The film is gone through once for each."""
COLUMNS: Final = ("start", "end", "speaker", "face", "position", "voice")
_SUBTITLES: Final = (".srt", ".vtt")
_NAMED: Final = re.compile(
    r"(?:<v\s+)?\[?(?P<name>[^\[\]<>:()\n]{1,80}?)\s*(?:\(\s*(?:face\s*)?(?P<face>\d+)\s*\))?\]?[:>]"
)
"""`Anna: Hello`, `[Anna]: Hello`, `Anna (face 2): Hello` or `<v Anna>Hello`."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody speaks for the seconds `[start_s, end_s)`; `place` is where the table says it."""

    place: str
    speaker: str
    start_s: float
    end_s: float
    face: int | None = None
    position: tuple[float, float] | None = None
    voice: str | None = None

    @property
    def has_face(self) -> bool:
        """Tell whether it says whose face it is."""
        return self.face is not None or self.position is not None


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person of a film: when they speak, in that order, and a voice of their own, if any."""

    name: str
    turns: tuple[Turn, ...]
    voice: str | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Return whose face is followed from when on."""
        given = next((turn for turn in self.turns if turn.has_face), self.turns[0])
        shown = [(turn, turn if turn.has_face else given) for turn in self.turns]
        return tuple(
            Choice(who.position, who.face, turn.start_s, turn.end_s, must_fit=who.has_face)
            for turn, who in shown
        )


def read_speakers(url: str) -> tuple[Speaker, ...]:
    """Read who speaks when, by first appearance. Raises MissingFileError and FieldError."""
    with open_url(url) as file:
        content = file.read(MAX_BYTES + 1)
    name = urls.name_of(url)
    if len(content) > MAX_BYTES:
        raise _wrong(f"{name} has more than {MAX_BYTES >> 20} MB")
    turns = list(islice(_turns(name, content), MAX_TURNS + 1))
    if len(turns) > MAX_TURNS:
        raise _wrong(f"{name} has more than {MAX_TURNS:,} rows")
    turns.sort(key=lambda turn: (turn.start_s, turn.end_s))
    if not turns:
        raise _wrong(f"{name} has no row that says who speaks when")
    of: dict[str, list[Turn]] = {}
    for turn in turns:
        of.setdefault(turn.speaker, []).append(turn)
    if len(of) > MAX_SPEAKERS:
        raise _wrong(f"{name} has {len(of)} speakers, and {MAX_SPEAKERS} are the most")
    people = tuple(_speaker(url, who, turns) for who, turns in of.items())
    _check_names(people)
    return people


def _speaker(url: str, name: str, turns: list[Turn]) -> Speaker:
    voice = next((turn.voice for turn in turns if turn.voice), None)
    own = None if voice is None else urls.resolve(voice, urls.folder_of(url))
    return Speaker(name, tuple(turns), own)


def _check_names(people: tuple[Speaker, ...]) -> None:
    """Raise FieldError for a name whose face is unknown, if it is not the only one."""
    faced = [who.name for who in people if any(turn.has_face for turn in who.turns)]
    known = {name.lower(): name for name in faced}
    for who in people if len(people) > 1 else ():
        if who.name not in faced:
            likely = get_close_matches(who.name.lower(), known, n=1)
            meant = f"Did you mean {known[likely[0]]!r}? " if likely else ""
            raise FieldError(
                f"{who.turns[0].place}: nothing says which face {who.name!r} is",
                remedy=f"{meant}Write the number of the face from the left, or a position on it, "
                "in one row of every speaker.",
                field="speakers",
            )


def _turns(name: str, content: bytes) -> Iterator[Turn]:
    ending = name.lower()
    if ending.endswith(_SUBTITLES):
        yield from _subtitle_turns(name, _text(content), is_webvtt=ending.endswith(".vtt"))
        return
    unit, records = "line", _csv_records
    if content.startswith(b"PAR1"):
        unit, records = "row", _parquet_records
    elif content.lstrip()[:1] in (b"[", b"{"):
        unit, records = "row", _json_records
    for number, cells in records(name, content):
        yield _turn(f"{name} {unit} {number}", cells)


def _text(content: bytes) -> str:
    return encoding_of([content]).decode(content).removeprefix("\ufeff")


Records = Iterable[tuple[int, Mapping[str, object]]]


def _parquet_records(name: str, content: bytes) -> Records:
    try:
        table = open_parquet(BytesIO(content))
        if problem := check_parquet(table, len(content)):
            raise _wrong(f"{name} cannot be read: {problem}")
        groups = map(table.metadata.row_group, range(table.metadata.num_row_groups))
        if sum(group.total_byte_size for group in groups) > MAX_BYTES:
            raise _wrong(f"{name} unpacks to more than {MAX_BYTES >> 20} MB")
        rows = table.read().to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise _wrong(f"{name} is damaged, or not Parquet") from error
    return list(enumerate(map(_known, rows), 1))


def _json_records(name: str, content: bytes) -> Records:
    text = _text(content)
    try:
        try:
            rows = json.loads(text)
        except ValueError:  # an object in every line
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise _wrong(f"{name} is not JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(f"{name} is no list of objects")
    return list(enumerate(map(_known, rows), 1))


def _csv_records(name: str, content: bytes) -> Records:
    lines = without_comments(StringIO(_text(content)))
    names: list[str] | None = None
    found: list[tuple[int, Mapping[str, object]]] = []
    for number, values, problem in csv_records(lines, is_header=_is_header):
        if problem:
            raise _wrong(f"{name} line {number} {problem}")
        if names is None and any(map(str, values)):
            names = [_clean(value) for value in values]
            if not _is_header(values):
                shown = ", ".join(names[:10])
                raise _wrong(f"{name} has no columns start and end, but {shown}")
        elif names is not None and any(str(value).strip() for value in values):
            found.append((number, dict(zip(names, values, strict=False))))
    return found


def _is_header(values: Iterable[object]) -> bool:
    return {"start", "end"}.issubset(map(_clean, values))


def _known(row: Mapping[Any, object]) -> Mapping[str, object]:
    return {_clean(name): value for name, value in row.items()}


def _clean(name: object) -> str:
    return str(name).strip().strip("\ufeff").lower()


def _turn(place: str, cells: Mapping[str, object]) -> Turn:
    """Type the cells of a row. Raises FieldError."""

    def cell(name: str, parse: Callable[[object], Any], expects: str) -> Any:
        value = cells.get(name)
        try:
            return None if parsers.is_empty(value) else parse(value)
        except parsers.WRONG as error:
            raise _wrong(f"{place}: {name} is {repr(value)[:60]}, and not {expects}") from error

    start_s = cell("start", parsers.seconds, "seconds or a clock time")
    end_s = cell("end", parsers.seconds, "seconds or a clock time")
    if start_s is None or end_s is None:
        raise _wrong(f"{place}: {'start' if start_s is None else 'end'} is empty")
    face = cell("face", parsers.whole_number(1, 99), "a number that counts faces from the left")
    position = cell("position", _position, "x and y in pixels of the film")
    who = cell("speaker", parsers.name, "a name") or (f"face {face}" if face else "")
    voice = cell("voice", parsers.path_or_url, "the path or URL of an audio file")
    turn = Turn(place, who or "the speaker", start_s, end_s, face, position, voice)
    return _checked(turn)


def _checked(turn: Turn) -> Turn:
    if turn.end_s <= turn.start_s:
        raise _wrong(f"{turn.place}: {turn.end_s:g} s is not after {turn.start_s:g} s")
    return turn


def _position(value: object) -> tuple[float, float]:
    """Parse a point `x y`, or a box `x y width height` around it."""
    if isinstance(value, str):
        value = value.replace(",", " ").replace(";", " ").split()
    try:
        x, y, width, height = parsers.box(value)
    except ValueError:
        x, y, width, height = parsers.box([*value, 1, 1])  # type: ignore[misc]
        return x, y
    return x + width / 2, y + height / 2


def _subtitle_turns(name: str, text: str, *, is_webvtt: bool) -> Iterator[Turn]:
    # Late: few tables are subtitles, and their library takes a moment.
    from sonic_ops.media.timed_text import timed_texts

    for cue in timed_texts(text, is_webvtt=is_webvtt):
        if cue.problem:
            raise _wrong(f"{name} {cue.place}: {cue.problem}")
        named = _NAMED.match(cue.text.strip())
        if named is None:
            raise _wrong(f"{name} {cue.place}: the text does not begin with a name, as in Anna: Hi")
        face = None if named["face"] is None else int(named["face"])
        place = f"{name} {cue.place}"
        times_s = (cue.start_ms / 1000, cue.end_ms / 1000)
        yield _checked(Turn(place, named["name"].strip(), *times_s, face))


def _wrong(said: str) -> FieldError:
    return FieldError(
        said,
        remedy="Write a row for everything that is said, with start and end in seconds, speaker, "
        "and face (its number from the left) or position (x y in pixels).",
        field="speakers",
    )
