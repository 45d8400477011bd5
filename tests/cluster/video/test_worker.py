"""What a worker keeps from one job to the next."""

import gc
import shutil
from pathlib import Path

import torch

from cluster.video.jobs import StartJob
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig, SamplingConfig
from sonic_ops.core.timeline import Segment
from sonic_ops.pipeline import KEPT_SAMPLERS
from sonic_ops.sampling.conditioning import PortraitCondition
from sonic_ops.sampling.sampler import Sampler


def num_samplers() -> int:
    gc.collect()
    return sum(type(each) is Sampler for each in gc.get_objects())  # isinstance asks weak proxies


def test_a_worker_says_on_what_it_computes(models: ModelsConfig) -> None:
    assert RenderWorker(models).load() == torch.backends.cpu.get_cpu_capability()


def test_memory_does_not_grow_with_the_settings_that_rows_have(models: ModelsConfig) -> None:
    before, worker = num_samplers(), RenderWorker(models)
    portrait = PortraitCondition(*(torch.zeros(4, 8, 8) for _ in range(5)))
    for steps in range(1, KEPT_SAMPLERS + 10):
        sampling = SamplingConfig(steps=steps)
        worker.start(StartJob(Segment(0, 0, 1), 0, sampling, ((0,),)), portrait)
    assert num_samplers() - before == KEPT_SAMPLERS


def test_rows_that_share_a_portrait_share_its_encoding(
    models: ModelsConfig, portrait_file: Path, tmp_path: Path
) -> None:
    worker, encoded = RenderWorker(models), list[str]()
    loaded = worker.pipe
    loaded.vae.encoder.register_forward_hook(lambda *_: encoded.append("vae"))
    loaded.image_encoder.register_forward_hook(lambda *_: encoded.append("clip"))
    elsewhere = str(shutil.copy(portrait_file, tmp_path / "other.safetensors"))
    first, again, other_seed = (
        worker.condition_portrait(*arguments)
        for arguments in ((str(portrait_file), 0, 0.0), (elsewhere, 0, 0.0), (elsewhere, 1, 0.0))
    )
    assert first is again is other_seed
    assert sorted(encoded) == ["clip", "vae"]
    noisy = [worker.condition_portrait(elsewhere, seed, 0.02) for seed in (0, 1)]
    assert not torch.equal(noisy[0].latents_CHW, noisy[1].latents_CHW)
