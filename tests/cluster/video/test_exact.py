"""One worker or many, one segment or many: the same bits."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.storage.readers import token_track
from cluster.video.jobs import VideoRequest
from cluster.video.progress import Progress
from cluster.video.render import denoise_video
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.constants import WINDOW_FRAMES
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import cut_segments
from sonic_ops.picture.portrait import portrait_from
from sonic_ops.sampling.conditioning import condition_frames, condition_portrait
from sonic_ops.sampling.sampler import Sampler, video_noise
from tests.cluster.conftest import Prepare, small_video
from tests.reference import denoise_whole

LENGTHS = (2 * WINDOW_FRAMES, 34, 9)


def latents_of(files: Sequence[str]) -> Tensor:
    return torch.cat([artifacts.read_tensors(file)["latents"] for file in files])


def quiet(progress: Progress) -> None:
    """Nobody watches."""


def render(pool: Pool, request: VideoRequest, video: VideoConfig, num_segments: int) -> Tensor:
    size = -(-request.num_frames // num_segments)
    config = video.model_copy(update={"segment_frames": size})
    assert len(cut_segments(request.num_frames, size)) == num_segments
    return latents_of(denoise_video(pool, request, config, quiet))


@pytest.fixture(scope="session")
def worker(models: ModelsConfig) -> RenderWorker:
    return RenderWorker(models)


def whole(
    worker: RenderWorker,
    request: VideoRequest,
    video: VideoConfig,
    frames: Sequence[int] | None = None,
) -> Tensor:
    """The latents of all frames, or of some as a ring of their own, without jobs or pools."""
    frames = frames or range(request.num_frames)
    portrait = condition_portrait(
        worker.pipe, portrait_from(artifacts.read_tensors(request.portrait))
    )
    jobs = request.chunks
    track = token_track(
        [job.chunk for job in jobs], [job.target for job in jobs], request.num_frames * 4
    )
    audio_condition = condition_frames(worker.pipe, track.read, frames, portrait.image_11E)
    audio_condition = replace(audio_condition, frames=tuple(range(len(frames))))
    noise = video_noise(request.seed, frames, portrait.reference_CHW.shape, video.sampling)
    sampler = Sampler(worker.pipe.scheduler, video.sampling, worker.pipe.latent_channels)
    return denoise_whole(sampler, worker.pipe.unet, portrait, audio_condition, noise)


@pytest.fixture(scope="module")
def wholes(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, worker: RenderWorker
) -> dict[int, Tensor]:
    """The latents of every length, denoised as one."""
    folder = tmp_path_factory.mktemp("whole")
    requests = {length: prepare(length, folder / str(length)) for length in LENGTHS}
    return {length: whole(worker, requests[length], small_video()) for length in LENGTHS}


@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize("num_segments", [1, 2, 5])
def test_segments_give_the_bits_of_the_whole(
    num_segments: int,
    num_frames: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    wholes: dict[int, Tensor],
) -> None:
    request = prepare(num_frames, tmp_path)
    assert torch.equal(render(local_pool, request, video, num_segments), wholes[num_frames])


@pytest.mark.parametrize(("num_segments", "checkpoint_every"), [(1, 0), (3, 1)])
def test_what_a_solver_remembers_goes_where_its_frame_goes(
    num_segments: int,
    checkpoint_every: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    worker: RenderWorker,
) -> None:
    request = prepare(34, tmp_path)
    update = {"solver": "multistep", "guidance_interval": (0.0, 0.7), "cache_interval": 2}
    sampling = video.sampling.model_copy(update=update)
    fast = video.model_copy(update={"sampling": sampling, "checkpoint_every": checkpoint_every})
    found = render(local_pool, request, fast, num_segments)
    assert torch.equal(found, whole(worker, request, fast))
    assert not torch.equal(found, whole(worker, request, video))


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, local_pool: Pool
) -> dict[int, Tensor]:
    """The latents of every length, rendered by this process."""
    folder, video = tmp_path_factory.mktemp("here"), small_video()
    return {
        length: render(local_pool, prepare(length, folder / str(length)), video, 1)
        for length in LENGTHS
    }


@pytest.mark.ray
@pytest.mark.parametrize("num_frames", LENGTHS)
@pytest.mark.parametrize("num_segments", [1, 2, 5])
def test_ray_gives_the_bits_of_this_process(
    num_segments: int,
    num_frames: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    ray_pool: Pool,
    here: dict[int, Tensor],
) -> None:
    there = render(ray_pool, prepare(num_frames, tmp_path), video, num_segments)
    assert torch.equal(here[num_frames], there)


def test_another_seed_gives_other_latents(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    first = prepare(9, tmp_path / "first")
    second = replace(prepare(9, tmp_path / "second"), seed=first.seed + 1)
    assert not torch.equal(
        render(local_pool, first, video, 1), render(local_pool, second, video, 1)
    )
