"""`sonic join`: the videos of a lecture to one, with a chapter for each."""

from collections.abc import Callable, Sequence
from pathlib import PurePath

from flows import urls
from flows.preflight.identity import file_key
from flows.preflight.outputs import kind_at
from flows.preflight.subtitle_files import side_car_of
from flows.rows.manifest import ENDINGS, PACKED_ENDINGS, open_manifest
from flows.rows.rows import BadRow, parse_row
from flows.state.results import sentence_of
from sonic_ops.core.errors import FieldError, ManifestError, OutputNotWritableError
from sonic_ops.core.files import exists, open_url, storage_fault, written
from sonic_ops.core.formats import format_of
from sonic_ops.media.joining import JoinedVideo, join_videos

SUBTITLES = (".srt", ".vtt")


def join(
    given: Sequence[str],
    output: str,
    here: str,
    output_folder: str | None,
    say: Callable[[str], None],
    *,
    language: str | None = None,
    loudness_lufs: float | None = None,
    overwrite: bool = False,
) -> None:
    """Join videos, or the outputs of a manifest in its order; relative paths count from `here`.

    Raises InputError, ManifestError, and RenderError where the output cannot be written.
    """
    output = urls.resolve(output, here)
    parts = parts_of(given, here, output_folder, language)
    if format_of(output).is_animation:
        raise FieldError(f"{output} is an animation, which has no chapters", remedy="Write a .mp4.")
    for part in parts:
        with open_url(part.video):
            pass
    read = {file_key(a) for part in parts for a in (part.video, part.subtitles) if a}
    kind = kind_at(output)
    if file_key(output) in read:
        raise OutputNotWritableError(
            f"{output} is one of the inputs and would be lost", remedy="Write to another file."
        )
    if kind != "nothing" and not (kind == "file" and overwrite):
        raise OutputNotWritableError(
            f"{output} already exists",
            remedy="Write to another file, or allow it with --overwrite.",
        )
    try:
        with written(output) as target:
            info = join_videos(parts, target, language=language, loudness_lufs=loudness_lufs)
    except OSError as error:
        raise storage_fault(error) from error
    say(f"{urls.printable(output)}: {info.duration_s:.2f} s, {len(parts)} chapters")


def parts_of(
    given: Sequence[str], here: str, output_folder: str | None, language: str | None
) -> list[JoinedVideo]:
    """Find the videos to join, with their titles and subtitles."""
    if len(given) == 1 and _is_manifest(given[0]):
        return _of_manifest(urls.resolve(given[0], here), output_folder)
    if len(given) < 2:
        raise FieldError(
            "one video cannot be joined", remedy="Give several videos, or a manifest of them."
        )
    videos = [urls.resolve(url, here) for url in given]
    return [JoinedVideo(video, _stem(video), _beside(video, language)) for video in videos]


def _is_manifest(url: str) -> bool:
    name = url.lower()
    for packed in PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return name.endswith(ENDINGS)


def _of_manifest(url: str, output_folder: str | None) -> list[JoinedVideo]:
    """Take the outputs of all rows; the column `title` names their chapters, else the id."""
    parts, folder = [], urls.folder_of(url)
    with open_manifest(url) as manifest:
        for line in manifest.lines():
            row = parse_row(line, folder, output_folder)
            if isinstance(row, BadRow) or row.errors:
                said = "; ".join(map(sentence_of, row.errors))
                raise ManifestError(f"{row.name}: {said}", remedy=row.errors[0].remedy)
            if not exists(row.output):
                raise ManifestError(
                    f"{row.name} has no video yet: {row.output}",
                    remedy="Render the manifest first: sonic render.",
                )
            title = str(line.cells.get("title") or row.id)
            subtitles = side_car_of(row)
            parts.append(JoinedVideo(row.output, title, subtitles and _existing(subtitles)))
    return parts


def _existing(url: str) -> str | None:
    return url if exists(url) else None


def _stem(url: str) -> str:
    return PurePath(urls.name_of(url)).stem


def _beside(video: str, language: str | None) -> str | None:
    """Return the subtitles beside a video: `talk.de.srt` or `talk.srt`."""
    stem = urls.join(urls.folder_of(video), _stem(video))
    tags = (f".{language}", "") if language else ("",)
    names = (f"{stem}{tag}{ending}" for tag in tags for ending in SUBTITLES)
    return next((name for name in names if exists(name)), None)
