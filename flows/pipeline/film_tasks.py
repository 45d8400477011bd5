"""The tasks of a row that dubs a film. As in `tasks.py`, paths and numbers travel between them."""

from collections.abc import Iterator, Sequence
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
from cluster.video.jobs import SPEAKERS
from flows import urls
from flows.pipeline.audio_sources import soundtrack_of, write_voice
from flows.pipeline.runs import RowRun
from flows.pipeline.tasks import (
    AUDIO,
    Audio,
    AudioContext,
    Stitched,
    copy_file,
    publish,
    stage,
    subtitles_of,
)
from flows.rows.planned import PlannedRow
from flows.rows.rows import in_column
from flows.rows.speakers import read_speakers
from flows.state.outcome import Rendered
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import InputError, NoFaceError
from sonic_ops.core.formats import format_of
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.timeline import Segment
from sonic_ops.film.choice import Choice
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
        url = artifacts.write_video(row.path(FILM), partial(copy_file, cells.video))
    stop_s = None if timing.stop_s is None else Fraction(timing.stop_s)
    footage = Footage(Fraction(timing.film_s), stop_s, row.config.film.length)
    return Film(url, footage)


@dataclass(frozen=True)
class Person:
    """Somebody who speaks in a film: what moves their mouth, and whose face it is."""

    name: str
    audio: Audio
    choices: tuple[Choice, ...]


@stage
def split_voices(row: RowRun, audio: Audio) -> tuple[Person, ...]:
    """Write the audio of every speaker; without a table of them, one person says all."""
    cells, request = row.row, audio.request
    if cells.speakers is None:
        box = cells.face_box
        position = None if box is None else (box[0] + box[2] / 2, box[1] + box[3] / 2)
        return (Person("", audio, (Choice(position, cells.face),)),)
    people = []
    with in_column("speakers"), artifacts.fetched_whole(request.audio) as mix:
        for number, who in enumerate(read_speakers(cells.speakers)):
            work = row.path(f"{SPEAKERS}/{number}")
            write = partial(write_voice, who, mix, request.num_samples)
            target = artifacts.write_audio(urls.join(work, AUDIO), write)
            own = Audio(replace(request, audio=target, work=work))
            people.append(Person(who.name, own, who.choices))
    return tuple(people)


@stage
def track_film(row: RowRun, people: tuple[Person, ...], film: Film) -> FilmPlan:
    """Find the shots of the film, follow a face in each, and plan what is made of it."""
    plans, problems = [], []
    with in_column("video"):
        for person in people:
            request = person.audio.request
            job = TrackJob(film, urls.join(request.work, TRACK), person.choices)
            try:
                track = films.track_film(row.pool, request, job)
                plan = films.plan_film(row.pool, request, film, track, row.config.portrait)
                plans.append((person.name, plan))
            except NoFaceError as error:  # others may be seen
                problems.append((person.name, error))
        if not plans:
            raise problems[0][1]
    if len(people) == 1:
        return plans[0][1]
    unseen = tuple(f"{name}: {error.message}" for name, error in problems)
    return replace(films.join_plans(plans), unseen=unseen)


@stage
def denoise_film(
    row: RowRun, plan: FilmPlan, contexts: Sequence[AudioContext]
) -> tuple[tuple[Segment, ...], ...]:
    """Denoise every take on the workers; around what is made stands the film."""
    assert all(context.tokens for context in contexts)
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
    """Add the new audio, check the file, and give it its final name."""
    with artifacts.all_fetched([plan.film.url]) as (film,):
        can_be_named = str(row.row.video).lower().endswith((".mp4", ".mov", ".m4v"))
        source = film if can_be_named else None
        done = publish(row, video, partial(_finish, row, audio, plan, source))
    said = (*_summaries(plan), *_damage(row, plan))
    return replace(done, video=replace(done.video, notes=(*done.video.notes, *said)))


def _summaries(plan: FilmPlan) -> Iterator[str]:
    """Say what was dubbed of every speaker."""
    for name, own in plan.people or (("", plan),):
        yield f"{name}: " * bool(name) + summary(shots_of(own.track, own.takes))
    yield from plan.unseen


def _damage(row: RowRun, plan: FilmPlan) -> Iterator[str]:
    """Say how many frames of a film could not be decoded, if it is shown once and whole."""
    timing, num_found = row.planned.film, len(plan.track.ticks_N)
    assert timing is not None
    if timing.stop_s is None and num_found < timing.num_frames:
        lost = f"{timing.num_frames - num_found} of {timing.num_frames} frames of the film"
        yield f"{lost} cannot be decoded: those before them stand"


@contextmanager
def opened_dubs(planned: PlannedRow) -> Iterator[list[Dub]]:
    """Give what the shots of a finished film are measured by, from the work folder of its row."""
    work, table = planned.work, planned.row.speakers
    people = [("", work)]
    if table is not None:
        names = [who.name for who in read_speakers(table)]
        people = [(name, urls.join(work, f"{SPEAKERS}/{n}")) for n, name in enumerate(names)]
    voices = [urls.join(own, AUDIO) for _, own in people]
    files = [*voices, urls.join(work, FILM)]
    with artifacts.all_fetched(files) as (*new, film), scratch_folder() as folder:
        old: Path | None = folder / "old.wav"
        try:
            decode_audio(str(film), folder / "old.wav")
        except InputError:  # a film may have no audio
            old = None
        dubs = []
        for (name, own), wav in zip(people, new, strict=True):
            takes = [Take.from_tensors(artifacts.read_tensors(f)) for f in films.take_files(own)]
            if takes:
                kept = artifacts.read_tensors(urls.join(own, TRACK))
                dubs.append(Dub(FilmTrack.from_tensors(kept), takes, wav, old, name))
        yield dubs


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
