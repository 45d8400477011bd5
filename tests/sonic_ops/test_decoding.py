"""Facts about the chunk grid."""

import pytest
import torch
from torch import Tensor

from sonic_ops.config import DecodingConfig
from sonic_ops.decoding import decode_frames

NUM_FRAMES = 21
LATENTS = torch.rand(NUM_FRAMES, 1, 2, 2) * 2 - 1


def smoothing(latents: Tensor) -> Tensor:
    """A decoder that looks one frame to both sides."""
    padded = torch.cat([latents[:1], latents, latents[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def decode(span: range, context_frames: int) -> Tensor:
    config = DecodingConfig(chunk_frames=8, context_frames=context_frames)
    parts = decode_frames(smoothing, lambda a, b: LATENTS[a:b], span, NUM_FRAMES, config)
    return torch.cat(list(parts))


def test_context_hides_the_chunk_borders() -> None:
    whole = (smoothing(LATENTS) + 1) / 2
    assert torch.equal(decode(range(NUM_FRAMES), 1), whole)
    assert not torch.equal(decode(range(NUM_FRAMES), 0), whole)


@pytest.mark.parametrize("context_frames", [0, 1, 3])
@pytest.mark.parametrize("cut", [1, 5, 8, 20])
def test_segments_decode_to_the_bits_of_the_whole(cut: int, context_frames: int) -> None:
    whole = decode(range(NUM_FRAMES), context_frames)
    parts = [decode(range(cut), context_frames), decode(range(cut, NUM_FRAMES), context_frames)]
    assert torch.equal(torch.cat(parts), whole)
