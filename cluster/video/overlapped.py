"""Fusion at the end: which stretches hold the frames of a segment, and what they weigh there."""

from collections.abc import Sequence

from cluster.video.jobs import Take, VideoRequest
from sonic_ops.core.timeline import Segment, ramp


def takes_of(
    request: VideoRequest,
    segment: Segment,
    segments: Sequence[Segment],
    stretches: Sequence[Segment],
    overlap: int,
) -> tuple[Take, ...]:
    """The takes of a segment's frames by its own stretch and by those that overlap it."""
    takes = []
    for other, stretch in zip(segments, stretches, strict=True):
        shared = range(max(segment.start, stretch.start), min(segment.stop, stretch.stop))
        weights = {frame: ramp(other, frame, request.num_frames, overlap) for frame in shared}
        frames = [frame for frame, weight in weights.items() if weight]
        if frames:
            weighed = tuple(weights[frame] for frame in frames)
            takes.append(Take(request.stretch(stretch), stretch, frames[0], weighed))
    return tuple(takes)
