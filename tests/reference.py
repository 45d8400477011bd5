"""Slow and obvious: the whole video in one process, no segments. What everything must equal."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sonic_ops.core.timeline import window_grid
from sonic_ops.models.unet import AudioUNet
from sonic_ops.sampling.conditioning import FrameCondition, PortraitCondition, window_denoiser
from sonic_ops.sampling.fusion import fuse
from sonic_ops.sampling.sampler import Denoiser, Sampler


def grid_of(sampler: Sampler, num_frames: int, step: int) -> list[tuple[list[int], range]]:
    """The frames of every window, and the positions of those that count."""
    config = sampler.config
    windows = window_grid(
        num_frames,
        step,
        size=config.window_frames,
        overlap=config.window_overlap,
        shift=config.shift_frames,
        padding_mode=config.padding_mode,
    )
    size = config.window_frames
    seen = np.pad(
        np.arange(num_frames), size, mode="wrap" if config.padding_mode == "circular" else "reflect"
    ).tolist()
    grid = []
    for window in windows:
        last = window.size if config.padding_mode == "circular" else num_frames - window.start
        counted = range(max(-window.start, 0), min(last, window.size))
        grid.append((seen[window.start + size :][: window.size], counted))
    return grid


@torch.inference_mode()
def denoise_whole(
    sampler: Sampler,
    unet: AudioUNet,
    portrait: PortraitCondition,
    frames: FrameCondition,
    noise_FCHW: Tensor,
    watch: Callable[[int, Tensor], None] = lambda index, y: None,
    form: Callable[[Denoiser], Denoiser] = lambda denoiser: denoiser,
) -> Tensor:
    """Latents of all frames (F, C, H, W); `watch` sees the latents before every step, and `form`
    may change how a window is denoised."""
    num_frames = len(noise_FCHW)
    y_FCHW = sampler.start(noise_FCHW, portrait.reference_CHW)
    for step in sampler.steps:
        watch(step.index, y_FCHW)
        grid = grid_of(sampler, num_frames, step.index)
        rows = [
            sampler.step(
                step, y_FCHW[seen], form(window_denoiser(unet, portrait, *frames.take(seen)))
            )[counted.start : counted.stop]
            for seen, counted in grid
        ]
        targets = [seen[position] for seen, counted in grid for position in counted]
        y_FCHW = fuse(torch.cat(rows), targets, num_frames)
    return sampler.finish(y_FCHW, portrait.reference_CHW)
