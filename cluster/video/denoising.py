"""Denoising as a graph of jobs per segment and step, tied together by object references.

A step of a segment waits for that segment and its neighbours alone, so a slow worker delays its
neighbours and not the world. The graph is run as a wavefront: the first segments take all their
steps before the last ones begin, so the beginning of a video is finished early.

Every few steps a segment is written to a checkpoint, from which its next step reads it: no job
remembers more than the steps since then, and a restart is the same graph without what the files
that exist make needless.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
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
Two times as many are under way, and no more is in memory, however long the video is."""

OnFinal = Callable[[int, dict[int, Ref]], None]
"""Called with a block when its jobs are submitted: all latents before this segment are finished or
on their way, and the refs of those that the block makes."""


@dataclass(frozen=True, slots=True)
class Block:
    """Segments on their way from one checkpoint to the next.

    `tickets` are the files they write, each with the frame-steps that lead to it. With them, all
    latents before the segment `front` are finished.
    """

    front: int
    tickets: tuple[tuple[Ref, int], ...]


class Denoising:
    """The job graph of one video.

    `wanted` are the segments whose finished latents are needed; `target` names their files. The
    first block has at least `num_first` of them.
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
        on_final: OnFinal | None = None,
        num_first: int = 1,
    ) -> None:
        self.pool, self.request, self.target = pool, request, target
        self.num_steps = config.sampling.num_run
        self.stops = self._stops(config.checkpoint_every or self.num_steps)
        self.plan = lru_cache(maxsize=self.num_steps)(plan)
        self.segments = self.plan(0).segments
        self.remaining = remaining_work(self.plan, self.num_steps, wanted, self._kept)
        self.graph = Graph(
            pool, request, config, self.plan, self.remaining, self.stops, self._checkpoint_url
        )
        self.num_dropped = dict.fromkeys(self.stops[1:-2], 0)  # of the checkpoints, by step
        self.on_final = on_final or (lambda front, refs: None)
        self.num_first = num_first

    def run(self, on_progress: OnProgress) -> None:
        """Make the finished latents that are wanted, from the newest files there are.

        Raises SonicError.
        """
        total = sum(map(len, self.segments)) * self.num_steps
        left = sum(len(self.segments[index]) for made in self.remaining.made for index in made)

        def say() -> None:
            done = (total - left) * self.num_steps // total
            on_progress(Progress("denoise", done, self.num_steps))

        # Two blocks with all their steps; one worker has no use for so many.
        most = 2 * min(self.pool.num_workers, len(self.stops) - 1)
        under_way: deque[Block] = deque()
        say()
        for block in chain(self._blocks(), [None]):
            while under_way and (block is None or len(under_way) == most):
                for frame_steps in self._complete(under_way.popleft()):
                    left -= frame_steps
                    say()
            if block is not None:
                under_way.append(block)

    def _blocks(self) -> Iterator[Block]:
        """Submit the graph block by block: a few finished segments, and all that these need."""
        wanted = sorted(self.remaining.made[self.num_steps])
        size = max(BLOCK_SEGMENTS * self.pool.num_workers, self.num_first)
        # The last block is no narrower than the others: nothing follows to fill its gaps.
        num_blocks = max(len(wanted) // size, 1)
        borders = [index * len(wanted) // num_blocks for index in range(num_blocks + 1)]
        front = wanted[0] if wanted else 0
        for first, end in pairwise(borders):
            needed = self._needed(frozenset(wanted[first:end]))
            for start, stop in pairwise(self.stops):
                is_final = stop == self.num_steps
                if is_final:
                    front = wanted[end] if end < len(wanted) else len(self.segments)
                for step in range(start + 1, stop + 1):
                    for index in sorted(needed[step]):
                        self.graph.make(step, index)
                stored = self.graph.take_stored()
                if is_final:
                    self.on_final(front, {index: ref for (_, index), ref in stored.items()})
                works = (self._work(step, index, needed) for step, index in stored)
                yield Block(front, tuple(zip(stored.values(), works, strict=True)))

    def _work(self, stop: int, index: int, needed: list[frozenset[int]]) -> int:
        """Return the frame-steps of a segment that lead to its file after `stop` steps."""
        start = self.stops[self.stops.index(stop) - 1]
        num_steps = sum(index in needed[step] for step in range(start + 1, stop + 1))
        return num_steps * len(self.segments[index])

    def _needed(self, finished: frozenset[int]) -> list[frozenset[int]]:
        """Return what finished latents need and nobody has asked for yet, by step: segments.

        Each step reaches one or two segments further, so the first block has the most.
        """
        needed, made = [frozenset[int]()] * (self.num_steps + 1), self.graph.made
        for step in range(self.num_steps, 0, -1):
            needed[step] = frozenset(i for i in finished if (step, i) not in made)
            plan = self.plan(step - 1)
            writers = {writer for owner in needed[step] for writer in plan.writers[owner]}
            read = {owner for writer in writers for owner in plan.sources[writer]}
            finished = self.remaining.made[step - 1].intersection(read)
        return needed

    def _complete(self, block: Block) -> Iterator[int]:
        """Wait for the files of a block; yield the frame-steps of each. Then drop checkpoints.

        Those of the last step that has some stay: the way back if finished latents are damaged.
        """
        for ticket, frame_steps in block.tickets:
            self.pool.get([ticket])
            yield frame_steps
        is_last = block.front == len(self.segments)
        for step, first in self.num_dropped.items():
            if is_last:
                artifacts.remove_folder(self.request.checkpoints(step))
                continue
            # No segment after the front reads these, on the way to its finished latents; the first
            # ones are read by the end of a ring.
            reach = self._reach * (self.num_steps - step)
            stop = max(block.front - reach, first)
            for index in range(max(first, reach), stop):
                artifacts.remove(self._checkpoint_url(step, index))
            self.num_dropped[step] = stop

    @cached_property
    def _reach(self) -> int:
        """Return how many segments away a step reads or writes."""
        num_segments = len(self.segments)
        plans = map(self.plan, range(self.num_steps))
        apart = (
            abs(index - other)
            for plan in plans
            for others in (plan.sources, plan.targets)
            for index, found in enumerate(others)
            for other in found
        )
        return max(min(distance, num_segments - distance) for distance in apart)

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
        urls = [self._checkpoint_url(step, index) for index in range(len(self.segments))]
        existing = artifacts.existing(urls)
        return frozenset(i for i, url in enumerate(urls) if url in existing)

    def _checkpoint_url(self, step: int, index: int) -> str:
        segment = self.segments[index]
        finished = step == self.num_steps
        return self.target(segment) if finished else self.request.checkpoint(step, segment)
