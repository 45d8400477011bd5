"""The sampler: noise of a frame, start latents, and one step of one window.

Latents are sampled as `y = (latents - origin) / residual_scale`. The released model diffuses
around zero with scale 1; a model that diffuses around the reference latents has those as origin.
What a solver remembers of earlier steps is kept for each frame, in further channels behind y: it
goes where the frame goes, through windows, fusion and checkpoints.

Shape letters: F frames, T frames of a window, C channels, H, W rows and columns of the latents.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler
from torch import Tensor

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.guidance import branches_of, guidance_scales, guide

Denoiser = Callable[..., dict[str, Tensor]]
"""(branches, scaled latents TCHW, timestep) -> v prediction TCHW of every branch.

A fourth argument are deep features by branch, TMHW: none yet are filled in, others are used."""

# Frame numbers that no video reaches, for noise that belongs to no frame.
COMMON = 1 << 63
IMAGE = COMMON + 1


@dataclass(frozen=True, slots=True)
class Step:
    """One noise level; `index` counts from 0 over the steps that are run."""

    index: int
    table_index: int
    timestep: float
    sigma: float
    image_scale: float
    audio_scale: float
    reuses: bool = False  # the deep features of the step before, which are not computed

    @property
    def branches(self) -> tuple[str, ...]:
        return branches_of(self.image_scale, self.audio_scale)


@dataclass(frozen=True, slots=True)
class SourceFrames:
    """The frames of a film as scaled latents, and where they are made anew (F 1 H W, bool)."""

    latents_FCHW: Tensor
    is_made_F1HW: Tensor


class Sampler:
    """Steps of one video through diffusers' Euler scheduler, without hidden state."""

    def __init__(
        self, scheduler: EulerDiscreteScheduler, config: SamplingConfig, channels: int | None = None
    ) -> None:
        """Make a sampler; `channels` of latents must be known if features are cached."""
        assert channels or config.cache_interval == 1
        self.config = config
        self._channels = channels
        self._scheduler = scheduler
        self._scheduler.set_timesteps(config.steps)
        self.steps = tuple(self._steps())

    def _steps(self) -> Iterator[Step]:
        config, scheduler, num_run = self.config, self._scheduler, self.config.num_run
        first, interval = config.steps - num_run, config.guidance_interval
        image_scales = guidance_scales(config.image_guidance, num_run, interval)
        audio_scales = guidance_scales(config.audio_guidance, num_run, interval)
        before: tuple[str, ...] = ()
        for index, scales in enumerate(zip(image_scales, audio_scales, strict=True)):
            branches, at = branches_of(*scales), first + index
            timestep, sigma = float(scheduler.timesteps[at]), float(scheduler.sigmas[at])
            reuses = index % config.cache_interval != 0 and branches == before
            yield Step(index, at, timestep, sigma, *scales, reuses=reuses)
            before = branches

    def start(
        self, noise_FCHW: Tensor, reference_CHW: Tensor, source: SourceFrames | None = None
    ) -> Tensor:
        """Return the starting y with room for the solver's state: (F, S, H, W).

        Of a film there is nothing but noise where it is made anew.
        """
        y_FCHW = self._to_y(reference_CHW, reference_CHW) + noise_FCHW * self.steps[0].sigma
        if source is not None:
            pure_FCHW = noise_FCHW * self.steps[0].sigma
            kept_FCHW = self._to_y(source.latents_FCHW, reference_CHW) + pure_FCHW
            y_FCHW = torch.where(source.is_made_F1HW, pure_FCHW, kept_FCHW)
        return torch.cat([y_FCHW, torch.zeros_like(y_FCHW)], dim=1) if self._remembers else y_FCHW

    def keep(
        self,
        num_done: int,
        state_FSHW: Tensor,
        noise_FCHW: Tensor,
        reference_CHW: Tensor,
        source: SourceFrames,
    ) -> Tensor:
        """Put a film's own latents where it is not made anew, as noisy as they are after a step.

        They are assigned and not accumulated: a function of seed, frame and place alone.
        """
        *_, sigma = self._sigmas(self.steps[num_done - 1])
        kept_FCHW = self._to_y(source.latents_FCHW, reference_CHW) + noise_FCHW * sigma
        size = kept_FCHW.shape[1]
        y_FCHW = torch.where(source.is_made_F1HW, state_FSHW[:, :size], kept_FCHW)
        return torch.cat([y_FCHW, state_FSHW[:, size:]], dim=1)

    def finish(self, state_FSHW: Tensor, reference_CHW: Tensor) -> Tensor:
        """Convert y to latents: (F, C, H, W)."""
        y_FCHW = state_FSHW[:, : len(reference_CHW)]
        return self._origin(reference_CHW) + self.config.residual_scale * y_FCHW

    def step(self, step: Step, state_TSHW: Tensor, denoise: Denoiser) -> Tensor:
        """Denoise one window and take its step: (T, S, H, W) -> (T, S, H, W)."""
        scheduler = self._scheduler
        timestep = scheduler.timesteps[step.table_index]
        # A window is stepped on its own, so the scheduler's counter is set and not counted on.
        scheduler.set_begin_index(step.table_index)
        scheduler._step_index = None
        y_TCHW, before_TCHW, cached = self._opened(step, state_TSHW)
        scaled = scheduler.scale_model_input(y_TCHW, timestep)
        kept = () if cached is None else (cached,)
        predicted = denoise(step.branches, scaled, step.timestep, *kept)
        v_TCHW = guide(predicted, step.image_scale, step.audio_scale)
        stepped = scheduler.step(v_TCHW, timestep, y_TCHW)
        parts = [stepped.prev_sample]
        if before_TCHW is not None:
            clean_TCHW = stepped.pred_original_sample
            parts = [self._multistep(step, y_TCHW, clean_TCHW, before_TCHW), clean_TCHW]
        if self._is_reused(step):
            assert cached
            parts += [cached[name] for name in step.branches]
        return torch.cat(parts, dim=1)

    def _opened(
        self, step: Step, state_TSHW: Tensor
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor] | None]:
        """Split into y, the previous clean y.

        Cached features (empty when they are to be filled).
        """
        num_parts = 2 if self._remembers else 1
        size = self._channels or state_TSHW.shape[1] // num_parts
        y_TCHW, *before, deep_TMHW = state_TSHW.tensor_split(
            [size * (n + 1) for n in range(num_parts)], dim=1
        )
        cached: dict[str, Tensor] | None = {} if self._is_reused(step) else None
        if step.reuses:
            parts = deep_TMHW.chunk(len(step.branches), dim=1)
            cached = dict(zip(step.branches, parts, strict=True))
        return y_TCHW, before[0] if before else None, cached

    def _is_reused(self, step: Step) -> bool:
        following = self.steps[step.index + 1 : step.index + 2]
        return any(after.reuses for after in following)

    def _multistep(
        self, step: Step, y_TCHW: Tensor, clean_TCHW: Tensor, before_TCHW: Tensor
    ) -> Tensor:
        """Towards where the clean y will be, if it moves on as it did since the step before.

        Source: DPM-Solver++ (arXiv:2211.01095), 2M.
        """
        before, now, after = self._sigmas(step)
        if step.index and after:
            ratio = math.log(before / now) / math.log(now / after)
            clean_TCHW = clean_TCHW + (clean_TCHW - before_TCHW) / (2 * ratio)
        return torch.lerp(clean_TCHW, y_TCHW, after / now)

    @property
    def _remembers(self) -> bool:
        return self.config.solver == "multistep"

    def _sigmas(self, step: Step) -> tuple[float, float, float]:
        """Return the noise levels before, at and after a step; 0 before the first."""
        now = step.table_index
        before, at, after = self._scheduler.sigmas[[max(now - 1, 0), now, now + 1]].tolist()
        return before, at, after

    def _origin(self, reference_CHW: Tensor) -> Tensor:
        from_zero = self.config.latent_origin == "zero"
        return torch.zeros_like(reference_CHW) if from_zero else reference_CHW

    def _to_y(self, latents: Tensor, reference_CHW: Tensor) -> Tensor:
        return (latents - self._origin(reference_CHW)) / self.config.residual_scale


def frame_noise(seed: int, frame: int, shape_CHW: Sequence[int]) -> Tensor:
    """Draw standard normal noise of one frame: the same on every machine and in every cut.

    Philox is keyed by (seed, frame), so no two frames share a stream.
    """
    key = np.array([seed, frame], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    return torch.from_numpy(generator.standard_normal(tuple(shape_CHW), dtype=np.float32))


def video_noise(
    seed: int, frames: Sequence[int], shape_CHW: Sequence[int], config: SamplingConfig
) -> Tensor:
    """Return noise of some frames: (F, C, H, W), of variance 1.

    `shared_noise` of it is common to all frames. The rest of a frame is the sum of the noise of
    `noise_span` frames from it on, which neighbours have in common too, but for one.
    Source of the shared part: PYoCo (arXiv:2305.10474), mixed noise.
    """
    spans = [range(frame, frame + config.noise_span) for frame in frames]
    noise = {f: frame_noise(seed, f, shape_CHW) for f in sorted(set().union(*spans))}
    own_FCHW = torch.stack([torch.stack([noise[f] for f in span]).sum(0) for span in spans])
    own_FCHW /= math.sqrt(config.noise_span)
    shared = config.shared_noise
    if shared == 0:
        return own_FCHW
    common_CHW = frame_noise(seed, COMMON, shape_CHW)
    mixed_FCHW: Tensor = math.sqrt(shared) * common_CHW + math.sqrt(1 - shared) * own_FCHW
    return mixed_FCHW
