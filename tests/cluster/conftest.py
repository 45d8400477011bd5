"""Prepared files of a small video, and the pools that render it."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import soundfile
import torch

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import encode_audio
from sonic_ops.core.config import DecodingConfig, ModelsConfig, SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.presets import VideoConfig
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import Portrait, portrait_tensors
from tests.cluster.pool.counter import Counter
from tests.parity import recipe
from tests.tiny import make_tiny_weights

if TYPE_CHECKING:  # Ray must not be imported before the pool has told it where to listen
    from cluster.pool.ray import RayPool

SIDE = 64
STEPS = 3


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelsConfig:
    return ModelsConfig(weights=str(make_tiny_weights(tmp_path_factory.mktemp("tiny"))))


@pytest.fixture(scope="session")
def local_pool(models: ModelsConfig) -> Iterator[Pool]:
    with open_pool(ClusterConfig(workers=0), models) as pool:
        yield pool


@pytest.fixture(scope="session")
def portrait_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "portrait.safetensors"
    image = torch.from_numpy(recipe.normal(1, "image", (3, SIDE, SIDE), 0.4)).clamp(-1, 1)
    mask = torch.zeros(SIDE, SIDE)
    mask[12:52, 16:48] = 1
    clip = torch.from_numpy(recipe.normal(1, "clip", (3, 224, 224)))
    portrait = Portrait(image, mask, clip, Box(16, 12, 32, 40), 1, (0, 0, SIDE, SIDE))
    artifacts.write_tensors(str(path), lambda: portrait_tensors(portrait))
    return path


@pytest.fixture
def video() -> VideoConfig:
    return small_video()


def small_video() -> VideoConfig:
    """Few steps, and no cut but those that a test asks for."""
    return VideoConfig(
        sampling=SamplingConfig(steps=STEPS),
        decoding=DecodingConfig(chunk_frames=8, context_frames=2),
        segment_frames=1000,
    )


class Prepare:
    """Makes the request of a video of some frames; the tokens are encoded once per length."""

    def __init__(self, folder: Path, pool: Pool, portrait: Path) -> None:
        self._folder, self._pool, self._portrait = folder, pool, portrait
        self._known: dict[int, VideoRequest] = {}

    def __call__(self, num_frames: int, work: Path) -> VideoRequest:
        if num_frames not in self._known:
            self._known[num_frames] = self._prepare(num_frames)
        known = self._known[num_frames]
        work.mkdir(parents=True, exist_ok=True)
        (work / "tokens").symlink_to(Path(known.work) / "tokens")
        return replace(known, work=str(work))

    def _prepare(self, num_frames: int) -> VideoRequest:
        folder = self._folder / f"{num_frames}"
        folder.mkdir()
        samples = recipe.waveform_i16(3, num_frames * SAMPLES_PER_FRAME).astype(np.float32)
        soundfile.write(folder / "sound.wav", samples / 32768, SAMPLE_RATE_HZ, subtype="FLOAT")
        request = VideoRequest(
            audio=str(folder / "sound.wav"),
            portrait=str(self._portrait),
            num_samples=len(samples),
            work=str(folder),
            seed=5,
        )
        encode_audio(self._pool, request, lambda progress: None)
        return request


@pytest.fixture(scope="session")
def prepare(
    tmp_path_factory: pytest.TempPathFactory, local_pool: Pool, portrait_file: Path
) -> Prepare:
    return Prepare(tmp_path_factory.mktemp("prepared"), local_pool, portrait_file)


# For this folder: what it reserves is not left for the tests of others.
@pytest.fixture(scope="package")
def ray_here() -> Iterator[None]:
    """Ray on this machine, started once: every pool that is opened meanwhile joins it."""
    config = ClusterConfig(workers=1, cpus_per_worker=0.1)
    with open_pool(config, ModelsConfig(weights="none"), make_worker=Counter):
        yield


@pytest.fixture(
    scope="package",
    params=[*(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2)), 3],
    ids="{} workers".format,
)
def ray_pool(
    request: pytest.FixtureRequest, models: ModelsConfig, ray_here: None
) -> "Iterator[RayPool]":
    # What Ray reserves is little, so that tests can open more workers beside these.
    config = ClusterConfig(workers=request.param, cpus_per_worker=0.1)
    with open_pool(config, models) as opened:
        pool = cast("RayPool", opened)
        while len(pool.processes) < request.param:  # a render may begin with the first
            time.sleep(0.1)
        yield pool
