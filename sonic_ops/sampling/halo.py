"""Who hands which frames to whom, in integers: the plan that makes a cut video exact.

In every step a segment denoises the windows whose first part is its own. It reads frames of its own
and of other segments (the halo), and its windows reach into other segments, which then fuse them.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sonic_ops.core.timeline import PaddingMode, Ring, Segment, Window

Grid = Callable[[int], Sequence[Window]]
"""The windows of one step on a ring of so many frames."""


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """Frame `frame` as place `position` of grid window `window` computed it."""

    window: int
    position: int
    frame: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The windows of one step, by the segment that denoises them.

    `rings[s]` is the ring of the windows of segment s, which read from the segments `sources[s]`
    and write to `targets[s]`. The windows of `readers[s]` read from s, those of `writers[s]` write
    to it.
    """

    segments: tuple[Segment, ...]
    rings: tuple[Ring, ...]
    windows: tuple[tuple[Window, ...], ...]
    sources: tuple[tuple[int, ...], ...]
    targets: tuple[tuple[int, ...], ...]
    readers: tuple[tuple[int, ...], ...]
    writers: tuple[tuple[int, ...], ...]

    def reads(self, reader: int, owner: int) -> tuple[int, ...]:
        """Return frames of segment `owner` that the windows of segment `reader` need, ascending."""
        ring, segment = self.rings[reader], self.segments[owner]
        seen = {frame for window in self.windows[reader] for frame in ring.frames(window)}
        return tuple(sorted(frame for frame in seen if frame in segment))

    def parts(self, writer: int, owner: int) -> tuple[WindowFrame, ...]:
        """Return parts that `writer` computes and `owner` fuses, in window order."""
        return tuple(
            WindowFrame(window.index, position, frame)
            for window in self.windows[writer]
            for position, frame in self.rings[writer].parts(window)
            if frame in self.segments[owner]
        )


def plan_step(
    segments: Sequence[Segment], grid: Grid, padding_mode: PaddingMode = "circular"
) -> StepPlan:
    """Give every window of a step to a segment; the video is one ring."""
    ring = Ring(0, segments[-1].stop, padding_mode)
    starts = [segment.start for segment in segments]
    windows: list[list[Window]] = [[] for _ in segments]
    sources: list[set[int]] = [set() for _ in segments]
    targets: list[set[int]] = [set() for _ in segments]
    for window in grid(ring.num_frames):
        made = [bisect_right(starts, frame) - 1 for _, frame in ring.parts(window)]
        windows[made[0]].append(window)
        targets[made[0]].update(made)
        sources[made[0]].update(bisect_right(starts, frame) - 1 for frame in ring.frames(window))
    return StepPlan(
        tuple(segments),
        (ring,) * len(segments),
        tuple(map(tuple, windows)),
        _ascending(sources),
        _ascending(targets),
        _ascending(_inverse(sources)),
        _ascending(_inverse(targets)),
    )


def plan_apart(
    segments: Sequence[Segment], grid: Grid, padding_mode: PaddingMode = "circular"
) -> StepPlan:
    """Plan padded segments as rings of their own, without halos."""
    rings = tuple(Ring(segment.start, len(segment), padding_mode) for segment in segments)
    alone = tuple((segment.index,) for segment in segments)
    windows = tuple(tuple(grid(ring.num_frames)) for ring in rings)
    return StepPlan(tuple(segments), rings, windows, alone, alone, alone, alone)


def _inverse(others: Sequence[set[int]]) -> list[set[int]]:
    """Invert a relation: for each index, who has it."""
    inverse: list[set[int]] = [set() for _ in others]
    for index, found in enumerate(others):
        for other in found:
            inverse[other].add(index)
    return inverse


def _ascending(parts: Sequence[set[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(sorted(part)) for part in parts)


def fusion_order(halos: Sequence[Sequence[WindowFrame]]) -> list[int]:
    """Order the frames of concatenated halos by window and position.

    Sums run in this order, so that they do not depend on which segment computed a part.
    """
    parts = [part for halo in halos for part in halo]
    return sorted(range(len(parts)), key=lambda i: (parts[i].window, parts[i].position))
