"""Plan fusion at the end: which padded segments cover a segment, and their weights."""

from collections.abc import Sequence

from cluster.video.jobs import BlendSource, VideoRequest
from sonic_ops.core.timeline import Segment, ramp


def blend_sources_of(
    request: VideoRequest,
    segment: Segment,
    segments: Sequence[Segment],
    padded_segments: Sequence[Segment],
    overlap: int,
) -> tuple[BlendSource, ...]:
    """Return the blend sources of a segment: its own padded segment and those that overlap it."""
    blend_sources = []
    for other, padded in zip(segments, padded_segments, strict=True):
        shared = range(max(segment.start, padded.start), min(segment.stop, padded.stop))
        weights = {frame: ramp(other, frame, request.num_frames, overlap) for frame in shared}
        frames = [frame for frame, weight in weights.items() if weight]
        if frames:
            weighed = tuple(weights[frame] for frame in frames)
            blend_sources.append(BlendSource(request.padded(padded), padded, frames[0], weighed))
    return tuple(blend_sources)
