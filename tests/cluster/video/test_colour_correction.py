"""Colours are held by the whole video: a segment cannot tell where it was cut."""

from functools import partial
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from cluster.pool.base import Pool
from cluster.storage.artifacts import write_tensors
from cluster.video.jobs import VideoRequest
from cluster.video.render import encode_video
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import cut_segments
from tests.cluster.conftest import Prepare

NUM_FRAMES = 9
LOSSLESS = MediaConfig(crf=0, speed="ultrafast")


def test_held_colours_do_not_depend_on_the_cut(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    def shown(name: str, segment_frames: int, *, hold: bool) -> NDArray[np.uint8]:
        request = prepare(NUM_FRAMES, tmp_path / name)
        media = LOSSLESS.model_copy(update={"colour_correction": hold})
        update = {"media": media, "segment_frames": segment_frames}
        keep_latents(request, segment_frames)
        files = encode_video(
            local_pool, request, video.model_copy(update=update), lambda progress: None
        )
        assert Path(request.correction).exists() == hold
        frames = []
        for file in files:
            with av.open(file) as container:
                frames += [frame.to_ndarray() for frame in container.decode(video=0)]
        return np.stack(frames)

    whole = shown("whole", NUM_FRAMES, hold=True)
    assert np.array_equal(whole, shown("cut", 4, hold=True))
    assert not np.array_equal(whole, shown("free", NUM_FRAMES, hold=False))


def keep_latents(request: VideoRequest, segment_frames: int) -> None:
    """Random latents instead of denoised ones."""
    noise = torch.randn(NUM_FRAMES, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for segment in cut_segments(NUM_FRAMES, segment_frames):
        part = noise[segment.start : segment.stop].clone()
        write_tensors(request.latents(segment), partial(dict, latents=part))
