"""Facts about noise, guidance, fusion and the sampler."""

from collections.abc import Sequence

import pytest
import torch
from diffusers import EDMDPMSolverMultistepScheduler, EulerDiscreteScheduler
from torch import Tensor

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.guidance import branches_of, guide
from sonic_ops.sampling.fusion import fuse
from sonic_ops.sampling.sampler import Sampler, frame_noise, video_noise
from tests.tiny import SCHEDULER

SHAPE = (4, 16, 16)


@pytest.mark.parametrize("span", [1, 5])
def test_noise_of_a_frame_does_not_depend_on_the_cut(span: int) -> None:
    config = SamplingConfig(shared_noise=0.5, noise_span=span)
    whole = video_noise(3, range(10), SHAPE, config)
    parts = [video_noise(3, part, SHAPE, config) for part in (range(4), range(4, 10))]
    assert torch.equal(whole, torch.cat(parts))


def test_noise_is_another_one_for_another_seed_and_another_frame() -> None:
    some = [frame_noise(seed, frame, SHAPE) for seed in (0, 1, 1 << 33) for frame in (0, 1)]
    correlations = torch.corrcoef(torch.stack(some).flatten(1)) - torch.eye(len(some))
    assert correlations.abs().max() < 0.15


@pytest.mark.parametrize("shared", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("span", [1, 4])
def test_noise_has_unit_variance_and_what_is_shared_in_common(shared: float, span: int) -> None:
    config = SamplingConfig(shared_noise=shared, noise_span=span)
    noise = video_noise(0, range(200), SHAPE, config)
    assert noise.var().item() == pytest.approx(1, abs=0.05)
    for apart in (1, 3, 50):
        together = (noise[:-apart] * noise[apart:]).mean().item()
        overlap = max(0, span - apart) / span
        assert together == pytest.approx(shared + (1 - shared) * overlap, abs=0.08)


def test_guidance_skips_branches_without_weight_and_changes_nothing_by_it() -> None:
    parts = {name: torch.randn(3) for name in ("uncond", "image", "image_audio")}
    for scales in ((2.0, 7.5), (1.0, 2.0), (1.0, 1.0), (2.0, 2.0), (0.0, 0.0), (0.0, 3.0)):
        needed = branches_of(*scales)
        some = guide({name: parts[name] for name in needed}, *scales)
        torch.testing.assert_close(some, guide(parts, *scales))
    assert branches_of(1.0, 2.0) == ("image", "image_audio")
    assert branches_of(1.0, 1.0) == ("image_audio",)


def test_fusion_averages_and_misses_no_frame() -> None:
    rows = torch.arange(4.0)[:, None, None, None]
    assert fuse(rows, [0, 1, 1, 0], 2).flatten().tolist() == [1.5, 1.5]
    with pytest.raises(AssertionError, match="in no window"):
        fuse(rows, [0, 0, 0, 0], 2)


@pytest.mark.parametrize("latent_origin", ["zero", "reference"])
def test_a_perfect_denoiser_ends_at_the_truth(latent_origin: str) -> None:
    reference, truth = torch.randn(SHAPE), torch.randn(5, *SHAPE)
    config = SamplingConfig(steps=12, latent_origin=latent_origin, residual_scale=0.5)  # type: ignore[arg-type]
    sampler = Sampler(EulerDiscreteScheduler(**SCHEDULER), config)
    origin = reference if latent_origin == "reference" else torch.zeros(SHAPE)
    y0 = (truth - origin) / config.residual_scale
    y = sampler.start(torch.randn(5, *SHAPE), reference)
    for step in sampler.steps:

        def denoise(
            branches: tuple[str, ...], scaled: Tensor, timestep: float, sigma: float = step.sigma
        ) -> dict[str, Tensor]:
            noisy = scaled * (sigma**2 + 1) ** 0.5
            v = (noisy / (sigma**2 + 1) - y0) * (sigma**2 + 1) ** 0.5 / sigma
            return dict.fromkeys(branches, v)

        y = sampler.step(step, y, denoise)  # type: ignore[arg-type]
    torch.testing.assert_close(sampler.finish(y, reference), truth, atol=1e-3, rtol=0)


def test_strength_runs_the_last_steps() -> None:
    sampler = Sampler(EulerDiscreteScheduler(**SCHEDULER), SamplingConfig(steps=10, strength=0.7))
    assert [step.table_index for step in sampler.steps] == list(range(3, 10))


def _edm_solver() -> EDMDPMSolverMultistepScheduler:
    """diffusers' own solver, for the noise levels of `SCHEDULER`."""
    return EDMDPMSolverMultistepScheduler(
        sigma_min=SCHEDULER["sigma_min"],
        sigma_max=SCHEDULER["sigma_max"],
        sigma_data=1.0,
        prediction_type="v_prediction",
        final_sigmas_type="zero",
    )


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_the_multistep_solver_is_that_of_diffusers(steps: int) -> None:
    config = SamplingConfig(steps=steps, solver="multistep")
    sampler, theirs = Sampler(EulerDiscreteScheduler(**SCHEDULER), config), _edm_solver()
    theirs.set_timesteps(steps)
    reference, noise = torch.zeros(SHAPE), torch.randn(3, *SHAPE)
    state, sample = sampler.start(noise, reference), noise * sampler.steps[0].sigma
    assert [step.sigma for step in sampler.steps] == pytest.approx(
        theirs.sigmas[:-1].tolist(), rel=1e-5
    )
    for step, timestep in zip(sampler.steps, theirs.timesteps, strict=True):
        predicted = theirs.scale_model_input(sample, timestep).sin()

        def denoise(branches: Sequence[str], y: Tensor, _: float) -> dict[str, Tensor]:
            return dict.fromkeys(branches, y.sin())

        state = sampler.step(step, state, denoise)
        sample = theirs.step(predicted, timestep, sample).prev_sample
        torch.testing.assert_close(sampler.finish(state, reference), sample)


def test_outside_of_the_interval_only_what_sees_and_hears_is_computed() -> None:
    config = SamplingConfig(steps=10, guidance_interval=(0.2, 0.7))
    steps = Sampler(EulerDiscreteScheduler(**SCHEDULER), config).steps
    alone = [step.index for step in steps if step.branches == ("image_audio",)]
    assert alone == [0, 1, 7, 8, 9]
    assert all(step.audio_scale == 7.5 for step in steps if step.index not in alone)
