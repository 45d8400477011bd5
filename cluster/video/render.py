"""The render of one video in three calls. Only URLs come back.

What is in the work folder already is not made again, so a call after a crash does what is missing.
A call that finds a damaged file raises DamagedFileError, and `artifacts.retry_on_corrupt` makes it
again.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from cluster.pool.base import Pool, Ref
from cluster.storage import artifacts
from cluster.video.denoising import Denoising
from cluster.video.finishing import Finishing
from cluster.video.jobs import BlendJob, ColourStatsJob, PausesJob, VideoRequest
from cluster.video.overlapped import blend_sources_of
from cluster.video.progress import OnProgress, Progress
from cluster.video.streaming import OnEncoded, Streaming
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import Segment, cut_segments, pad_segments, window_grid
from sonic_ops.picture.colour_correction import ColourStats, correction_of, joined, stats_frames
from sonic_ops.sampling.halo import Grid, plan_apart, plan_step

__all__ = [
    "OnProgress",
    "Progress",
    "denoise_video",
    "encode_audio",
    "encode_video",
    "split_video",
    "stream_video",
]

T = TypeVar("T")


def encode_audio(pool: Pool, request: VideoRequest, on_progress: OnProgress) -> list[str]:
    """Encode the whole track once, chunk by chunk; return the token files."""
    targets = [job.target for job in request.chunks]
    existing = artifacts.existing(targets)
    todo = [(index, job) for index, job in enumerate(request.chunks) if job.target not in existing]
    submitted = (
        (
            index,
            pool.submit("encode_chunk", job, affinity=(request.order, index), persistent=True)[0],
        )
        for index, job in todo
    )
    with cancelling(pool, request):
        for count, _ in enumerate(in_turn(pool, submitted), start=1):
            on_progress(Progress("encode audio", len(existing) + count, len(targets)))
    return targets


def denoise_video(
    pool: Pool,
    request: VideoRequest,
    config: VideoConfig,
    on_progress: OnProgress,
    segments: tuple[Segment, ...] | None = None,
) -> list[str]:
    """Denoise all segments, which `split_video` cuts; return the paths of their latents.

    Raises SonicError. With `fusion: every_step` the latents have the same bits for any pool, any
    cut into segments and any interruption.
    """
    with cancelling(pool, request):
        segments = segments or split_video(pool, request, config)
        targets = [request.latents(segment) for segment in segments]
        existing = artifacts.existing(targets)
        missing = [segment for segment in segments if request.latents(segment) not in existing]
        if missing and config.fusion == "every_step":
            _together(pool, request, config, segments, missing).run(on_progress)
        elif missing:
            _denoise_apart(pool, request, config, segments, missing, on_progress)
    return targets


def stream_video(
    pool: Pool,
    request: VideoRequest,
    config: VideoConfig,
    on_progress: OnProgress,
    segments: tuple[Segment, ...],
    on_encoded: OnEncoded,
) -> list[str]:
    """Denoise as `denoise_video` does, and encode each segment as early as possible.

    The audio is encoded where that is missing, as the segments need it. This is for
    `fusion: every_step` without a correction of colours, which needs all latents.
    Raises SonicError.
    """
    targets = [request.latents(segment) for segment in segments]
    existing = artifacts.existing(targets)
    missing = [segment for segment in segments if request.latents(segment) not in existing]
    with (
        Streaming(pool, request, config, segments, on_encoded) as streaming,
        cancelling(pool, request),
    ):
        if missing:
            together = _together(pool, request, config, segments, missing, streaming)
            together.run(on_progress)
        streaming.end()
    return targets


def encode_video(
    pool: Pool,
    request: VideoRequest,
    config: VideoConfig,
    on_progress: OnProgress,
    sources: tuple[Segment, ...] | None = None,
) -> list[str]:
    """Decode, interpolate and encode all segments; return the paths of the encoded segments.

    `sources` are the segments of the latents, as `split_video` cut them.

    At most two segments per worker are under way, so memory does not grow with the video.
    """
    segments = cut_segments(request.num_frames, config.segment_frames)
    targets = [request.encoded(segment) for segment in segments]
    existing = artifacts.existing(targets)
    todo = [segment for segment in segments if request.encoded(segment) not in existing]
    if todo:
        with cancelling(pool, request):
            sources = sources or split_video(pool, request, config)
            if config.media.colour_correction:
                _correct_colours(pool, request, sources)
            finishing = Finishing(pool, request, config, segments, todo, sources)
            done = request.num_frames - sum(map(len, todo))
            submitted = ((segment, finishing.encode(segment)) for segment in todo)
            for segment in in_turn(pool, submitted):
                done += len(segment)
                on_progress(Progress("decode", done, request.num_frames))
    return targets


def _correct_colours(pool: Pool, request: VideoRequest, segments: tuple[Segment, ...]) -> None:
    """Store the colour correction, from the colour statistics of the whole video."""
    if artifacts.existing([request.correction]):
        return
    jobs = [
        ColourStatsJob(s, frames, request.latents(s), request.portrait, request.colour_stats(s))
        for s in segments
        if (frames := stats_frames(s.start, s.stop, request.num_frames))
    ]
    order = request.order
    submitted = (
        (
            job,
            pool.submit(
                "measure_colour_stats", job, affinity=(order, job.segment.index), persistent=True
            )[0],
        )
        for job in jobs
    )
    for _ in in_turn(pool, submitted):
        pass
    parts = [ColourStats.from_tensors(artifacts.read_tensors(job.target)) for job in jobs]
    artifacts.write_tensors(request.correction, lambda: correction_of(joined(parts)).tensors())


def split_video(pool: Pool, request: VideoRequest, config: VideoConfig) -> tuple[Segment, ...]:
    """Cut the video into the segments to denoise; their borders may lie in pauses of the speech.

    Encoded segments keep their even borders: these show in the video, as key frames.
    """
    tolerance, pauses = config.border_tolerance_frames, list[range]()
    if tolerance:
        job = PausesJob(request.audio, request.num_frames, request.pauses)
        found = pool.submit("find_pauses", job, affinity=(request.order, 0), persistent=True)
        spans = artifacts.read_tensors(*pool.get(found))["pauses"].tolist()
        pauses = [range(start, stop) for start, stop in spans]
    return cut_segments(
        request.num_frames, config.segment_frames, pauses=pauses, tolerance=tolerance
    )


def _together(
    pool: Pool,
    request: VideoRequest,
    config: VideoConfig,
    segments: tuple[Segment, ...],
    missing: list[Segment],
    streaming: Streaming | None = None,
) -> Denoising:
    """Plan to denoise segments that exchange frames after every step."""
    return Denoising(
        pool,
        request,
        config,
        lambda step: plan_step(segments, _grid(config, step), config.sampling.padding_mode),
        target=request.latents,
        wanted=frozenset(segment.index for segment in missing),
        on_final=streaming.follow if streaming else None,
        num_first=streaming.num_first if streaming else 1,
    )


def _denoise_apart(
    pool: Pool,
    request: VideoRequest,
    config: VideoConfig,
    segments: tuple[Segment, ...],
    missing: list[Segment],
    on_progress: OnProgress,
) -> None:
    """Denoise every segment alone with its overlaps, then fuse the overlaps once."""
    padded_segments = pad_segments(segments, config.overlap, config.sampling.window_frames)
    blend_sources = {
        segment: blend_sources_of(request, segment, segments, padded_segments, config.overlap)
        for segment in missing
    }
    Denoising(
        pool,
        request,
        config,
        lambda step: plan_apart(padded_segments, _grid(config, step), config.sampling.padding_mode),
        target=request.padded,
        wanted=frozenset(
            source.padded.index for parts in blend_sources.values() for source in parts
        ),
    ).run(on_progress)
    jobs = (
        BlendJob(segment, blend_sources[segment], request.latents(segment)) for segment in missing
    )
    submitted = (
        (
            job,
            pool.submit("blend", job, affinity=(request.order, job.segment.index), persistent=True)[
                0
            ],
        )
        for job in jobs
    )
    for _ in in_turn(pool, submitted):
        pass


def _grid(config: VideoConfig, step: int) -> Grid:
    sampling = config.sampling
    return lambda num_frames: window_grid(
        num_frames,
        step,
        size=sampling.window_frames,
        overlap=sampling.window_overlap,
        shift=sampling.shift_frames,
        padding_mode=sampling.padding_mode,
    )


def in_turn(pool: Pool, submitted: Iterable[tuple[T, Ref]]) -> Iterator[T]:
    """Yield submitted items as their jobs end, keeping two per worker under way."""
    under_way: deque[tuple[T, Ref]] = deque()
    for pair in submitted:
        under_way.append(pair)
        while len(under_way) >= 2 * pool.num_workers:
            yield _ended(pool, *under_way.popleft())
    while under_way:
        yield _ended(pool, *under_way.popleft())


def _ended(pool: Pool, item: T, ref: Ref) -> T:
    pool.get([ref])
    return item


@contextmanager
def cancelling(pool: Pool, request: VideoRequest) -> Iterator[None]:
    """Forget the jobs of a call that fails: whoever calls again submits them anew."""
    try:
        yield
    except BaseException:
        pool.cancel_row(request.order)
        raise
