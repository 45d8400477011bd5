"""Denoising as a graph of jobs per segment and step, tied together by object references.

A step of a segment waits for that segment and its neighbours alone, so a slow worker delays its
neighbours and not the world. Every few steps a segment is written to a checkpoint, from which its
next step reads it: no job remembers more than the steps since then, and a restart is the same
graph without what the files that exist make needless.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise

from cluster.pool.base import Pool, Ref
from cluster.storage import artifacts
from cluster.video.graph import Graph
from cluster.video.jobs import VideoRequest
from cluster.video.progress import OnProgress, Progress
from cluster.video.resume import PlanStep, remaining_work
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import Segment

BLOCK_SEGMENTS = 2
"""Segments per worker that take their steps together, so that no worker waits for a neighbour.
Two blocks are under way, and no more is in memory, however long the video is."""


@dataclass(frozen=True, slots=True)
class Block:
    """Segments on their way from one checkpoint to the next: what they write, and their work."""

    start: int
    tickets: tuple[Ref, ...]
    frame_steps: int
    is_last: bool


class Denoising:
    """The job graph of one video.

    `wanted` are the segments whose finished latents are needed; `target` names their files.
    """

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        plan: PlanStep,
        *,
        target: Callable[[Segment], str],
        wanted: frozenset[int],
    ) -> None:
        self.pool, self.request, self.target = pool, request, target
        self.num_steps = config.sampling.num_run
        self.stops = self._stops(config.checkpoint_every or self.num_steps)
        plan = lru_cache(maxsize=max(b - a for a, b in pairwise(self.stops)) + 2)(plan)
        self.segments = plan(0).segments
        self.remaining = remaining_work(plan, self.num_steps, wanted, self._kept)
        self.graph = Graph(pool, request, config, plan, self.remaining, self._address)

    def run(self, on_progress: OnProgress) -> None:
        """Make the finished latents that are wanted, from the newest files there are.

        Raises SonicError.
        """
        total = sum(map(len, self.segments)) * self.num_steps
        left = sum(len(self.segments[index]) for made in self.remaining.made for index in made)

        def say() -> None:
            done = (total - left) * self.num_steps // total
            on_progress(Progress("denoise", done, self.num_steps))

        under_way: deque[Block] = deque()
        say()
        for block in chain(self._blocks(), [None]):
            while under_way and (block is None or len(under_way) == 2):
                left -= self._settle(under_way.popleft())
                say()
            if block is not None:
                under_way.append(block)

    def _blocks(self) -> Iterator[Block]:
        """Submit the graph block by block.

        With every step a block moves one segment to the left, because a step reads from the
        segment to the right: what it needs there, the block has made in the step before.
        """
        for start, stop in pairwise(self.stops):
            if not self.remaining.made[stop]:
                continue
            self.graph.go_to(start, stop)
            first, end = 0, len(self.segments) + stop - start - 1
            while first < end:
                last = first + BLOCK_SEGMENTS * self.pool.num_workers
                made = self._made(start, stop, range(first, last))
                for step, index in made:
                    self.graph.make(step, index)
                tickets = tuple(self.graph.stored[index] for step, index in made if step == stop)
                frame_steps = sum(len(self.segments[index]) for _, index in made)
                yield Block(start, tickets, frame_steps, is_last=last >= end)
                first = last

    def _made(self, start: int, stop: int, span: range) -> list[tuple[int, int]]:
        """Return the (step, segment) of a block, which moves to the left with every step."""
        return [
            (step, index + start + 1 - step)
            for step in range(start + 1, stop + 1)
            for index in span
            if index + start + 1 - step in self.remaining.made[step]
        ]

    def _settle(self, block: Block) -> int:
        """Wait for a block and drop the checkpoints that nobody goes back to; the work it was.

        The one before the newest stays: the way back if a file of the newest is damaged.
        """
        self.pool.get(block.tickets)
        if block.is_last:
            for step in self._kept_steps():
                if step < block.start:
                    artifacts.remove_folder(self.request.checkpoints(step))
        return block.frame_steps

    def _stops(self, every: int) -> tuple[int, ...]:
        """Return the steps that have checkpoints, also those of runs with another interval."""
        kept = self._kept_steps().union(range(0, self.num_steps, every))
        return (*sorted(step for step in kept if step < self.num_steps), self.num_steps)

    def _kept_steps(self) -> set[int]:
        names = artifacts.names_in(self.request.checkpoints())
        return {int(name) for name in names if name.isdecimal()}

    def _kept(self, step: int) -> frozenset[int]:
        """Return the segments that have a file of their latents after `step` steps."""
        if step not in self.stops:
            return frozenset()
        addresses = [self._address(step, index) for index in range(len(self.segments))]
        existing = artifacts.existing(addresses)
        return frozenset(i for i, address in enumerate(addresses) if address in existing)

    def _address(self, step: int, index: int) -> str:
        segment = self.segments[index]
        finished = step == self.num_steps
        return self.target(segment) if finished else self.request.checkpoint(step, segment)
