"""Weights whose decoder is given the portrait: any cut and any number of workers, the same bits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.jobs import DecodeJob, VideoRequest
from cluster.video.pools import open_pool
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import DecodingConfig, MediaConfig, ModelsConfig
from sonic_ops.core.presets import PipelineConfig, VideoConfig
from sonic_ops.core.timeline import Segment
from sonic_ops.picture.portrait import portrait_from, portrait_tensors
from sonic_ops.pipeline import SonicPipeline
from tests.cluster.conftest import Prepare
from tests.cluster.video.test_finishing import finish, pictures_of
from tests.tiny import add_portrait_decoder, make_tiny_weights

NUM_FRAMES = 9
SIDE = 96  # of the frames; the networks see 64


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> ModelsConfig:
    folder = add_portrait_decoder(make_tiny_weights(tmp_path_factory.mktemp("given")))
    return ModelsConfig(weights=str(folder))


@pytest.fixture(scope="module")
def pool(weights: ModelsConfig) -> Iterator[Pool]:
    with open_pool(ClusterConfig(workers=0), weights) as pool:
        yield pool


@pytest.fixture
def layered(video: VideoConfig) -> VideoConfig:
    return video.model_copy(update={"decoding": DecodingConfig(chunk_frames=4, context_frames=4)})


def enlarged(request: VideoRequest) -> VideoRequest:
    """The request with a portrait that is shown larger than it is read."""
    tensors = artifacts.read_tensors(request.portrait)
    torch.manual_seed(0)
    image = portrait_from(tensors).image_CHW[None]
    larger = torch.nn.functional.interpolate(image, (SIDE, SIDE), mode="bilinear")[0]
    tensors = tensors | {"larger_CHW": (larger + 0.1 * torch.randn(3, SIDE, SIDE)).clamp(-1, 1)}
    portrait = f"{request.work}/larger.safetensors"
    artifacts.write_tensors(portrait, lambda: portrait_tensors(portrait_from(tensors)))
    return VideoRequest(request.audio, portrait, request.num_samples, request.work, seed=3)


def rendered(
    pool: Pool, request: VideoRequest, video: VideoConfig, cut: int, **media: object
) -> NDArray[np.uint8]:
    settings = MediaConfig.model_validate({"interpolation": "layers"} | media)
    return pictures_of(finish(pool, enlarged(request), video, cut, settings))


def test_any_cut_gives_the_same_bits_at_the_size_of_the_portrait(
    tmp_path: Path, prepare: Prepare, layered: VideoConfig, pool: Pool
) -> None:
    whole = rendered(pool, prepare(NUM_FRAMES, tmp_path / "whole"), layered, NUM_FRAMES)
    cut = rendered(pool, prepare(NUM_FRAMES, tmp_path / "cut"), layered, 4)
    assert whole.shape == (2 * NUM_FRAMES, SIDE * 3 // 2, SIDE)  # of luma and both chromas
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole[0], whole[2])


def test_motion_between_frames_may_also_be_searched_in_the_images(
    tmp_path: Path, prepare: Prepare, layered: VideoConfig, pool: Pool
) -> None:
    mixed = rendered(pool, prepare(NUM_FRAMES, tmp_path / "a"), layered, NUM_FRAMES)
    request = prepare(NUM_FRAMES, tmp_path / "b")
    blended = rendered(pool, request, layered, 4, interpolation="blend", colour_correction=True)
    assert blended.shape == mixed.shape
    assert not np.array_equal(blended, mixed)


def test_one_object_in_python_gives_the_layers_of_the_worker(
    tmp_path: Path, prepare: Prepare, layered: VideoConfig, weights: ModelsConfig
) -> None:
    request = enlarged(prepare(NUM_FRAMES, tmp_path / "one"))
    pipe, worker = SonicPipeline.load(weights), RenderWorker(weights)
    pipe.settings = PipelineConfig(decoding=layered.decoding)
    torch.manual_seed(5)
    latents, segment = torch.randn(NUM_FRAMES, 4, 8, 8), Segment(0, 0, NUM_FRAMES)
    source = f"{request.work}/latents.safetensors"
    artifacts.write_tensors(source, lambda: {"latents": latents})
    place = (4, 7, NUM_FRAMES, (segment,), (source,), request.portrait, True, layered.decoding)
    layers, first = worker.decode(DecodeJob(*place, low_memory=False, low_memory_note=""))
    reference = pipe.encode_reference(portrait_from(artifacts.read_tensors(request.portrait)))
    assert np.array_equal(pipe.decode_over(latents, reference).layers[4:7], layers)
    assert np.array_equal(first, layers[:1])


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_two_workers_give_the_bits_of_this_process(
    tmp_path: Path, prepare: Prepare, layered: VideoConfig, pool: Pool, weights: ModelsConfig
) -> None:
    alone = rendered(pool, prepare(NUM_FRAMES, tmp_path / "alone"), layered, 4)
    with open_pool(ClusterConfig(workers=2, cpus_per_worker=0.1), weights) as workers:
        shared = rendered(workers, prepare(NUM_FRAMES, tmp_path / "shared"), layered, 4)
    assert np.array_equal(alone, shared)
