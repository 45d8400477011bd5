"""`sonic dub`: a film in other languages, with lips that move with them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from flows import urls
from flows.commands.mux import dub_of
from flows.console.terminal import Terminal
from flows.pipeline.run import EXIT_DONE, RunRequest, run
from flows.preflight.outputs import kind_at
from flows.urls import resolve
from sonic_ops.core.errors import FieldError, OutputNotWritableError
from sonic_ops.core.files import open_own, storage_fault, written
from sonic_ops.media.dubbing import Dub, join_films

LANGUAGE = "{language}"


@dataclass(frozen=True, slots=True)
class DubRequest:
    """Describe what the user asked for; paths may be relative to `folder`."""

    video: str
    sounds: Sequence[str]
    output: str
    folder: str
    preset: str
    length: str | None = None
    background: str | None = None
    background_gain: str | None = None
    speakers: str | None = None
    work: str | None = None
    report: bool = True
    overwrite: bool = False


def dub_film(request: DubRequest, terminal: Terminal) -> int:
    """Dub a film into every language; 0 if all are finished, 1 if some are not.

    With several languages and one output, that holds all of them: a picture and a sound for each.
    Raises InputError, ManifestError and ConfigError before anything is computed.
    """
    sounds = [dub_of(given, request.folder) for given in request.sounds]
    _check_languages(sounds)
    output = resolve(request.output, request.folder)
    outputs = [_output(output, sound.language, alone=len(sounds) == 1) for sound in sounds]
    is_joined = output not in outputs and LANGUAGE not in output
    if is_joined:
        _check_joined(output, overwrite=request.overwrite)
    manifest = _write_manifest(request, sounds, outputs, output)
    status = run(
        RunRequest(
            manifest,
            request.preset,
            None,
            request.work,
            report=request.report,
            overwrite=request.overwrite,
        ),
        terminal,
    )
    if status == EXIT_DONE and is_joined:
        films = [Dub(s.language, file) for s, file in zip(sounds, outputs, strict=True)]
        try:
            with written(output) as target:
                join_films(films, target)
        except OSError as error:
            raise storage_fault(error) from error
        terminal.say(f"{output}: {', '.join(film.language for film in films)}")
    return status


def _output(output: str, language: str, *, alone: bool) -> str:
    """Return where one language goes: the output itself, or a file named after the language."""
    if LANGUAGE in output:
        return output.replace(LANGUAGE, language)
    if alone:
        return output
    name = PurePosixPath(urls.name_of(output))
    return urls.join(urls.folder_of(output), f"{name.stem}.{language}{name.suffix}")


def _check_languages(sounds: Sequence[Dub]) -> None:
    seen = set()
    for sound in sounds:
        if sound.language in seen:
            raise FieldError(
                f"There are two sounds in {sound.language}",
                remedy="Give every --audio a language of its own.",
            )
        seen.add(sound.language)


def _check_joined(output: str, *, overwrite: bool) -> None:
    if not output.endswith(".mkv"):
        raise FieldError(
            f"{urls.name_of(output)} cannot hold a picture for every language",
            remedy="Let the output end in .mkv, or write one file for each language, such as "
            f"talk.{LANGUAGE}.mp4.",
            field="output",
        )
    kind = kind_at(output)
    if kind != "nothing" and not (kind == "file" and overwrite):
        raise OutputNotWritableError(
            f"{output} already exists",
            remedy="Write to another file, or allow it with --overwrite.",
        )


def _write_manifest(
    request: DubRequest, sounds: Sequence[Dub], outputs: Sequence[str], output: str
) -> str:
    """Write the rows beside the output, so that the same command goes on after a crash."""
    cells = {
        "length": request.length,
        "background": request.background and resolve(request.background, request.folder),
        "background_gain": request.background_gain,
    }
    given = {name: cell for name, cell in cells.items() if cell}
    table = request.speakers and resolve(request.speakers, request.folder)
    rows = [
        {
            "id": sound.language,
            "video": resolve(request.video, request.folder),
            "audio": sound.source,
            "output": file,
            "language": sound.language,
        }
        | given
        | ({"speakers": table.replace(LANGUAGE, sound.language)} if table else {})
        for sound, file in zip(sounds, outputs, strict=True)
    ]
    name = PurePosixPath(urls.name_of(output.replace(LANGUAGE, "all"))).stem
    manifest = urls.join(urls.folder_of(output), f"{name}.dub.jsonl")
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if kind_at(manifest) != "nothing":
        with open_own(manifest) as file:
            is_same = file.read() == text.encode()
        if not is_same and not request.overwrite:
            raise OutputNotWritableError(
                f"{manifest} is there from another dub",
                remedy="Remove it, choose another output, or allow it with --overwrite.",
            )
    with written(manifest) as path:
        path.write_text(text, "utf-8")
    return manifest
