"""Fusion at the end, borders in pauses, little memory: what changes a bit, and what does not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool, Pool
from cluster.storage import artifacts
from cluster.video.jobs import DenoiseJob, PausesJob, VideoRequest, low_memory_folder
from cluster.video.render import denoise_video, encode_video
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import DecodingConfig, MediaConfig, ModelsConfig, SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.presets import VideoConfig
from sonic_ops.sampling.conditioning import PortraitCondition, one_by_one
from tests.cluster.conftest import Prepare
from tests.cluster.video.test_exact import latents_of, quiet, whole
from tests.cluster.video.test_finishing import pictures_of

NUM_FRAMES = 20


@pytest.fixture(scope="module")
def worker(local_pool: Pool) -> RenderWorker:
    found = local_pool._worker  # type: ignore[attr-defined]
    assert isinstance(found, RenderWorker)
    return found


@pytest.fixture
def video() -> VideoConfig:
    return VideoConfig(
        sampling=SamplingConfig(steps=3, window_frames=6, shift_frames=2),
        decoding=DecodingConfig(chunk_frames=8, context_frames=2),
        media=MediaConfig(crf=0, speed="ultrafast"),
        segment_frames=10,
        overlap=4,
        checkpoint_every=2,
    )


def render(pool: Pool, request: VideoRequest, video: VideoConfig, **settings: object) -> Tensor:
    return latents_of(denoise_video(pool, request, video.model_copy(update=settings), quiet))


def test_stretches_are_denoised_alone_and_fused_by_ramps(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool, worker: RenderWorker
) -> None:
    request = prepare(NUM_FRAMES, tmp_path)
    latents = render(local_pool, request, video, fusion="at_end")
    left = whole(worker, request, video, range(12))
    right = whole(worker, request, video, range(8, NUM_FRAMES))
    assert torch.equal(latents[:8], left[:8])
    assert torch.equal(latents[12:], right[4:])
    falling = torch.tensor([0.8, 0.6, 0.4, 0.2])[:, None, None, None]
    assert torch.allclose(latents[8:12], falling * left[8:] + (1 - falling) * right[:4], atol=1e-5)


@pytest.mark.parametrize(("num_frames", "segment_frames"), [(20, 20), (20, 3), (4, 3)])
def test_mirrored_edges_give_the_bits_of_the_whole(
    num_frames: int,
    segment_frames: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    worker: RenderWorker,
) -> None:
    sampling = video.sampling.model_copy(update={"padding_mode": "reflect"})
    mirrored = video.model_copy(update={"sampling": sampling})
    request = prepare(num_frames, tmp_path)
    latents = render(local_pool, request, mirrored, segment_frames=segment_frames)
    assert torch.equal(latents, whole(worker, request, mirrored))
    assert not torch.equal(latents, whole(worker, request, video))


def test_one_segment_is_exact_in_both_modes(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    exact, at_end = (
        render(
            local_pool,
            prepare(9, tmp_path / fusion),
            video,
            fusion=fusion,
            segment_frames=9,
        )
        for fusion in ("every_step", "at_end")
    )
    assert torch.equal(exact, at_end)


def test_fusion_at_the_end_makes_what_is_lost_again(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    request = prepare(NUM_FRAMES, tmp_path)
    first = render(local_pool, request, video, fusion="at_end")
    next((tmp_path / "latents").iterdir()).unlink()
    next((tmp_path / "stretches").iterdir()).unlink()
    assert torch.equal(render(local_pool, request, video, fusion="at_end"), first)


def test_pauses_of_the_audio_are_found(tmp_path: Path, worker: RenderWorker) -> None:
    time_s = np.arange(30 * SAMPLES_PER_FRAME) / SAMPLE_RATE_HZ
    audio = np.sin(2 * np.pi * 150 * time_s).astype(np.float32)
    audio[10 * SAMPLES_PER_FRAME : 20 * SAMPLES_PER_FRAME] = 0
    soundfile.write(tmp_path / "s.wav", audio, SAMPLE_RATE_HZ, subtype="FLOAT")
    job = PausesJob(str(tmp_path / "s.wav"), 30, str(tmp_path / "pauses"))
    ((start, stop),) = artifacts.read_tensors(worker.find_pauses(job))["pauses"].tolist()
    assert 10 <= start <= 11
    assert 19 <= stop <= 20


def test_borders_in_pauses_change_no_bit(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    even, moved = prepare(NUM_FRAMES, tmp_path / "even"), prepare(NUM_FRAMES, tmp_path / "moved")
    artifacts.write_tensors(moved.pauses, lambda: {"pauses": torch.tensor([[6, 9]])})
    tolerant = video.model_copy(update={"border_tolerance_frames": 4})
    assert torch.equal(render(local_pool, even, video), render(local_pool, moved, tolerant))
    assert artifacts.names_in(f"{moved.work}/latents") == {
        "0000000-0000008.safetensors",
        "0000008-0000020.safetensors",
    }
    files = (
        encode_video(local_pool, even, video, quiet),
        encode_video(local_pool, moved, tolerant, quiet),
    )
    for one, other in zip(*files, strict=True):
        assert Path(one).name == Path(other).name
        assert Path(one).read_bytes() == Path(other).read_bytes()


def test_little_memory_gives_nearly_the_same(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    decoding = video.decoding.model_copy(update={"tile": 6, "tile_overlap": 2})
    little = video.model_copy(update={"low_memory": True, "decoding": decoding})
    much = prepare(9, tmp_path / "much")
    less = prepare(9, tmp_path / "less")
    assert torch.allclose(
        render(local_pool, much, video), render(local_pool, less, little), atol=1e-3
    )
    pictures = [
        pictures_of(encode_video(local_pool, request, config, quiet)).astype(int)
        for request, config in ((much, video), (less, little))
    ]
    difference = np.abs(pictures[0] - pictures[1])
    assert 0 < difference.mean() < 16  # random networks look far beyond a tile


class Narrow(RenderWorker):
    """A worker that has room for the low-memory form alone."""

    def denoise(
        self,
        job: DenoiseJob,
        portrait: PortraitCondition,
        audio_condition: str,
        *halos: Tensor,
        low_memory: bool = False,
    ) -> tuple[Tensor, ...] | Tensor:
        if not (low_memory or job.low_memory):
            raise MemoryError
        return super().denoise(job, portrait, audio_condition, *halos, low_memory=low_memory)


def test_what_memory_forces_is_noted_beside_the_work_and_what_is_asked_for_is_not(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, models: ModelsConfig
) -> None:
    pool = LocalPool(ClusterConfig(workers=0), Narrow(models))
    forced, asked = prepare(9, tmp_path / "forced"), prepare(9, tmp_path / "asked")
    asking = video.model_copy(update={"low_memory": True})
    assert torch.equal(render(pool, forced, video), render(pool, asked, asking))
    notes = {"denoise-0000000-0000009.safetensors"}
    assert artifacts.names_in(low_memory_folder(forced.work)) == notes
    assert not artifacts.names_in(low_memory_folder(asked.work))


def test_branches_go_one_by_one() -> None:
    calls = []

    def denoiser(branches: list[str], y: Tensor, timestep: float) -> dict[str, Tensor]:
        calls.append(list(branches))
        return {name: y * len(name) for name in branches}

    y = torch.ones(2)
    found = one_by_one(denoiser)(["image", "full"], y, 0.5)  # type: ignore[arg-type]
    assert calls == [["image"], ["full"]]
    assert torch.equal(found["image"], 5 * y)
    assert torch.equal(found["full"], 4 * y)
