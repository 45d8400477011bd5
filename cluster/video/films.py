"""Dub a film in three calls: track it, make its takes, paste them into its frames.

Every take is a video of its own for the sampler: no window, halo or interpolation crosses a cut.
Only URLs and numbers come back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, combinations, count, product

from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.film_requests import DubJob, Film, MadeFrames, TakeJob, TakeRequest, TrackJob
from cluster.video.jobs import TAKES, PausesJob, VideoRequest
from cluster.video.progress import OnProgress, Progress
from cluster.video.render import cancelling, denoise_video, in_turn
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.constants import MODEL_FPS, SAMPLE_RATE_HZ
from sonic_ops.core.errors import FieldError, NoFaceError
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import Segment, cut_segments, num_frames_of
from sonic_ops.film.takes import Take, plan_takes, shared_face
from sonic_ops.film.track import REASONS, TOO_SHORT, FilmTrack
from sonic_ops.media.film_encoding import FilmForm
from sonic_ops.sampling.decoding import frames_read

_TENSORS = ".safetensors"


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """The takes of a film with a request for each, and its track; frames `[0, stop)` are shown.

    `people` are the plans of single speakers that it was joined from, with their names; `unseen`
    says of others why they have none.
    """

    film: Film
    track: FilmTrack
    takes: tuple[Take, ...]
    requests: tuple[VideoRequest, ...]
    stop: int
    people: tuple[tuple[str, "FilmPlan"], ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def fps(self) -> Fraction:
        """Return frames per second, on the average."""
        return Fraction(len(self.track.ticks_N), 1) * self.track.tick_hz / self.track.end_tick


def track_film(pool: Pool, request: VideoRequest, job: TrackJob) -> FilmTrack:
    """Follow a face through the film. Raises NoFaceError."""
    with cancelling(pool, request):
        ref = pool.submit("track_film", job, affinity=(request.order, 0), persistent=True)
        (url,) = pool.get(ref)
    return FilmTrack.from_tensors(artifacts.read_tensors(url))


def plan_film(
    pool: Pool, request: VideoRequest, film: Film, track: FilmTrack, settings: PortraitConfig
) -> FilmPlan:
    """Write the takes of a film, each with its portrait. Raises NoFaceError if there is none."""
    silences_s = _silences(pool, request, track.duration_s)
    takes = plan_takes(track, settings.expand, track.duration_s, silences_s)
    if not takes:
        raise NoFaceError(
            f"No face of the film can be dubbed: {REASONS[TOO_SHORT]} at a time",
            remedy="Give a film that shows a face from the front for longer.",
            field="video",
        )
    requests, jobs = [], []
    for take in takes:
        work = f"{request.work}/{TAKES}/{take.index:04}"
        file, portrait = f"{work}/take{_TENSORS}", f"{work}/portrait{_TENSORS}"
        artifacts.write_tensors(file, take.tensors)
        jobs.append(TakeJob(film, file, settings, portrait))
        part = TakeRequest(file, film, take.first_frame, take.num_frames, request.work)
        requests.append(replace(request, work=work, portrait=portrait, take=part))
    submitted = (
        (job, pool.submit("prepare_take", job, affinity=(request.order, n), persistent=True)[0])
        for n, job in enumerate(jobs)
    )
    with cancelling(pool, request):
        for _ in in_turn(pool, submitted):
            pass
    return FilmPlan(film, track, tuple(takes), tuple(requests), len(track.ticks_N))


def join_plans(plans: Sequence[tuple[str, FilmPlan]]) -> FilmPlan:
    """Make one plan of those of several speakers of a film.

    Raises FieldError if two of them have one face at one time.
    """
    for (name, one), (other_name, other) in combinations(plans, 2):
        for take, second in product(one.takes, other.takes):
            if (frame := shared_face(take, second)) is not None:
                raise FieldError(
                    f"{name} and {other_name} have one face at {one.track.times_s[frame]:.1f} s",
                    remedy="Give each of them another face or position in that shot.",
                    field="speakers",
                )
    first = plans[0][1]
    takes = chain.from_iterable(plan.takes for _, plan in plans)
    requests = chain.from_iterable(plan.requests for _, plan in plans)
    return replace(first, takes=tuple(takes), requests=tuple(requests), people=tuple(plans))


def take_files(work: str) -> Iterator[str]:
    """Yield the files of the takes that were planned in a work folder."""
    for index in count():
        file = f"{work}/{TAKES}/{index:04}/take{_TENSORS}"
        if not artifacts.existing([file]):
            return
        yield file


def _silences(pool: Pool, request: VideoRequest, film_s: float) -> list[tuple[float, float]]:
    """Return where nothing is said, in seconds; a film may last longer than its audio."""
    job = PausesJob(request.audio, request.num_frames, request.pauses)
    with cancelling(pool, request):
        ref = pool.submit("find_pauses", job, affinity=(request.order, 0), persistent=True)
        spans = artifacts.read_tensors(*pool.get(ref))["pauses"].tolist()
    rate, audio_s = float(MODEL_FPS), request.num_samples / SAMPLE_RATE_HZ
    silences_s = [(start / rate, stop / rate) for start, stop in spans]
    if silences_s and silences_s[-1][1] >= request.num_frames / rate:
        silences_s[-1] = (silences_s[-1][0], film_s)
    elif film_s > audio_s:
        silences_s.append((audio_s, film_s))
    return silences_s


def denoise_film(
    pool: Pool, plan: FilmPlan, config: VideoConfig, on_progress: OnProgress
) -> tuple[tuple[Segment, ...], ...]:
    """Denoise all takes, each as a video; return their segments."""
    total = sum(request.num_frames for request in plan.requests)
    num_steps = config.sampling.num_run
    done, all_segments = 0, []
    for request in plan.requests:
        segments = cut_segments(request.num_frames, config.segment_frames)

        def say(progress: Progress, done: int = done, num: int = request.num_frames) -> None:
            share = progress.done / max(progress.total, 1)
            steps = int((done + share * num) / total * num_steps)
            on_progress(Progress("denoise", steps, num_steps))

        denoise_video(pool, request, config, say, segments)
        all_segments.append(segments)
        done += request.num_frames
    return tuple(all_segments)


def encode_film(
    pool: Pool,
    request: VideoRequest,
    plan: FilmPlan,
    segments: Sequence[tuple[Segment, ...]],
    config: VideoConfig,
    on_progress: OnProgress,
) -> list[tuple[Fraction, str]]:
    """Paste what was made into the frames of the film; return the segments and their starts."""
    jobs = list(_dub_jobs(request, plan, segments, config))
    existing = artifacts.existing([job.target for job in jobs])
    total = num_frames_of(request.num_samples)
    todo = [(n, job) for n, job in enumerate(jobs) if job.target not in existing]
    submitted = (
        (job, pool.submit("dub", job, affinity=(request.order, n), persistent=True)[0])
        for n, job in todo
    )
    with cancelling(pool, request):
        for count, _ in enumerate(in_turn(pool, submitted), start=1):
            on_progress(Progress("decode", (len(existing) + count) * total // len(jobs), total))
    return [(job.start_s, job.target) for job in jobs]


def _dub_jobs(
    request: VideoRequest,
    plan: FilmPlan,
    segments: Sequence[tuple[Segment, ...]],
    config: VideoConfig,
) -> list[DubJob]:
    track, fps = plan.track, plan.fps
    size = max(round(config.segment_frames / MODEL_FPS * fps), 1)
    form = FilmForm(track.pixel_shape, track.display_matrix)
    jobs = []
    for part in cut_segments(plan.stop, size):
        last = part.stop == len(track.ticks_N)
        stop_s = Fraction(track.end_tick, track.tick_hz) if last else track.time_s(part.stop)
        made = tuple(
            _made(take, own, cut, take.around(track.time_s(part.start), stop_s), config)
            for take, own, cut in zip(plan.takes, plan.requests, segments, strict=True)
            if take.start < part.stop and take.stop > part.start
        )
        jobs.append(
            DubJob(
                plan.film,
                part.start,
                track.time_s(part.start),
                stop_s,
                made,
                request.encoded(part),
                config.media,
                config.decoding,
                config.low_memory,
                request.low_memory_note("dub", part),
                fps,
                form,
                request.label,
            )
        )
    return jobs


def _made(
    take: Take, request: VideoRequest, cut: tuple[Segment, ...], seen: range, config: VideoConfig
) -> MadeFrames:
    """Return the latents that some frames of the film need."""
    first, last = int(take.place(seen.start)), int(take.place(seen[-1])) + 2
    span = range(min(first, take.num_frames - 1), min(last, take.num_frames))
    read = frames_read(span, take.num_frames, config.decoding)
    around = tuple(s for s in cut if s.start < read.stop and s.stop > read.start)
    assert request.take is not None
    latents = tuple(map(request.latents, around))
    return MadeFrames(request.take.file, request.portrait, around, latents)
