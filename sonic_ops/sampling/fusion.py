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


def blend(takes: Sequence[tuple[int, Tensor, Tensor]], num_frames: int) -> Tensor:
    """Average overlapping sources with weights: (F, C, H, W).

    A take is the first frame it holds, its frames (f, C, H, W), and their weights (f,).
    Raises AssertionError if a frame has no take.
    """
    total = takes[0][1].new_zeros(num_frames, *takes[0][1].shape[1:])
    norm = torch.zeros(num_frames)
    for first, part_FCHW, weight_F in takes:
        span = slice(first, first + len(weight_F))
        total[span] += weight_F[:, None, None, None] * part_FCHW
        norm[span] += weight_F
    assert bool((norm > 0).all()), "a frame is in no take"
    return total / norm[:, None, None, None]
