"""Layers over a portrait: what is sent loses little, and moments between are half way."""

import numpy as np
import torch

from sonic_ops.interpolation.layers import PortraitLayers, pack_layers, warp

SIDE = 32
torch.manual_seed(0)
PORTRAIT = torch.rand(3, SIDE, SIDE) * 2 - 1


def moved_by(*pixels: float) -> PortraitLayers:
    """One frame per number: the portrait, moved so far to the left; nothing is painted."""
    flow_F2hw = torch.zeros(len(pixels), 2, 8, 8)
    for frame, distance in enumerate(pixels):
        flow_F2hw[frame, 0] = distance * 2 / SIDE
    nothing = torch.zeros(len(pixels), 1, 16, 16)
    return PortraitLayers(PORTRAIT, pack_layers(flow_F2hw, nothing, nothing.expand(-1, 3, -1, -1)))


def test_without_flow_and_paint_a_frame_is_the_portrait() -> None:
    assert torch.allclose(moved_by(0).frame(0), PORTRAIT * 0.5 + 0.5, atol=1e-6)


def test_flow_says_where_a_pixel_comes_from() -> None:
    frame = moved_by(3).frame(0)
    assert torch.allclose(frame[..., :-3], PORTRAIT[..., 3:] * 0.5 + 0.5, atol=1e-3)


def test_half_way_is_half_the_motion_and_not_both_images() -> None:
    both = moved_by(0, 4)
    half, blended = both.frame(0, 0.5), (both.frame(0) + both.frame(1)) / 2
    assert torch.allclose(half, moved_by(2).frame(0), atol=1e-3)
    assert not torch.allclose(half, blended, atol=0.1)


def test_paint_covers_by_its_mask() -> None:
    torch.manual_seed(1)
    mask, paint = torch.rand(1, 1, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE)
    found = PortraitLayers(PORTRAIT, pack_layers(torch.zeros(1, 2, 8, 8), mask, paint)).frame(0)
    wanted = (1 - mask[0]) * (PORTRAIT * 0.5 + 0.5) + mask[0] * paint[0]
    assert (found - wanted).abs().max() < 1.1 / 255


def test_the_same_layers_fit_a_larger_portrait() -> None:
    large = torch.nn.functional.interpolate(PORTRAIT[None], scale_factor=4)[0]
    layers = moved_by(2).layers
    frame = PortraitLayers(large, layers).frame(0)
    assert frame.shape == (3, 4 * SIDE, 4 * SIDE)
    assert torch.allclose(frame[..., :-8], large[..., 8:] * 0.5 + 0.5, atol=1e-3)


def test_layers_are_cut_and_joined_like_images() -> None:
    whole = moved_by(0, 1, 2, 3)
    joined = np.concatenate([whole.layers[:1], whole.layers[1:]])
    parted = PortraitLayers(PORTRAIT, joined)
    assert len(parted) == 4
    assert np.array_equal(parted.pixels(2, 0.5), whole.pixels(2, 0.5))


def test_beyond_the_border_the_border_goes_on() -> None:
    flow = torch.full((1, 2, SIDE, SIDE), 3.0)
    assert torch.equal(warp(PORTRAIT[None], flow)[0, :, 0, 0], PORTRAIT[:, -1, -1])
