"""Encoded segments hold the pictures of the whole video, also across their borders."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cluster.config import VideoConfig
from cluster.jobs import VideoRequest
from cluster.pool import Pool
from cluster.render import denoise_video, encode_video
from sonic_ops.config import MediaConfig
from tests.cluster.conftest import Prepare

NUM_FRAMES = 9


def finish(pool: Pool, request: VideoRequest, video: VideoConfig, segment_frames: int) -> list[str]:
    lossless = {"segment_frames": segment_frames, "media": MediaConfig(crf=0, speed="ultrafast")}
    config = video.model_copy(update=lossless)
    denoise_video(pool, request, config, lambda progress: None)
    return encode_video(pool, request, config, lambda progress: None)


def pictures_of(files: list[str]) -> NDArray[np.uint8]:
    frames = []
    for file in files:
        with av.open(file) as container:
            frames += [frame.to_ndarray() for frame in container.decode(video=0)]
    return np.stack(frames)


def test_segments_hold_the_pictures_of_the_whole(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    whole = finish(local_pool, prepare(NUM_FRAMES, tmp_path / "whole"), video, NUM_FRAMES)
    cut = finish(local_pool, prepare(NUM_FRAMES, tmp_path / "cut"), video, 4)
    assert (len(whole), len(cut)) == (1, 3)
    assert np.array_equal(pictures_of(whole), pictures_of(cut))
    assert len(pictures_of(cut)) == 2 * NUM_FRAMES


def test_a_segment_that_is_lost_is_made_again_with_the_same_bytes(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    files = [Path(file) for file in finish(local_pool, request, video, 4)]
    first, others = files[0].read_bytes(), [file.stat().st_mtime_ns for file in files[1:]]
    files[0].unlink()
    finish(local_pool, request, video, 4)
    assert files[0].read_bytes() == first
    assert [file.stat().st_mtime_ns for file in files[1:]] == others
