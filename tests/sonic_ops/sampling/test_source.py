"""Around what is made of a film its own latents stand, at every step of the sampler."""

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from torch import Tensor

from sonic_ops.core.config import SamplingConfig
from sonic_ops.sampling.sampler import Sampler, SourceFrames, video_noise
from tests.tiny import SCHEDULER

SHAPE = (4, 8, 8)
FRAMES = range(3, 8)


@pytest.fixture
def source() -> SourceFrames:
    latents = video_noise(9, FRAMES, SHAPE, SamplingConfig())
    is_made = torch.zeros(len(FRAMES), 1, *SHAPE[1:], dtype=torch.bool)
    is_made[:, :, 4:] = True
    return SourceFrames(latents, is_made)


@pytest.fixture(params=["zero", "reference"])
def sampler(request: pytest.FixtureRequest) -> Sampler:
    config = SamplingConfig(steps=4, latent_origin=request.param, residual_scale=0.7)
    return Sampler(EulerDiscreteScheduler(**SCHEDULER), config)


REFERENCE = torch.linspace(-1, 1, 4 * 64).reshape(SHAPE)


def noise_of(sampler: Sampler) -> Tensor:
    return video_noise(1, FRAMES, SHAPE, sampler.config)


def test_nothing_of_the_film_is_left_where_it_is_made_anew(
    sampler: Sampler, source: SourceFrames
) -> None:
    noise, sigma = noise_of(sampler), sampler.steps[0].sigma
    y = sampler.start(noise, REFERENCE, source)
    assert torch.equal(y[:, :, 4:], (noise * sigma)[:, :, 4:])


def test_around_it_stands_the_film_as_noisy_as_it_is_then(
    sampler: Sampler, source: SourceFrames
) -> None:
    noise = noise_of(sampler)
    y = sampler.start(noise, REFERENCE, source)
    for step in sampler.steps:
        # What a model says of the film's own latents: v of noise and clean y, exactly.
        sigma = step.sigma
        origin = torch.zeros(SHAPE) if sampler.config.latent_origin == "zero" else REFERENCE
        clean = (source.latents_FCHW - origin) / sampler.config.residual_scale
        kept = (clean + noise * sigma)[:, :, :4]
        torch.testing.assert_close(y[:, :, :4], kept, rtol=1e-6, atol=1e-6)
        y = sampler.keep(step.index + 1, torch.full_like(y, 7.0), noise, REFERENCE, source)
        assert (y[:, :, 4:] == 7).all()
    latents = sampler.finish(y, REFERENCE)[:, :, :4]
    torch.testing.assert_close(latents, source.latents_FCHW[:, :, :4], rtol=1e-5, atol=1e-5)


def test_what_a_solver_remembers_stays(source: SourceFrames) -> None:
    config = SamplingConfig(steps=4, solver="multistep")
    sampler = Sampler(EulerDiscreteScheduler(**SCHEDULER), config)
    y = sampler.start(noise_of(sampler), REFERENCE, source)
    assert y.shape[1] == 8
    kept = sampler.keep(1, torch.full_like(y, 5.0), noise_of(sampler), REFERENCE, source)
    assert (kept[:, 4:] == 5).all()


def test_without_a_film_nothing_changes(sampler: Sampler) -> None:
    noise = noise_of(sampler)
    y = sampler.start(noise, REFERENCE)
    assert torch.equal(sampler.start(noise, REFERENCE, None), y)
