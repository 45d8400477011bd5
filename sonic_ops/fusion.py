"""Fusion: one latent out of every overlap.

Shape letters: N parts that contribute, F frames that are fused, C channels, H, W rows and columns.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def fuse(parts_NCHW: Tensor, targets: Sequence[int], num_frames: int) -> Tensor:
    """Average the parts that belong to one frame: (N, C, H, W) -> (F, C, H, W).

    Part n belongs to frame `targets[n]`. Sums run in their order, one after the other and on the
    CPU, so that the result has one value whatever machine computed the parts.
    Raises AssertionError if a frame has no part.
    """
    assert parts_NCHW.device.type == "cpu"
    index = torch.tensor(targets)
    count = torch.bincount(index, minlength=num_frames)
    assert bool((count > 0).all()), "a frame is in no window"
    total = parts_NCHW.new_zeros(num_frames, *parts_NCHW.shape[1:])
    for part, target in zip(parts_NCHW, targets, strict=True):
        total[target] += part
    return total / count[:, None, None, None]
