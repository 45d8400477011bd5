"""From latents to frames, on a chunk grid that is fixed for the whole video.

Shape letters: F frames, C channels, H, W rows and columns.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonic_ops.core.config import DecodingConfig
from sonic_ops.core.finite import in_words, locating, require_finite
from sonic_ops.interpolation.layers import Layers

DECODER = "The decoder"

Decoded = TypeVar("Decoded", Tensor, Layers)

DecodeTo = Callable[[Tensor, slice], Decoded]
"""Decodes latents (F, C, h, w), and returns the frames that are asked for; may see the others."""

Decode = DecodeTo[Tensor]
"""The same to frames in [-1, 1]: (F, 3, H, W)."""

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
    """Cut a video into decoding chunks from frame 0, whatever the segments are."""
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
    decode: Decode,
    read: Read,
    span: range,
    num_frames: int,
    config: DecodingConfig,
) -> Iterator[Tensor]:
    """Decode the frames of `span`, chunk by chunk: yields (F, 3, H, W) float32 in [0, 1]."""

    def decode_finite(latents: Tensor, wanted: slice) -> Tensor:
        return require_finite(decode(latents, wanted), DECODER)

    for kept in decode_chunks(decode_finite, read, span, num_frames, config):
        yield (kept * 0.5 + 0.5).clamp(0, 1)


@torch.inference_mode()
def decode_chunks(
    decode: DecodeTo[Decoded],
    read: Read,
    span: range,
    num_frames: int,
    config: DecodingConfig,
) -> Iterator[Decoded]:
    """Decode the frames of `span`, chunk by chunk, to whatever `decode` makes of latents.

    A chunk sees `context_frames` more on both sides, so that a decoder that looks along time
    leaves no visible chunk border.
    """
    for chunk in chunk_grid(num_frames, config):
        if chunk.stop <= span.start or chunk.start >= span.stop:
            continue
        with locating(f" in {in_words(range(chunk.first, chunk.last))}"):
            own = slice(chunk.start - chunk.first, chunk.stop - chunk.first)
            decoded = decode(read(chunk.first, chunk.last), own)
        start, stop = max(chunk.start, span.start), min(chunk.stop, span.stop)
        yield decoded[start - chunk.start : stop - chunk.start]


@torch.inference_mode()
def decode_frame(decode: Decode, read: Read, frame: int) -> Tensor:
    """Decode a frame on its own, (3, H, W) in [0, 1]: good enough for its colours."""
    decoded = require_finite(
        decode(read(frame, frame + 1), slice(1)), DECODER, f" in frame {frame}"
    )
    return (decoded[0] * 0.5 + 0.5).clamp(0, 1)


def to_uint8(frames_FCHW: Tensor) -> NDArray[np.uint8]:
    """Return frames in [0, 1] as bytes (F, H, W, C), truncated as the released model does."""
    return np.asarray((frames_FCHW * 255).to(torch.uint8).movedim(1, -1).contiguous())


def frames_read(span: range, num_frames: int, config: DecodingConfig) -> range:
    """Return the frames that `decode_frames` reads for `span`."""
    chunks = chunk_grid(num_frames, config)
    first, last = (chunks[frame // config.chunk_frames] for frame in (span.start, span.stop - 1))
    return range(first.first, last.last)


def in_tiles(decode: Decode, config: DecodingConfig) -> Decode:
    """Decode tile by tile, which takes less memory; tiles fade into each other where they overlap.

    Not the bits of the whole, since a decoder sees no further than its tile.
    """

    def decode_tiles(latents_FChw: Tensor, wanted: slice) -> Tensor:
        rows, columns = (_tile_spans(length, config) for length in latents_FChw.shape[-2:])
        frames_F3HW = weight_HW = torch.zeros(0)
        for row, column in product(rows, columns):
            part = latents_FChw[..., row.start : row.stop, column.start : column.stop]
            tile = decode(part, wanted)
            scale = tile.shape[-1] // len(column)
            if not len(frames_F3HW):
                height, width = scale * rows[-1].stop, scale * columns[-1].stop
                frames_F3HW = tile.new_zeros(*tile.shape[:2], height, width)
                weight_HW = tile.new_zeros(height, width)
            overlap = scale * config.tile_overlap
            fade_HW = _fade(scale * len(row), overlap)[:, None] * _fade(tile.shape[-1], overlap)
            down, across = (slice(scale * p.start, scale * p.stop) for p in (row, column))
            frames_F3HW[..., down, across] += fade_HW * tile
            weight_HW[down, across] += fade_HW
        return frames_F3HW / weight_HW

    return decode_tiles


def _tile_spans(length: int, config: DecodingConfig) -> list[range]:
    """Return tiles of one size that cover `length` rows or columns; the last one ends with them."""
    size, stride = min(config.tile, length), config.tile - config.tile_overlap
    starts = [min(start, length - size) for start in range(0, length - config.tile_overlap, stride)]
    return [range(start, start + size) for start in starts or [0]]


def _fade(length: int, overlap: int) -> Tensor:
    """Weights that rise and fall across an overlap; what counts is their share in the sum."""
    inside = torch.arange(length) + 0.5
    return torch.minimum(inside, length - inside).clamp(max=max(overlap, 0.5))
