"""Encoded segments hold the pictures of the whole video, also across their borders."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from cluster.pool.base import Pool
from cluster.storage.artifacts import write_tensors, write_video
from cluster.storage.footage import _opened
from cluster.video.jobs import VideoRequest
from cluster.video.render import denoise_video, encode_video
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.rates import frame_rate
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.picture.compositing import Backdrop, backdrop_tensors
from sonic_ops.picture.faces import Box
from tests.cluster.conftest import Prepare

NUM_FRAMES = 9
DEFAULT = MediaConfig()


def finish(
    pool: Pool,
    request: VideoRequest,
    video: VideoConfig,
    segment_frames: int,
    media: MediaConfig = DEFAULT,
) -> list[str]:
    lossless = media.model_copy(update={"crf": 0, "speed": "ultrafast"})
    config = video.model_copy(update={"segment_frames": segment_frames, "media": lossless})
    denoise_video(pool, request, config, lambda progress: None)
    return encode_video(pool, request, config, lambda progress: None)


def pictures_of(files: list[str]) -> NDArray[np.uint8]:
    frames = []
    for file in files:
        with av.open(file) as container:
            frames += [frame.to_ndarray() for frame in container.decode(video=0)]
    return np.stack(frames)


def test_segments_hold_the_images_of_the_whole(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    whole = finish(local_pool, prepare(NUM_FRAMES, tmp_path / "whole"), video, NUM_FRAMES)
    cut = finish(local_pool, prepare(NUM_FRAMES, tmp_path / "cut"), video, 4)
    assert (len(whole), len(cut)) == (1, 3)
    assert np.array_equal(pictures_of(whole), pictures_of(cut))
    assert len(pictures_of(cut)) == 2 * NUM_FRAMES


def test_segments_hold_the_images_of_the_whole_at_any_rate_and_size(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    media, made = MediaConfig(fps=frame_rate("24000/1001"), scale_to=96), []
    for name, length in (("whole", NUM_FRAMES), ("cut", 2)):
        request = prepare(NUM_FRAMES, tmp_path / name)
        made.append(pictures_of(finish(local_pool, request, video, length, media)))
    assert np.array_equal(made[0], made[1])
    num_output_frames = num_output_frames_of(request.num_samples, media.fps)
    assert made[0].shape == (num_output_frames, 144, 96)  # of luma and both chromas


def test_pasted_segments_hold_the_images_of_the_whole_in_the_size_of_the_image(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    backdrop = backdrop_tensors(Backdrop(pixels, (40, 20, 110, 90), Box(55, 35, 40, 40)))
    url = write_tensors(str(tmp_path / "backdrop.safetensors"), lambda: backdrop)
    made = []
    for name, length in (("whole", NUM_FRAMES), ("cut", 4)):
        request = replace(prepare(NUM_FRAMES, tmp_path / name), backdrop=url)
        made.append(pictures_of(finish(local_pool, request, video, length)))
    assert np.array_equal(made[0], made[1])
    assert made[0].shape == (2 * NUM_FRAMES, 180, 160)  # of luma and both chromas
    outside = made[0][:, :16, :]
    assert (outside == outside[0]).all()
    inside = made[0][:, 20:90, 40:110]
    assert (inside != inside[0]).any()


def test_a_face_is_pasted_into_the_image_of_the_moment_that_is_heard(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    levels = [20 + 5 * number for number in range(30)]
    slides = [np.full((120, 160, 3), level, np.uint8) for level in levels]
    footage = write_video(
        str(tmp_path / "footage.mp4"),
        lambda path: encode_frames(slides, path, EncodeSettings(crf=0, gop_frames=7)),
    )
    crop, face = (40, 20, 110, 90), Box(55, 35, 40, 40)
    backdrop = backdrop_tensors(Backdrop(slides[0], crop, face, moves=True))
    url = write_tensors(str(tmp_path / "backdrop.safetensors"), lambda: backdrop)
    made, num_opened = [], _opened.cache_info().misses
    for name, length in (("whole", NUM_FRAMES), ("cut", 4)):
        request = prepare(NUM_FRAMES, tmp_path / name)
        request = replace(request, backdrop=url, footage=footage, start_s=0.2)
        made.append(pictures_of(finish(local_pool, request, video, length)))
    assert _opened.cache_info().misses == num_opened + 1
    assert np.array_equal(made[0], made[1])
    expected = [luma_of(levels[5 + number]) for number in range(2 * NUM_FRAMES)]
    assert made[0][:, 4, 4].tolist() == pytest.approx(expected, abs=1)


def luma_of(grey: int) -> float:
    return 16 + grey * 219 / 255


def test_a_label_is_on_every_image_and_nowhere_else(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    made = []
    for name, label in (("plain", None), ("labelled", "AI generated")):
        request = replace(prepare(3, tmp_path / name), label=label)
        made.append(pictures_of(finish(local_pool, request, video, 2))[:, :64])  # of luma
    plain, labelled = made
    assert (plain[:, :48] == labelled[:, :48]).all()
    assert (plain[:, 54:, :40] != labelled[:, 54:, :40]).any(axis=(1, 2)).all()


def test_the_encoder_is_told_where_a_segment_ends(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    """x264 notes in a file how it was asked: the last output frame is as fine as a key frame."""
    config = video.model_copy(update={"segment_frames": 4, "media": MediaConfig(crf=20)})
    request = prepare(7, tmp_path / "work")
    denoise_video(local_pool, request, config, lambda progress: None)
    files = encode_video(local_pool, request, config, lambda progress: None)
    for file, last in zip(files, (7, 5), strict=True):
        assert f"zones={last},{last},q=6".encode() in Path(file).read_bytes()


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
