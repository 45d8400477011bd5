"""Fusion: one latent out of every overlap.

Shape letters: N rows that contribute, F frames that are fused, C channels, H, W rows and columns.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def fuse(rows_NCHW: Tensor, targets: Sequence[int], num_frames: int) -> Tensor:
    """Average the rows that belong to one frame: (N, C, H, W) -> (F, C, H, W).

    Row n belongs to frame `targets[n]`. Sums run in row order, one row after the other and on the
    CPU, so that the result has one value whatever machine computed the rows.
    Raises AssertionError if a frame has no row.
    """
    assert rows_NCHW.device.type == "cpu"
    index = torch.tensor(targets)
    count = torch.bincount(index, minlength=num_frames)
    assert bool((count > 0).all()), "a frame is in no window"
    total = rows_NCHW.new_zeros(num_frames, *rows_NCHW.shape[1:])
    for row, target in zip(rows_NCHW, targets, strict=True):
        total[target] += row
    return total / count[:, None, None, None]
