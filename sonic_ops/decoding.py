"""From latents to frames, on a chunk grid that is fixed for the whole video.

Shape letters: F frames, C channels, H, W rows and columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sonic_ops.config import DecodingConfig

Read = Callable[[int, int], Tensor]
"""Latents of frames `[start, stop)`: (F, C, H, W)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames `[start, stop)`, decoded together with what is around them: `[first, last)`."""

    start: int
    stop: int
    first: int
    last: int


def chunk_grid(num_frames: int, config: DecodingConfig) -> tuple[Chunk, ...]:
    """The chunks of a video. They start at frame 0, whatever the segments are."""
    size, context = config.chunk_frames, config.context_frames
    return tuple(
        Chunk(
            start,
            min(start + size, num_frames),
            max(0, start - context),
            min(start + size + context, num_frames),
        )
        for start in range(0, num_frames, size)
    )


@torch.inference_mode()
def decode_frames(
    decode: Callable[[Tensor], Tensor],
    read: Read,
    span: range,
    num_frames: int,
    config: DecodingConfig,
) -> Iterator[Tensor]:
    """Decode the frames of `span`, chunk by chunk: yields (F, 3, H, W) float32 in [0, 1].

    A chunk sees `context_frames` more on both sides, which are then dropped, so that a decoder
    that looks along time leaves no visible chunk border. `decode` maps (F, C, h, w) to [-1, 1].
    """
    for chunk in chunk_grid(num_frames, config):
        if chunk.stop <= span.start or chunk.start >= span.stop:
            continue
        decoded = decode(read(chunk.first, chunk.last))
        start, stop = max(chunk.start, span.start), min(chunk.stop, span.stop)
        kept = decoded[start - chunk.first : stop - chunk.first]
        yield (kept * 0.5 + 0.5).clamp(0, 1)
