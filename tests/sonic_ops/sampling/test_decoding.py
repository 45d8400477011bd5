"""Facts about the chunk grid."""

import pytest
import torch
from diffusers import AutoencoderKLTemporalDecoder
from diffusers.models.resnet import AlphaBlender
from torch import Tensor
from torch.nn import functional

from sonic_ops.core.config import DecodingConfig
from sonic_ops.sampling.decoding import Decode, decode_frames, frames_read, in_tiles
from tests.tiny import VAE

NUM_FRAMES = 21
LATENTS = torch.rand(NUM_FRAMES, 1, 2, 2) * 2 - 1


def smoothing(latents: Tensor, wanted: slice = slice(None)) -> Tensor:
    """A decoder that looks one frame to both sides."""
    padded = torch.cat([latents[:1], latents, latents[-1:]])
    return ((padded[:-2] + padded[1:-1] + padded[2:]) / 3)[wanted]


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


@pytest.mark.parametrize("context_frames", [0, 1, 3])
@pytest.mark.parametrize("span", [range(21), range(8, 16), range(7, 9), range(20, 21)])
def test_the_frames_that_are_read_are_known_before(span: range, context_frames: int) -> None:
    config = DecodingConfig(chunk_frames=8, context_frames=context_frames)
    seen: list[int] = []

    def read(start: int, stop: int) -> Tensor:
        seen.extend(range(start, stop))
        return LATENTS[start:stop]

    list(decode_frames(smoothing, read, span, NUM_FRAMES, config))
    assert set(seen) == set(frames_read(span, NUM_FRAMES, config))


TILES = DecodingConfig(tile=16, tile_overlap=4)
TILED_SIZES = [(16, 16), (17, 40), (3, 33), (64, 28)]


def pointwise(latents: Tensor, wanted: slice) -> Tensor:
    assert max(latents.shape[-2:]) <= TILES.tile
    return functional.interpolate(latents[wanted], scale_factor=2)


def looking_around(latents: Tensor, wanted: slice = slice(None)) -> Tensor:
    """A decoder that sees one row and column on each side, but nothing beyond what it is given."""
    near = functional.avg_pool2d(latents, 3, 1, 1, count_include_pad=False)
    return functional.interpolate(near[wanted], scale_factor=2)


@pytest.mark.parametrize("size", TILED_SIZES)
def test_tiles_cover_the_image(size: tuple[int, int]) -> None:
    latents = torch.rand(2, 3, *size)
    whole = functional.interpolate(latents, scale_factor=2)
    assert torch.allclose(in_tiles(pointwise, TILES)(latents, slice(None)), whole, atol=1e-6)


@pytest.mark.parametrize("size", TILED_SIZES[1:])
def test_overlaps_hide_the_borders_of_tiles(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    latents = torch.rand(2, 3, *size)
    fade, hard = (
        (in_tiles(looking_around, config)(latents, slice(None)) - looking_around(latents))
        .abs()
        .max()
        for config in (TILES, TILES.model_copy(update={"tile_overlap": 0}))
    )
    assert 0 < fade < hard / 2


@pytest.fixture(scope="module")
def looking_along_time() -> Decode:
    """The decoder of Stable Video Diffusion, small, whose layers along time do much."""
    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(**VAE).eval()
    for block in vae.decoder.modules():
        if isinstance(block, AlphaBlender):
            block.mix_factor.data.fill_(-2.0)
    return lambda z, wanted: vae.decode(z, num_frames=len(z)).sample[wanted].detach()


@pytest.mark.parametrize(("context_frames", "is_seen"), [(0, True), (3, False)])
def test_no_border_of_a_chunk_can_be_told_from_the_changes(
    looking_along_time: Decode, context_frames: int, is_seen: bool
) -> None:
    """The mean change from frame to frame at borders, against that of a video without borders."""
    steps = torch.randn(33, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    latents = torch.cumsum(0.2 * steps, dim=0)

    def changes(chunk_frames: int, context_frames: int) -> Tensor:
        config = DecodingConfig(chunk_frames=chunk_frames, context_frames=context_frames)
        chunks = decode_frames(looking_along_time, lambda a, b: latents[a:b], range(33), 33, config)
        return torch.cat(list(chunks)).diff(dim=0).abs().mean((1, 2, 3))

    found, whole = changes(8, context_frames), changes(33, 0)
    ratio = float(found[7::8].sum() / whole[7::8].sum())
    assert (abs(ratio - 1) > 0.05) == is_seen, ratio
