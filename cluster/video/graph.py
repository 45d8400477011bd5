"""The jobs of denoising, submitted when something asks for them, and what travels between them.

`(step, segment)` stands for the latents of a segment after so many steps: step 0 is noise, and
denoising in step k leads from k to k + 1.
"""

from collections.abc import Callable, Collection

from cluster.pool.base import Affinity, Pool, Ref
from cluster.storage import artifacts
from cluster.video.film_requests import SourceJob
from cluster.video.jobs import (
    ConditionJob,
    DenoiseJob,
    FuseJob,
    Readers,
    ResumeJob,
    StartJob,
    StoreJob,
    VideoRequest,
)
from cluster.video.resume import PlanStep, RemainingWork
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import num_tokens_of, tokens_read

CheckpointUrl = Callable[[int, int], str]
"""(step, segment) -> where its file is."""


class Graph:
    """The jobs that lead from the noise, or from files, to the finished latents.

    What travels is kept only until it is handed to the job that takes it. After the steps `stops`
    a segment is written to a file, from which its next step reads it.
    """

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        plan: PlanStep,
        remaining: RemainingWork,
        stops: Collection[int],
        checkpoint_url: CheckpointUrl,
    ) -> None:
        self.pool, self.request, self.config = pool, request, config
        self.sampling = config.sampling
        self.plan, self.remaining, self.checkpoint_url = plan, remaining, checkpoint_url
        self.stops = frozenset(stops)
        self.segments = plan(0).segments
        self.num_tokens = num_tokens_of(request.num_samples)
        shown = (request.portrait, request.seed, self.sampling.condition_noise)
        self.portrait = pool.submit("condition_portrait", *shown, affinity=self._affinity(0))[0]
        self.audio_condition: dict[int, Ref] = {}
        self.chunks = request.chunks
        self.encoded = artifacts.existing(job.target for job in self.chunks)
        self.tokens: dict[int, Ref] = {}  # of the audio chunks that nobody has encoded
        self.sources: dict[int, Ref] = {}
        self.stored: dict[tuple[int, int], Ref] = {}  # step, segment
        self.halos: dict[tuple[int, int, int], Ref] = {}  # step, owner, reader
        self.parts: dict[tuple[int, int, int], Ref] = {}  # step, writer, owner
        self.made: set[tuple[int, int]] = set()
        self.denoised: set[tuple[int, int]] = set()

    def make(self, step: int, owner: int) -> None:
        """Submit all that leads to (step, owner), and hand that to its readers."""
        if (step, owner) in self.made:
            return
        self.made.add((step, owner))
        if owner in self.remaining.made[step]:
            self._fuse(step, owner)
        if step in self.stops and step < self.sampling.num_run:
            self._read(step, owner)

    def take_stored(self) -> dict[tuple[int, int], Ref]:
        """Return the files asked for since the last call, by (step, segment)."""
        stored, self.stored = self.stored, {}
        return stored

    def _denoise(self, step: int, writer: int) -> None:
        """Submit the windows of a segment in a step."""
        if (step, writer) in self.denoised:
            return
        self.denoised.add((step, writer))
        plan = self.plan(step)
        sources = plan.sources[writer]
        for owner in sources:
            self.make(step, owner)
        targets = [
            owner for owner in plan.targets[writer] if owner in self.remaining.made[step + 1]
        ]
        job = DenoiseJob(
            self.segments[writer],
            step,
            plan.rings[writer],
            plan.windows[writer],
            tuple(plan.reads(writer, owner) for owner in sources),
            tuple(plan.parts(writer, owner) for owner in targets),
            self.sampling,
            self.config.low_memory,
            self.request.low_memory_note("denoise", self.segments[writer]),
        )
        halos = [self.halos.pop((step, owner, writer)) for owner in sources]
        arguments = (job, self.portrait, self._condition_of(writer), *halos)
        refs = self.pool.submit(
            "denoise", *arguments, affinity=self._affinity(writer), num_returns=len(targets)
        )
        for owner, ref in zip(targets, refs, strict=True):
            self.parts[step, writer, owner] = ref

    def _fuse(self, step: int, owner: int) -> None:
        """Submit the fusion that makes (step, owner); what is stored is read from its file."""
        plan, segment = self.plan(step - 1), self.segments[owner]
        writers = plan.writers[owner]
        for writer in writers:
            self._denoise(step - 1, writer)
        parts = tuple(plan.parts(writer, owner) for writer in writers)
        halos = [self.parts.pop((step - 1, writer, owner)) for writer in writers]
        if step in self.stops:
            store = StoreJob(
                segment,
                parts,
                step,
                self.checkpoint_url(step, owner),
                self.sampling,
                self._start(owner),
            )
            arguments = (store, self.portrait, self._source(owner), *halos)
            self.stored[step, owner] = self.pool.submit(
                "store", *arguments, affinity=self._affinity(owner), persistent=True
            )[0]
        else:
            readers = tuple(self._readers(step, owner).values())
            job = FuseJob(segment, parts, step, readers, self._start(owner))
            source = self._source(owner)
            # What a portrait shows matters to a film alone, once it is on its way.
            portrait = None if source is None else self.portrait
            self._scatter(step, owner, "fuse", job, portrait, source, *halos)

    def _read(self, step: int, owner: int) -> None:
        """Draw the noise of a segment, or read its checkpoint, which may be on its way."""
        segment, readers = self.segments[owner], tuple(self._readers(step, owner).values())
        if step == 0:
            start = self._start(owner, readers)
            self._scatter(step, owner, "start", start, self.portrait, self._source(owner))
        else:
            job = ResumeJob(segment, step, self.checkpoint_url(step, owner), readers)
            self._scatter(step, owner, "resume", job, self.stored.get((step, owner)))

    def _start(self, owner: int, readers: Readers = ()) -> StartJob:
        request = self.request
        return StartJob(
            self.segments[owner], request.seed, self.sampling, readers, request.first_frame
        )

    def _source(self, owner: int) -> Ref | None:
        """Return the film's frames of a segment, submitted when first asked for; None without."""
        request, segment = self.request, self.segments[owner]
        if request.take is None:
            return None
        if owner not in self.sources:
            job = SourceJob(
                segment,
                request.take.film,
                request.take.file,
                request.portrait,
                request.source(segment),
            )
            self.sources[owner] = self.pool.submit(
                "encode_source", job, affinity=self._affinity(owner), persistent=True
            )[0]
        return self.sources[owner]

    def _scatter(self, step: int, owner: int, method: str, *arguments: object) -> None:
        readers = self._readers(step, owner)
        refs = self.pool.submit(
            method, *arguments, affinity=self._affinity(owner), num_returns=len(readers)
        )
        for reader, ref in zip(readers, refs, strict=True):
            self.halos[step, owner, reader] = ref

    def _readers(self, step: int, owner: int) -> dict[int, tuple[int, ...]]:
        """Return who reads which frames of (step, owner)."""
        plan, writers = self.plan(step), self.remaining.writers[step]
        return {r: plan.reads(r, owner) for r in plan.readers[owner] if r in writers}

    def _condition_of(self, index: int) -> Ref:
        """Return the audio condition of a segment, submitted with its first window."""
        if index not in self.audio_condition:
            segment, ring = self.segments[index], self.plan(0).rings[index]
            reach = segment.stop + self.sampling.window_frames - 1
            job = ConditionJob(
                chunks=tuple(job.chunk for job in self.chunks),
                tokens=tuple(job.target for job in self.chunks),
                num_tokens=self.num_tokens,
                frames=ring.around(segment.start, reach),
                sampling=self.sampling,
                target=self.request.audio_condition(segment),
                first_frame=self.request.first_frame,
            )
            self.audio_condition[index] = self.pool.submit(
                "condition_frames",
                job,
                self.portrait,
                *self._tokens(job),
                affinity=self._affinity(index),
                persistent=True,
            )[0]
        return self.audio_condition[index]

    def _tokens(self, condition: ConditionJob) -> list[Ref]:
        """Return the audio chunks that a condition reads and that were not encoded before."""
        read: set[int] = set()
        for tokens in tokens_read([condition.first_frame + frame for frame in condition.frames]):
            first = max(min(tokens.start, self.num_tokens - 1), 0)
            last = max(tokens.stop, first + 1)
            read.update(
                job.chunk.index
                for job in self.chunks
                if job.chunk.rise.start < last and job.chunk.fall.stop > first
            )
        missing = [i for i in sorted(read) if self.chunks[i].target not in self.encoded]
        for index in missing:
            if index not in self.tokens:
                self.tokens[index] = self.pool.submit(
                    "encode_chunk",
                    self.chunks[index],
                    affinity=(self.request.order, index),
                    persistent=True,
                )[0]
        return [self.tokens[index] for index in missing]

    def _affinity(self, segment: int) -> Affinity:
        """Prefer one worker for all jobs of a segment."""
        return self.request.order, segment
