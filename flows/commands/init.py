"""`sonic init`: a manifest from a folder of recordings, with comments that explain its columns."""

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Final

from flows.rows import parsers
from flows.rows.about import ABOUT
from sonic_ops.core.errors import FieldError, ManifestError, MissingFileError

NAME: Final = "manifest.csv"
SPEECH: Final = {".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".wma", ".aiff", ".aif"}
FILMS: Final = {".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi"}
IMAGES: Final = {".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
SUBTITLES: Final = {".srt", ".vtt", ".ass"}
_WRITTEN = ("id", "portrait", "audio", "subtitles", "language")
_TITLE = """\
# A row per video; paths count from the folder of this file. Lines that begin with # are comments.
# Check it: sonic validate {name}    Render it: sonic render {name}
#
# Columns below, and others that you may add; an empty cell takes what the preset says.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What belongs to a recording; names of files in the folder."""

    id: str
    audio: str
    portrait: str = ""
    subtitles: str = ""
    language: str = ""


def init(
    folder: Path,
    output: Path | None,
    portrait: Path | None,
    say: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> None:
    """Write a manifest of the recordings in a folder. Raises SonicError."""
    target = output or folder / NAME
    if target.exists() and not overwrite:
        raise ManifestError(
            f"{target} already exists",
            remedy="Edit it, choose another file with --output, or replace it with --overwrite.",
        )
    rows = rows_of(folder, portrait)
    target.write_text(manifest_text(rows, target.name, folder, target.parent), "utf-8")
    say(f"{target}: {len(rows)} row{'s' * (len(rows) != 1)}")
    for row in rows:
        files = (row.portrait, row.audio, row.subtitles, row.language)
        say(f"  {row.id}: {', '.join(filter(None, files))}")
    say(f"next: sonic validate {target}, then sonic render {target}")


def rows_of(folder: Path, portrait: Path | None = None) -> list[Found]:
    """Find the recordings of a folder with what belongs to each. Raises SonicError."""
    if not folder.is_dir():
        raise MissingFileError(f"There is no folder {folder}", remedy="Correct the path.")
    files = (path.name for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    names = sorted(files, key=_in_order)
    recordings = _of(names, SPEECH) or _of(names, FILMS)
    if not recordings:
        raise MissingFileError(
            f"{folder} holds no audio files",
            remedy=f"Put recordings there, such as {', '.join(sorted(SPEECH))}.",
        )
    rows = _with_languages([Found(id, name) for id, name in _ids(recordings).items()])
    images, subtitles = _of(names, IMAGES), _of(names, SUBTITLES)
    chosen = None if portrait is None else str(portrait.absolute())
    with_portraits = (
        replace(row, portrait=chosen or _image_of(row, images, folder)) for row in rows
    )
    return [_with_subtitles(row, subtitles) for row in with_portraits]


def manifest_text(rows: Iterable[Found], name: str, folder: Path, home: Path) -> str:
    """Write the manifest, whose paths count from `home`."""
    text = StringIO()
    text.write(_TITLE.format(name=name))
    for column, about in ABOUT.items():
        text.write(f"#   {column}: {about}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_WRITTEN)
    for row in rows:
        files = (_path(name, folder, home) for name in (row.portrait, row.audio))
        writer.writerow([row.id, *files, _path(row.subtitles, folder, home), row.language])
    return text.getvalue()


def _path(name: str, folder: Path, home: Path) -> str:
    if not name or folder.absolute() == home.absolute():
        return name
    return str(folder.absolute() / name)


def _in_order(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort as people count: talk2 comes before talk10."""
    parts = re.split(r"(\d+)", Path(name).stem)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], name


def _of(names: Iterable[str], endings: set[str]) -> list[str]:
    return [name for name in names if Path(name).suffix.lower() in endings]


def _ids(recordings: list[str]) -> dict[str, str]:
    """Name each recording by its stem, or by its whole name if two have that stem."""
    stems = [Path(name).stem for name in recordings]
    return {
        name if stems.count(stem) > 1 else stem: name
        for stem, name in zip(stems, recordings, strict=True)
    }


def _with_languages(rows: list[Found]) -> list[Found]:
    """Find languages in names: `de.wav`, `talk.de.wav`, and `talk_de.wav` beside `talk_fr.wav`."""
    bases = [_base(row.id)[0] for row in rows]
    found = []
    for row, base in zip(rows, bases, strict=True):
        _, mark, tag = _base(row.id)
        is_sure = mark == "." or not base or bases.count(base) > 1
        found.append(replace(row, language=tag if is_sure else ""))
    return found


def _base(id: str) -> tuple[str, str, str]:
    """Split a name before the language that it ends in; an empty tag if it does not."""
    for mark in (".", "_", "-"):
        base, found, tag = id.rpartition(mark)
        if found and _is_language(tag):
            return base, mark, tag
    return ("", "", id) if _is_language(id) else (id, "", "")


def _is_language(tag: str) -> bool:
    """Tell a language of two letters, perhaps with a region; many words of three are languages."""
    primary = tag.partition("-")[0]
    if len(primary) != 2 or not primary.islower():
        return False
    try:
        parsers.language(tag)
    except parsers.WRONG:
        return False
    return True


def _image_of(row: Found, images: list[str], folder: Path) -> str:
    """Find the image that is called like a recording, or begins like it, or is the only one."""
    stems: Mapping[str, str] = {Path(name).stem.lower(): name for name in reversed(images)}
    name = row.id.lower()
    fitting = [
        stem
        for stem in stems
        if name == stem or (name.startswith(stem) and not name[len(stem)].isalnum())
    ]
    if fitting:
        return stems[max(fitting, key=len)]
    if len(images) == 1:
        return images[0]
    for stem in ("portrait", "face"):
        if stem in stems:
            return stems[stem]
    problem = (
        f"{len(images)} images are there, and none is called like"
        if images
        else ("there is no image for")
    )
    raise FieldError(
        f"{folder}: {problem} {row.audio}",
        remedy=f"Call one {row.id}.png or portrait.png, or name one for all with --portrait.",
    )


def _with_subtitles(row: Found, subtitles: list[str]) -> Found:
    """Find the subtitles that are called like a recording; their name may say a language."""
    for name in subtitles:
        base, mark, tag = _base(Path(name).stem)
        if Path(name).stem == row.id:
            return replace(row, subtitles=name)
        if base == row.id and mark == ".":
            return replace(row, subtitles=name, language=row.language or tag)
    return row
