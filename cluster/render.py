"""The render of one video in three calls. Only addresses come back.

What is in the work folder already is not made again, so a call after a crash does what is missing.
"""

from collections import deque

from cluster import artifacts
from cluster.config import VideoConfig
from cluster.denoising import Denoising
from cluster.finishing import Finishing
from cluster.jobs import VideoRequest
from cluster.pool import Pool, Ref
from cluster.progress import OnProgress, Progress
from sonic_ops.timeline import Segment, cut_segments

__all__ = ["OnProgress", "Progress", "denoise_video", "encode_audio", "encode_video"]


def encode_audio(pool: Pool, request: VideoRequest, on_progress: OnProgress) -> list[str]:
    """Encode the whole track once, piece by piece; the addresses of the token files."""
    jobs = request.pieces
    todo = [job for job in jobs if not artifacts.exists(job.target)]
    refs = [
        pool.submit("encode_piece", job, near=(request.order, index), lasting=True)[0]
        for index, job in enumerate(todo)
    ]
    for done, ref in enumerate(refs, start=len(jobs) - len(todo) + 1):
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
    targets = [request.latents(segment) for segment in segments]
    if not all(map(artifacts.exists, targets)):
        Denoising(pool, request, config, segments).run(on_progress)
    return targets


def encode_video(
    pool: Pool, request: VideoRequest, config: VideoConfig, on_progress: OnProgress
) -> list[str]:
    """Decode, interpolate and encode all segments; the addresses of the encoded segments.

    At most two segments per worker are under way, so memory does not grow with the video.
    """
    segments = cut_segments(request.num_frames, config.segment_frames)
    todo = [s for s in segments if not artifacts.exists(request.encoded(s))]
    finishing = Finishing(pool, request, config, segments, todo)
    under_way: deque[tuple[Segment, Ref]] = deque()
    done = request.num_frames - sum(map(len, todo))
    for segment in [*todo, None]:
        while under_way and (segment is None or len(under_way) >= 2 * pool.num_workers):
            encoded, ref = under_way.popleft()
            pool.get([ref])
            done += len(encoded)
            on_progress(Progress("decode", done, request.num_frames))
        if segment is not None:
            under_way.append((segment, finishing.encode(segment)))
    return [request.encoded(segment) for segment in segments]
