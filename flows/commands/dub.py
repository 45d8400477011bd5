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
    audio_tracks: Sequence[str]
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

    With several languages and one output, that file holds a video and an audio track for each.
    Raises InputError, ManifestError and ConfigError before anything is computed.
    """
    audio_tracks = [dub_of(given, request.folder) for given in request.audio_tracks]
    _check_languages(audio_tracks)
    output = resolve(request.output, request.folder)
    outputs = [
        _output(output, track.language, alone=len(audio_tracks) == 1) for track in audio_tracks
    ]
    is_joined = output not in outputs and LANGUAGE not in output
    if is_joined:
        _check_joined(output, overwrite=request.overwrite)
    manifest = _write_manifest(request, audio_tracks, outputs, output)
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
        films = [Dub(s.language, file) for s, file in zip(audio_tracks, outputs, strict=True)]
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


def _check_languages(audio_tracks: Sequence[Dub]) -> None:
    seen = set()
    for track in audio_tracks:
        if track.language in seen:
            raise FieldError(
                f"There are two recordings in {track.language}",
                remedy="Give every --audio a language of its own.",
            )
        seen.add(track.language)


def _check_joined(output: str, *, overwrite: bool) -> None:
    if not output.endswith(".mkv"):
        raise FieldError(
            f"{urls.name_of(output)} cannot hold a video track for every language",
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
    request: DubRequest, audio_tracks: Sequence[Dub], outputs: Sequence[str], output: str
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
            "id": track.language,
            "video": resolve(request.video, request.folder),
            "audio": track.source,
            "output": file,
            "language": track.language,
        }
        | given
        | ({"speakers": table.replace(LANGUAGE, track.language)} if table else {})
        for track, file in zip(audio_tracks, outputs, strict=True)
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
