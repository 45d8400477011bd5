"""Who hands which frames to whom, in integers: the plan that makes a cut video exact.

In every step a segment denoises the windows that *start* in it. It reads frames of its own and of
other segments (the halo), and its windows reach into other segments, which then fuse them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from sonic_ops.timeline import Segment, Window


@dataclass(frozen=True, slots=True)
class Part:
    """Frame `frame` as place `position` of grid window `window` computed it."""

    window: int
    position: int
    frame: int


@dataclass(frozen=True, slots=True)
class StepPlan:
    """The windows of one step, by the segment that denoises them.

    `touched[s]` are the segments that the windows of segment s read from and write to.
    """

    num_frames: int
    segments: tuple[Segment, ...]
    windows: tuple[tuple[Window, ...], ...]
    touched: tuple[tuple[int, ...], ...]

    def reads(self, reader: int, owner: int) -> tuple[int, ...]:
        """Frames of segment `owner` that the windows of segment `reader` need, ascending."""
        return tuple(sorted({part.frame for part in self.parts(reader, owner)}))

    def parts(self, writer: int, owner: int) -> tuple[Part, ...]:
        """Parts that `writer` computes and `owner` fuses, in window order."""
        return tuple(
            Part(window.index, position, frame)
            for window in self.windows[writer]
            for position, frame in enumerate(window.frames(self.num_frames))
            if frame in self.segments[owner]
        )

    def touching(self, owner: int) -> tuple[int, ...]:
        """Segments whose windows read from, and write to, segment `owner`."""
        return tuple(s for s, touched in enumerate(self.touched) if owner in touched)


def plan_step(num_frames: int, segments: Sequence[Segment], grid: Sequence[Window]) -> StepPlan:
    """Give every window of a step to the segment it starts in."""
    starts = [segment.start for segment in segments]
    windows: list[list[Window]] = [[] for _ in segments]
    touched: list[set[int]] = [set() for _ in segments]
    for window in grid:
        owner = bisect_right(starts, window.start) - 1
        windows[owner].append(window)
        touched[owner] |= {bisect_right(starts, f) - 1 for f in window.frames(num_frames)}
    return StepPlan(
        num_frames,
        tuple(segments),
        tuple(map(tuple, windows)),
        tuple(tuple(sorted(part)) for part in touched),
    )


def fusion_order(parcels: Sequence[Sequence[Part]]) -> list[int]:
    """The order of all parts of some parcels, laid one after the other, by window and position.

    Sums run in this order, so that they do not depend on which segment computed a part.
    """
    parts = [part for parcel in parcels for part in parcel]
    return sorted(range(len(parts)), key=lambda i: (parts[i].window, parts[i].position))
