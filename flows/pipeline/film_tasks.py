"""The tasks of a row that dubs a film. As in `tasks.py`, paths and numbers travel between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

from cluster.storage import artifacts
from cluster.video import films
from cluster.video.film_requests import Film, TrackJob
from cluster.video.films import FilmPlan
from flows import addresses
from flows.pipeline.runs import RowRun
from flows.pipeline.sounds import soundtrack_of
from flows.pipeline.tasks import (
    SOUND,
    Audio,
    AudioContext,
    Stitched,
    copy_file,
    publish,
    stage,
    subtitles_of,
)
from flows.rows.rows import in_column
from flows.state.outcome import Rendered
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import InputError
from sonic_ops.core.formats import format_of
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.timeline import Segment
from sonic_ops.film.footage import Footage
from sonic_ops.film.takes import Take
from sonic_ops.film.track import FilmTrack
from sonic_ops.media import film_encoding
from sonic_ops.media.content import Expected
from sonic_ops.media.finishing import FilmFinish, Finish
from sonic_ops.provenance.c2pa import signer_of
from sonic_ops.quality.dubs import Dub, shots_of, summary

FILM: Final = "film.mp4"
TRACK: Final = "track.safetensors"


@dataclass(frozen=True)
class FilmClips:
    """Encoded parts of a film, each with the time of its first frame, in their order."""

    audio: Audio
    parts: tuple[tuple[Fraction, str], ...]


@stage
def prepare_film(row: RowRun) -> Film:
    """Copy the film to where all workers read it."""
    row.advance("portrait")
    timing, cells = row.planned.film, row.row
    assert timing is not None
    assert cells.video is not None
    with in_column("video"):
        address = artifacts.write_video(row.path(FILM), partial(copy_file, cells.video))
    stop_s = None if timing.stop_s is None else Fraction(timing.stop_s)
    footage = Footage(Fraction(timing.film_s), stop_s, row.config.film.length)
    return Film(address, footage)


@stage
def track_film(row: RowRun, audio: Audio, film: Film) -> FilmPlan:
    """Find the shots of the film, follow a face in each, and plan what is made of it."""
    cells, request = row.row, audio.request
    job = TrackJob(film, row.path(TRACK), cells.face_box, cells.face)
    with in_column("video"):
        track = films.track_film(row.pool, request, job)
        return films.plan_film(row.pool, request, film, track, row.config.portrait)


@stage
def denoise_film(
    row: RowRun, plan: FilmPlan, context: AudioContext
) -> tuple[tuple[Segment, ...], ...]:
    """Denoise every take on the workers; around what is made stands the film."""
    assert context.tokens
    return films.denoise_film(row.pool, plan, row.cutting, row.on_progress)


@stage
def paste_film(
    row: RowRun, audio: Audio, plan: FilmPlan, latents: tuple[tuple[Segment, ...], ...]
) -> FilmClips:
    """Decode what was made, paste it into the frames of the film and encode them."""
    parts = films.encode_film(row.pool, audio.request, plan, latents, row.config, row.on_progress)
    return FilmClips(audio, tuple(parts))


@stage
def stitch_film(row: RowRun, clips: FilmClips) -> Stitched:
    """Join the parts by copying their packets; frames keep their times."""
    row.advance("finish")

    def join(path: Path) -> None:
        with artifacts.all_fetched([file for _, file in clips.parts]) as paths:
            starts = [start_s for start_s, _ in clips.parts]
            film_encoding.stitch_film(list(zip(starts, paths, strict=True)), path)

    return Stitched(clips.audio, artifacts.write_video(row.path("stitched.mp4"), join))


@stage
def mux_film(row: RowRun, audio: Audio, plan: FilmPlan, video: Stitched) -> Rendered:
    """Add the new sound, check the file, and give it its final name."""
    with artifacts.all_fetched([plan.film.address]) as (film,):
        can_be_named = str(row.row.video).lower().endswith((".mp4", ".mov", ".m4v"))
        source = film if can_be_named else None
        done = publish(row, video, partial(_finish, row, audio, plan, source))
    said = (summary(shots_of(plan.track, plan.takes)), *_damage(row, plan))
    return replace(done, video=replace(done.video, notes=(*done.video.notes, *said)))


def _damage(row: RowRun, plan: FilmPlan) -> Iterator[str]:
    """Say how many pictures of a film could not be decoded, if it is shown once and whole."""
    timing, num_found = row.planned.film, len(plan.track.ticks_N)
    assert timing is not None
    if timing.stop_s is None and num_found < timing.num_frames:
        lost = f"{timing.num_frames - num_found} of {timing.num_frames} pictures of the film"
        yield f"{lost} cannot be decoded: those before them stand"


@contextmanager
def opened_dub(work: str) -> Iterator[Dub]:
    """Give what the shots of a finished film are measured by, from the work folder of its row."""
    track = FilmTrack.from_tensors(artifacts.read_tensors(addresses.join(work, TRACK)))
    takes = [Take.from_tensors(artifacts.read_tensors(file)) for file in films.take_files(work)]
    both = [addresses.join(work, name) for name in (SOUND, FILM)]
    with artifacts.all_fetched(both) as (new, film), scratch_folder() as folder:
        old = folder / "old.wav"
        try:
            decode_audio(str(film), old)
        except InputError:  # a film may have no sound
            yield Dub(track, takes, new)
        else:
            yield Dub(track, takes, new, old)


def _finish(row: RowRun, audio: Audio, plan: FilmPlan, source: Path | None, wav: Path) -> Finish:
    cells, media, track = row.row, row.config.media, plan.track
    times_s = tuple(track.time_s(frame) for frame in range(plan.stop))
    form = film_encoding.FilmForm(track.pixel_shape, track.display_matrix)
    return Finish(
        track=soundtrack_of(row),
        wav=wav,
        num_samples=audio.request.num_samples,
        num_output_frames=plan.stop,
        codec=format_of(row.output).codec(media.codec),
        fps=plan.fps,
        subtitles=subtitles_of(cells, audio.request),
        mark=row.config.provenance.mark,
        signer=signer_of(row.config.provenance),
        expected=Expected(plain=True, still=True),  # a film may show and do nothing
        film=FilmFinish(times_s, form, source),
    )
