"""The render loop: a graph of jobs per segment and step. Only addresses come back.

A step of a segment waits for that segment and its neighbours alone, so a slow worker delays its
neighbours and not the world.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cluster import artifacts
from cluster.config import VideoConfig
from cluster.jobs import (
    ConditionJob,
    DecodeJob,
    DenoiseJob,
    EncodeJob,
    FuseJob,
    PieceJob,
    StartJob,
    StoreJob,
    VideoRequest,
)
from cluster.pool import Pool, Ref
from sonic_ops.config import SamplingConfig
from sonic_ops.constants import PIECE_SAMPLES, SAMPLES_PER_TICK, TOKENS_PER_TICK
from sonic_ops.exchange import StepPlan, plan_step
from sonic_ops.timeline import Segment, cut_pieces, cut_segments, window_grid


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage of one video is."""

    stage: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]
Parcel = dict[tuple[int, int], Ref]
"""(from segment, to segment) -> the tensor that travels."""


def encode_audio(pool: Pool, request: VideoRequest, on_progress: OnProgress) -> list[str]:
    """Encode the whole track once, piece by piece; the addresses of the token files."""
    pieces = list(cut_pieces(request.num_samples, PIECE_SAMPLES))
    jobs = [
        PieceJob(
            request.audio,
            piece.start,
            piece.stop,
            f"{request.work}/tokens/{piece.index:05}.safetensors",
        )
        for piece in pieces
    ]
    todo = [job for job in jobs if not artifacts.exists(job.target)]
    places = pool.place(len(todo)) if todo else ()
    flights = [
        pool.submit(worker, "encode_piece", job)[0]
        for worker, job in zip(places, todo, strict=True)
    ]
    for done, ref in enumerate(flights, start=len(jobs) - len(todo) + 1):
        pool.get([ref])
        on_progress(Progress("listen", done, len(jobs)))
    return [job.target for job in jobs]


def denoise_video(
    pool: Pool, request: VideoRequest, config: VideoConfig, on_progress: OnProgress
) -> list[str]:
    """Denoise all segments; the addresses of their latents.

    Raises SonicError. The latents have the same bits for any pool and any cut into segments.
    """
    segments = cut_segments(request.num_frames, config.segment_frames)
    targets = [f"{request.work}/latents/{s.index:05}.safetensors" for s in segments]
    if not all(map(artifacts.exists, targets)):
        _Denoising(pool, request, config, segments).run(targets, on_progress)
    return targets


class _Denoising:
    """The graph of one video."""

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        segments: tuple[Segment, ...],
    ) -> None:
        self.pool, self.request, self.segments = pool, request, segments
        self.sampling = request.sampling(config.sampling)
        self.workers = pool.place(len(segments))
        self.num_steps = num_steps_of(self.sampling)
        self.portrait = self._submit(
            0, "condition_portrait", request.portrait, request.seed, self.sampling.condition_noise
        )[0]
        self.heard = [self._condition(segment) for segment in segments]

    def run(self, targets: list[str], on_progress: OnProgress) -> None:
        plan = self._plan(0)
        parcels = self._start(plan)
        tickets: list[Ref] = []
        for step in range(self.num_steps):
            following = self._plan(step + 1) if step + 1 < self.num_steps else None
            rows = self._denoise(step, plan, parcels)
            parcels, new_tickets = self._fuse(plan, following, rows)
            # Two steps are in flight: enough to keep workers busy, few enough to stay small.
            self._settle(step, tickets, on_progress)
            tickets, plan = new_tickets, following or plan
        self._settle(self.num_steps, tickets, on_progress)
        self.pool.get(self._store(targets, parcels))

    def _settle(self, done: int, tickets: list[Ref], on_progress: OnProgress) -> None:
        self.pool.get(tickets)
        on_progress(Progress("denoise", done, self.num_steps))

    def _plan(self, step: int) -> StepPlan:
        grid = window_grid(
            self.request.num_frames,
            step,
            size=self.sampling.window_frames,
            overlap=self.sampling.window_overlap,
            shift=self.sampling.shift_frames,
        )
        return plan_step(self.request.num_frames, self.segments, grid)

    def _submit(
        self, segment: int, method: str, *arguments: object, num_returns: int = 1
    ) -> tuple[Ref, ...]:
        worker = self.workers[segment]
        return self.pool.submit(worker, method, *arguments, num_returns=num_returns)

    def _condition(self, segment: Segment) -> Ref:
        reach = segment.stop + self.sampling.window_frames - 1
        num_frames = self.request.num_frames
        pieces = cut_pieces(self.request.num_samples, PIECE_SAMPLES)
        job = ConditionJob(
            pieces=tuple(f"{self.request.work}/tokens/{p.index:05}.safetensors" for p in pieces),
            num_tokens=self.request.num_samples // SAMPLES_PER_TICK * TOKENS_PER_TICK,
            frames=tuple(sorted({f % num_frames for f in range(segment.start, reach)})),
            sampling=self.sampling,
        )
        return self._submit(segment.index, "condition_frames", job, self.portrait)[0]

    def _start(self, plan: StepPlan) -> Parcel:
        parcels: Parcel = {}
        for segment in self.segments:
            readers = self._readers(segment, plan)
            job = StartJob(segment, self.request.seed, self.sampling, tuple(readers.values()))
            refs = self._submit(
                segment.index, "start", job, self.portrait, num_returns=len(readers)
            )
            parcels |= {(segment.index, r): ref for r, ref in zip(readers, refs, strict=True)}
        return parcels

    def _denoise(self, step: int, plan: StepPlan, parcels: Parcel) -> Parcel:
        rows: Parcel = {}
        for index, owners in enumerate(plan.touched):
            if not owners:
                continue
            job = DenoiseJob(
                step,
                self.request.num_frames,
                plan.windows[index],
                tuple(plan.reads(index, owner) for owner in owners),
                tuple(plan.rows(index, owner) for owner in owners),
                self.sampling,
            )
            inputs = [parcels[owner, index] for owner in owners]
            refs = self._submit(
                index,
                "denoise",
                job,
                self.portrait,
                self.heard[index],
                *inputs,
                num_returns=len(owners),
            )
            rows |= {(index, owner): ref for owner, ref in zip(owners, refs, strict=True)}
        return rows

    def _fuse(
        self, plan: StepPlan, following: StepPlan | None, rows: Parcel
    ) -> tuple[Parcel, list[Ref]]:
        parcels: Parcel = {}
        tickets = []
        for segment in self.segments:
            writers = plan.touching(segment.index)
            readers = self._readers(segment, following)
            job = FuseJob(
                segment,
                tuple(plan.rows(writer, segment.index) for writer in writers),
                tuple(readers.values()),
            )
            inputs = [rows[writer, segment.index] for writer in writers]
            *refs, ticket = self._submit(
                segment.index, "fuse", job, *inputs, num_returns=len(readers) + 1
            )
            parcels |= {(segment.index, r): ref for r, ref in zip(readers, refs, strict=True)}
            tickets.append(ticket)
        return parcels, tickets

    def _readers(self, owner: Segment, plan: StepPlan | None) -> dict[int, tuple[int, ...]]:
        """Who reads which frames of a segment in a step; after the last step, it does itself."""
        if plan is None:
            return {owner.index: tuple(range(owner.start, owner.stop))}
        return {reader: plan.reads(reader, owner.index) for reader in plan.touching(owner.index)}

    def _store(self, targets: list[str], parcels: Parcel) -> list[Ref]:
        return [
            self._submit(
                index,
                "store",
                StoreJob(target, self.sampling),
                self.portrait,
                parcels[index, index],
            )[0]
            for index, target in enumerate(targets)
        ]


def num_steps_of(sampling: SamplingConfig) -> int:
    """Steps that are run."""
    return min(int(sampling.steps * sampling.strength), sampling.steps)


def encode_video(
    pool: Pool, request: VideoRequest, config: VideoConfig, on_progress: OnProgress
) -> list[str]:
    """Decode, interpolate and encode all segments; the addresses of the encoded segments."""
    segments = cut_segments(request.num_frames, config.segment_frames)
    targets = [f"{request.work}/segments/{s.index:05}.mp4" for s in segments]
    todo = [s for s in segments if not artifacts.exists(targets[s.index])]
    finishing = _Finishing(pool, request, config, segments, todo)
    flights: list[tuple[Segment, Ref]] = []
    done = sum(len(s) for s in segments if s not in todo)
    for segment in todo:
        flights.append((segment, finishing.encode(segment, targets[segment.index])))
        if len(flights) > 2 * pool.num_workers:
            done = _land(pool, flights, done, request.num_frames, on_progress)
    while flights:
        done = _land(pool, flights, done, request.num_frames, on_progress)
    return targets


def _land(
    pool: Pool, flights: list[tuple[Segment, Ref]], done: int, total: int, on_progress: OnProgress
) -> int:
    segment, ref = flights.pop(0)
    pool.get([ref])
    on_progress(Progress("decode", done + len(segment), total))
    return done + len(segment)


class _Finishing:
    """From latents to encoded segments; a picture at a border is decoded once."""

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        segments: tuple[Segment, ...],
        todo: list[Segment],
    ) -> None:
        self.pool, self.request, self.config = pool, request, config
        self.segments, self.todo = segments, todo
        self.workers = pool.place(len(segments))
        self.latents = tuple(f"{request.work}/latents/{s.index:05}.safetensors" for s in segments)
        self.decoded: dict[int, tuple[Ref, ...]] = {}

    def encode(self, segment: Segment, target: str) -> Ref:
        frames, _ = self._decode(segment)
        following = self._first_after(segment)
        self.decoded.pop(segment.index)
        output = segment.output_frames(self.request.num_frames, self.request.num_output_frames)
        job = EncodeJob(
            segment,
            output.start,
            output.stop,
            self.request.num_frames,
            target,
            self.config.media,
        )
        worker = self.workers[segment.index]
        return self.pool.submit(worker, "encode", job, frames, following)[0]

    def _first_after(self, segment: Segment) -> Ref | None:
        """The first picture of the next segment; alone, if nothing else of it is missing."""
        if segment.index + 1 == len(self.segments):
            return None
        following = self.segments[segment.index + 1]
        if following in self.todo:
            return self._decode(following)[1]
        return self._submit_decode(following, following.start + 1)[1]

    def _decode(self, segment: Segment) -> tuple[Ref, ...]:
        if segment.index not in self.decoded:
            self.decoded[segment.index] = self._submit_decode(segment, segment.stop)
        return self.decoded[segment.index]

    def _submit_decode(self, segment: Segment, stop: int) -> tuple[Ref, ...]:
        job = DecodeJob(
            segment.start,
            stop,
            self.request.num_frames,
            self.segments,
            self.latents,
            self.config.decoding,
        )
        worker = self.workers[segment.index]
        return self.pool.submit(worker, "decode", job, num_returns=2)
