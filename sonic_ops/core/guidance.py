"""Three-branch guidance: towards the portrait, then towards the audio.

The branches are `uncond` (neither), `image` (without audio) and `image_audio` (both).
Source: Sonic (arXiv:2411.16331), guidance of the released sampler.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from torch import Tensor

BRANCHES: Final = ("uncond", "image", "image_audio")


def guidance_scales(
    low_high: tuple[float, float], num_steps: int, interval: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, ...]:
    """Return the scale of every step, linearly from the first value to the second.

    Outside of the interval, in shares of the steps, it is 1: `image_audio` alone has a weight.
    Source of the interval: arXiv:2404.07724, here in steps and not in noise levels.
    """
    first, last = (round(share * num_steps) for share in interval)
    scales = map(float, np.linspace(*low_high, num_steps))
    return tuple(scale if first <= i < last else 1.0 for i, scale in enumerate(scales))


def branches_of(image_scale: float, audio_scale: float) -> tuple[str, ...]:
    """Return the branches with a weight, which `guide` needs."""
    weights = (1 - image_scale, image_scale - audio_scale, audio_scale)
    return tuple(name for name, weight in zip(BRANCHES, weights, strict=True) if weight)


def guide(predicted: Mapping[str, Tensor], image_scale: float, audio_scale: float) -> Tensor:
    """Return one prediction out of the branches: u + g1 (i - u) + g2 (ia - i)."""
    if set(predicted) == set(BRANCHES):
        uncond, image, image_audio = (predicted[name] for name in BRANCHES)
        return uncond + image_scale * (image - uncond) + audio_scale * (image_audio - image)
    if set(predicted) == {"image", "image_audio"}:
        return predicted["image"] + audio_scale * (predicted["image_audio"] - predicted["image"])
    weights = dict(
        zip(BRANCHES, (1 - image_scale, image_scale - audio_scale, audio_scale), strict=True)
    )
    parts = [weights[name] * part for name, part in predicted.items()]
    return sum(parts[1:], start=parts[0])
