"""Slow and obvious: the whole video in one process, no segments. What everything must equal."""

from collections.abc import Callable

import torch
from torch import Tensor

from sonic_ops.conditioning import FrameCondition, PortraitCondition, window_denoiser
from sonic_ops.fusion import fuse
from sonic_ops.models.unet import AudioUNet
from sonic_ops.sampling import Sampler
from sonic_ops.timeline import window_grid


def grid_of(sampler: Sampler, num_frames: int, step: int) -> list[tuple[int, ...]]:
    config = sampler.config
    windows = window_grid(
        num_frames,
        step,
        size=config.window_frames,
        overlap=config.window_overlap,
        shift=config.shift_frames,
    )
    return [window.frames(num_frames) for window in windows]


@torch.inference_mode()
def denoise_whole(
    sampler: Sampler,
    unet: AudioUNet,
    portrait: PortraitCondition,
    frames: FrameCondition,
    noise_FCHW: Tensor,
    watch: Callable[[int, Tensor], None] = lambda index, y: None,
) -> Tensor:
    """Latents of all frames (F, C, H, W); `watch` sees the latents before every step."""
    num_frames = len(noise_FCHW)
    y_FCHW = sampler.start(noise_FCHW, portrait.reference_CHW)
    for step in sampler.steps:
        watch(step.index, y_FCHW)
        grid = grid_of(sampler, num_frames, step.index)
        rows = [
            sampler.step(
                step, y_FCHW[list(window)], window_denoiser(unet, portrait, *frames.take(window))
            )
            for window in grid
        ]
        targets = [frame for window in grid for frame in window]
        y_FCHW = fuse(torch.cat(rows), targets, num_frames)
    return sampler.finish(y_FCHW, portrait.reference_CHW)
