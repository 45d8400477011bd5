"""From interpolated frames to what is shown: colours, the image around them, size, label."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from cluster.storage import artifacts
from cluster.storage.footage import open_footage
from cluster.video.jobs import EncodeJob
from sonic_ops.picture.colour_correction import Correction, held
from sonic_ops.picture.compositing import backdrop_from, paste, whole_image
from sonic_ops.picture.scaling import scale
from sonic_ops.picture.video_frames import frames_at
from sonic_ops.picture.watermark import labelled

Frames = Iterator[NDArray[np.uint8]]


@contextmanager
def compose_frames(frames: Frames, job: EncodeJob) -> Iterator[Frames]:
    """Provide the output frames of a job (H, W, 3) as they are encoded."""
    if job.correction is not None:
        correction = Correction.from_tensors(artifacts.read_tensors(job.correction))
        frames = held(frames, correction, job.start, job.media.fps)
    with _pasted(frames, job) as whole:
        scaled = whole if job.media.scale_to is None else scale(whole, job.media.scale_to)
        yield scaled if job.label is None else labelled(scaled, job.label)


@contextmanager
def _pasted(frames: Frames, job: EncodeJob) -> Iterator[Frames]:
    """Provide the whole images that the frames are pasted into."""
    if job.backdrop is None:
        yield frames
        return
    backdrop = backdrop_from(artifacts.read_tensors(job.backdrop))
    if not backdrop.moves:
        yield paste(frames, backdrop)
        return
    assert job.footage is not None
    start_s = Fraction(job.start_s)
    moments = (start_s + n / job.media.fps for n in range(job.start, job.stop))
    wholes = frames_at(open_footage(job.footage), moments)
    yield paste(frames, backdrop, map(whole_image, wholes))
