"""What a worker keeps from one job to the next."""

import gc

import torch

from cluster.jobs import StartJob
from cluster.workers import KEPT_SAMPLERS, RenderWorker
from sonic_ops.conditioning import PortraitCondition
from sonic_ops.config import ModelsConfig, SamplingConfig
from sonic_ops.sampling import Sampler
from sonic_ops.timeline import Segment


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
