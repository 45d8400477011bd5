"""`sonic mux`: the languages of a dubbed video joined in one file."""

from collections.abc import Callable, Sequence

from flows.preflight.identity import file_key
from flows.preflight.outputs import kind_at
from flows.urls import resolve
from sonic_ops.core.errors import FieldError, OutputNotWritableError
from sonic_ops.core.files import storage_fault, written
from sonic_ops.media.dubbing import Dub, join_languages


def mux(
    video: str,
    audio_tracks: Sequence[str],
    subtitles: Sequence[str],
    output: str,
    folder: str,
    say: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> None:
    """Join files that are given as `LANGUAGE=FILE`; relative ones count from `folder`.

    Raises InputError, and RenderError where the output cannot be written.
    """
    spoken, read = ([dub_of(given, folder) for given in kind] for kind in (audio_tracks, subtitles))
    video, output = resolve(video, folder), resolve(output, folder)
    inputs = {file_key(url) for url in (video, *(dub.source for dub in (*spoken, *read)))}
    if file_key(output) in inputs:
        raise OutputNotWritableError(
            f"{output} is one of the inputs and would be lost", remedy="Write to another file."
        )
    kind = kind_at(output)
    if kind != "nothing" and not (kind == "file" and overwrite):
        raise OutputNotWritableError(
            f"{output} already exists",
            remedy="Write to another file, or allow it with --overwrite.",
        )
    try:
        with written(output) as target:
            video_s, *_ = join_languages(video, spoken, read, target)
    except OSError as error:
        raise storage_fault(error) from error
    say(f"{output}: {video_s:.2f} s{_in_words('audio', spoken)}{_in_words('subtitles', read)}")


def dub_of(given: str, folder: str) -> Dub:
    """Read `LANGUAGE=FILE`; a relative file counts from `folder`. Raises FieldError."""
    language, is_split, source = given.partition("=")
    if not is_split or not language.strip() or not source.strip():
        raise FieldError(
            f"{given!r} does not say the language of a file",
            remedy="Write the language and the file, such as de=speech.wav.",
        )
    return Dub(language.strip(), resolve(source.strip(), folder))


def _in_words(kind: str, dubs: Sequence[Dub]) -> str:
    return f"; {kind} in {', '.join(dub.language for dub in dubs)}" if dubs else ""
