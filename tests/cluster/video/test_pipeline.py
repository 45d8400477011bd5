"""`SonicPipeline` in one process gives the latents and frames of a render on any pool."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.jobs import DecodeJob, VideoRequest
from cluster.video.render import denoise_video
from sonic_ops.audio.resampling import read_samples
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import PipelineConfig, VideoConfig
from sonic_ops.core.timeline import cut_segments
from sonic_ops.picture.portrait import portrait_from
from sonic_ops.pipeline import SonicPipeline
from tests.cluster.conftest import Prepare

NUM_FRAMES = 34
SETTINGS = {
    "sampling": {"steps": 3, "head_motion": 0.7, "motion_buckets": (16, 20), "shared_noise": 0.4},
    "decoding": {"chunk_frames": 8, "context_frames": 2},
    "media": {"interpolation": "blend"},
    "audio_context": "overlapped",
}


@pytest.fixture(scope="module")
def pipe(models: ModelsConfig) -> SonicPipeline:
    pipe = SonicPipeline.load(models)
    pipe.settings = PipelineConfig.model_validate(SETTINGS)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def alone(pipe: SonicPipeline, request: VideoRequest) -> tuple[Tensor, NDArray[np.uint8]]:
    """Latents and frames of the pipeline, without jobs or pools."""
    samples = read_samples(request.audio, 0, request.num_samples)
    shown = pipe.encode_portrait(
        portrait_from(artifacts.read_tensors(request.portrait)), request.seed, 0.0
    )
    audio_condition = pipe.encode_audio(samples, shown, pipe.settings.sampling)
    with torch.inference_mode():
        latents = pipe.denoise(shown, audio_condition, request.seed, pipe.settings.sampling)
        return latents, pipe.decode(latents)


def rendered(
    pool: Pool, request: VideoRequest, config: VideoConfig
) -> tuple[Tensor, NDArray[np.uint8]]:
    """Latents and frames of a render in three segments."""
    files = denoise_video(pool, request, config, lambda progress: None)
    latents = torch.cat([artifacts.read_tensors(file)["latents"] for file in files])
    segments = cut_segments(request.num_frames, config.segment_frames)
    inputs = (request.num_frames, segments, tuple(files), request.portrait, False)
    jobs = [
        DecodeJob(
            segment.start,
            segment.stop,
            *inputs,
            config.decoding,
            low_memory=False,
            low_memory_note="",
        )
        for segment in segments
    ]
    decoded = [pool.submit("decode", job, num_returns=2)[0] for job in jobs]
    return latents, np.concatenate(pool.get(decoded))


@pytest.fixture
def config() -> VideoConfig:
    return VideoConfig.model_validate(SETTINGS | {"segment_frames": 12})


def test_a_render_in_this_process_gives_its_bits(
    tmp_path: Path, prepare: Prepare, pipe: SonicPipeline, config: VideoConfig, local_pool: Pool
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    latents, frames = alone(pipe, request)
    found, shown = rendered(local_pool, request, config)
    assert torch.equal(found, latents)
    assert np.array_equal(shown, frames)


@pytest.mark.ray
def test_workers_of_ray_give_its_bits(
    tmp_path: Path, prepare: Prepare, pipe: SonicPipeline, config: VideoConfig, ray_pool: Pool
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    latents, frames = alone(pipe, request)
    found, shown = rendered(ray_pool, request, config)
    assert torch.equal(found, latents)
    assert np.array_equal(shown, frames)


def test_a_call_renders_the_whole_track_and_the_callback_sees_every_step(
    prepare: Prepare, pipe: SonicPipeline, tmp_path: Path
) -> None:
    request = prepare(9, tmp_path / "work")
    seen: list[int] = []

    def see(
        pipe: SonicPipeline, index: int, timestep: float, tensors: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        seen.append(index)
        return tensors

    face = str(Path(__file__).parents[2] / "golden" / "faces" / "glasses.png")
    seed = torch.Generator().manual_seed(5)
    pipe.settings = PipelineConfig.model_validate(SETTINGS | {"portrait": {"resolution": 64}})
    out = pipe(face, request.audio, num_inference_steps=2, generator=seed, callback_on_step_end=see)
    assert seen == [0, 1]
    assert len(out.frames) == 18  # 9 frames of 12.5 fps at 25
    assert out.frames[0].size == (64, 64)
    samples = read_samples(request.audio, 0, request.num_samples)
    again = pipe(face, samples, num_inference_steps=2, generator=seed, output_type="np", fps=12.5)
    assert len(again.frames) == 9
    assert np.array_equal(np.asarray(out.frames[2]), np.asarray(again.frames[1]))


def test_the_preset_of_a_weights_folder_is_found_by_its_index() -> None:
    pipe = SonicPipeline.from_pretrained("package:sketch")
    assert pipe.settings.sampling.residual_scale == 0.6963
    assert pipe.settings.portrait.resolution == 128
    fast = SonicPipeline.from_pretrained("package:sketch", preset="sketch-fast")
    assert fast.settings.sampling != pipe.settings.sampling


def test_weights_of_another_pipeline_are_refused(models: ModelsConfig, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models.weights, tmp_path / "weights"))
    (folder / "model_index.json").write_text('{"_class_name": "StableVideoDiffusionPipeline"}')
    with pytest.raises(ConfigError, match="describes a StableVideoDiffusionPipeline"):
        SonicPipeline.load(models.model_copy(update={"weights": str(folder)}))


def test_what_a_pipeline_cannot_do_is_refused(pipe: SonicPipeline) -> None:
    pipe.settings = PipelineConfig.model_validate({"portrait": {"framing": "paste"}})
    with pytest.raises(ConfigError, match="does not paste"):
        pipe("ada.png", "speech.wav")
    pipe.settings = PipelineConfig.model_validate(SETTINGS)
    with pytest.raises(ConfigError, match="output_type"):
        pipe("ada.png", "speech.wav", output_type="tensor")  # type: ignore[arg-type]
