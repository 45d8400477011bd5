"""Who hands which frames to whom, in integers: the plan that makes a cut video exact.

In every step a segment denoises the windows that *start* in it. It reads frames of its own and of
other segments (the halo), and its windows reach into other segments, which then fuse them.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sonic_ops.timeline import Ring, Segment, Window

Grid = Callable[[int], Sequence[Window]]
"""The windows of one step on a ring of so many frames."""


@dataclass(frozen=True, slots=True)
class Part:
    """Frame `frame` as place `position` of grid window `window` computed it."""

    window: int
    position: int
    frame: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The windows of one step, by the segment that denoises them.

    `touched[s]` are the segments that the windows of segment s read from and write to, and
    `touching[s]` those whose windows read from and write to segment s. `rings[s]` is the ring of
    its windows.
    """

    segments: tuple[Segment, ...]
    rings: tuple[Ring, ...]
    windows: tuple[tuple[Window, ...], ...]
    touched: tuple[tuple[int, ...], ...]
    touching: tuple[tuple[int, ...], ...]

    def reads(self, reader: int, owner: int) -> tuple[int, ...]:
        """Frames of segment `owner` that the windows of segment `reader` need, ascending."""
        return tuple(sorted({part.frame for part in self.parts(reader, owner)}))

    def parts(self, writer: int, owner: int) -> tuple[Part, ...]:
        """Parts that `writer` computes and `owner` fuses, in window order."""
        return tuple(
            Part(window.index, position, frame)
            for window in self.windows[writer]
            for position, frame in enumerate(self.rings[writer].frames(window))
            if frame in self.segments[owner]
        )


def plan_step(segments: Sequence[Segment], grid: Grid) -> StepPlan:
    """Give every window of a step to the segment it starts in; the video is one ring."""
    ring = Ring(0, segments[-1].stop)
    starts = [segment.start for segment in segments]
    windows: list[list[Window]] = [[] for _ in segments]
    touched: list[set[int]] = [set() for _ in segments]
    touching: list[set[int]] = [set() for _ in segments]
    for window in grid(ring.num_frames):
        owner = bisect_right(starts, window.start) - 1
        windows[owner].append(window)
        for other in {bisect_right(starts, frame) - 1 for frame in ring.frames(window)}:
            touched[owner].add(other)
            touching[other].add(owner)
    return StepPlan(
        tuple(segments),
        (ring,) * len(segments),
        tuple(map(tuple, windows)),
        tuple(tuple(sorted(part)) for part in touched),
        tuple(tuple(sorted(part)) for part in touching),
    )


def plan_apart(stretches: Sequence[Segment], grid: Grid) -> StepPlan:
    """Every stretch is a ring of its own, and hands nothing to others."""
    rings = tuple(Ring(stretch.start, len(stretch)) for stretch in stretches)
    alone = tuple((stretch.index,) for stretch in stretches)
    windows = tuple(tuple(grid(ring.num_frames)) for ring in rings)
    return StepPlan(tuple(stretches), rings, windows, alone, alone)


def fusion_order(parcels: Sequence[Sequence[Part]]) -> list[int]:
    """The order of all parts of some parcels, laid one after the other, by window and position.

    Sums run in this order, so that they do not depend on which segment computed a part.
    """
    parts = [part for parcel in parcels for part in parcel]
    return sorted(range(len(parts)), key=lambda i: (parts[i].window, parts[i].position))
