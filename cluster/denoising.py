"""Denoising as a graph of jobs per segment and step, tied together by object references.

A step of a segment waits for that segment and its neighbours alone, so a slow worker delays its
neighbours and not the world.
"""

from cluster.config import VideoConfig
from cluster.jobs import (
    ConditionJob,
    DenoiseJob,
    FuseJob,
    StartJob,
    StoreJob,
    VideoRequest,
)
from cluster.pool import Pool, Ref
from cluster.progress import OnProgress, Progress
from sonic_ops.constants import SAMPLES_PER_TICK, TOKENS_PER_TICK
from sonic_ops.exchange import StepPlan, plan_step
from sonic_ops.timeline import Segment, window_grid

Parcel = dict[tuple[int, int], Ref]
"""(from segment, to segment) -> the tensor that travels."""


class Denoising:
    """The graph of one video."""

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        segments: tuple[Segment, ...],
    ) -> None:
        self.pool, self.request, self.segments = pool, request, segments
        self.sampling = config.sampling
        self.num_steps = config.sampling.num_run
        self.portrait = self._submit(
            0, "condition_portrait", request.portrait, request.seed, self.sampling.condition_noise
        )[0]
        self.heard = [self._condition(segment) for segment in segments]

    def run(self, on_progress: OnProgress) -> None:
        """Denoise all segments and write their latents."""
        plan = self._plan(0)
        parcels = self._start(plan)
        tickets: list[Ref] = []
        for step in range(self.num_steps):
            following = self._plan(step + 1) if step + 1 < self.num_steps else None
            parts = self._denoise(step, plan, parcels)
            parcels, new_tickets = self._fuse(plan, following, parts)
            # Two steps are in flight: enough to keep workers busy, few enough to stay small.
            self._settle(step, tickets, on_progress)
            tickets, plan = new_tickets, following or plan
        self._settle(self.num_steps, tickets, on_progress)
        self.pool.get(self._store(parcels))

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
        self,
        segment: int,
        method: str,
        *arguments: object,
        num_returns: int = 1,
        lasting: bool = False,
    ) -> tuple[Ref, ...]:
        near = (self.request.order, segment)
        return self.pool.submit(
            method, *arguments, near=near, num_returns=num_returns, lasting=lasting
        )

    def _condition(self, segment: Segment) -> Ref:
        reach = segment.stop + self.sampling.window_frames - 1
        num_frames = self.request.num_frames
        job = ConditionJob(
            pieces=tuple(piece.target for piece in self.request.pieces),
            num_tokens=self.request.num_samples // SAMPLES_PER_TICK * TOKENS_PER_TICK,
            frames=tuple(sorted({f % num_frames for f in range(segment.start, reach)})),
            sampling=self.sampling,
            target=self.request.heard(segment),
        )
        return self._submit(segment.index, "condition_frames", job, self.portrait, lasting=True)[0]

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
        parts: Parcel = {}
        for index, owners in enumerate(plan.touched):
            if not owners:
                continue
            job = DenoiseJob(
                step,
                self.request.num_frames,
                plan.windows[index],
                tuple(plan.reads(index, owner) for owner in owners),
                tuple(plan.parts(index, owner) for owner in owners),
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
            parts |= {(index, owner): ref for owner, ref in zip(owners, refs, strict=True)}
        return parts

    def _fuse(
        self, plan: StepPlan, following: StepPlan | None, parts: Parcel
    ) -> tuple[Parcel, list[Ref]]:
        parcels: Parcel = {}
        tickets = []
        for segment in self.segments:
            writers = plan.touching(segment.index)
            readers = self._readers(segment, following)
            job = FuseJob(
                segment,
                tuple(plan.parts(writer, segment.index) for writer in writers),
                tuple(readers.values()),
            )
            inputs = [parts[writer, segment.index] for writer in writers]
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

    def _store(self, parcels: Parcel) -> list[Ref]:
        return [
            self._submit(
                segment.index,
                "store",
                StoreJob(self.request.latents(segment), self.sampling),
                self.portrait,
                parcels[segment.index, segment.index],
                lasting=True,
            )[0]
            for segment in self.segments
        ]
