"""Facts about reused features of the UNet; its numbers are held by the parity cases."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sonic_ops.models.unet import AudioUNet, CachedFeatures
from tests.bench.unet_call import SKETCH
from tests.parity import recipe
from tests.tiny import DAMPED, UNET

FRAMES, SIDE = 3, 16


def call(unet: AudioUNet, sample: Tensor, cached: CachedFeatures | None) -> Tensor:
    """Two branches, which see and hear different things."""
    width = unet.unet.config.cross_attention_dim
    seen = [torch.full((1, 1, width), value) for value in (0.0, 0.5)]
    heard = [torch.full((1, 4, width), 0.1), torch.randn(FRAMES, 4, width)]
    ids = torch.tensor([[12.5, 16.0, 16.0]] * 2)
    return unet(sample, torch.full((2,), 0.5), seen, heard, ids, None, cached)


def filled(config: dict[str, Any]) -> tuple[AudioUNet, Tensor]:
    unet = AudioUNet(config).eval()
    recipe.fill_(unet.unet, 1, DAMPED)
    return unet, torch.randn(2, FRAMES, unet.unet.config.in_channels, SIDE, SIDE)


@pytest.mark.parametrize("config", [UNET, SKETCH], ids=["listens on top", "does not"])
@torch.inference_mode()
def test_features_of_the_same_call_change_nothing(config: dict[str, Any]) -> None:
    unet, sample = filled(config)
    kept = CachedFeatures()
    torch.manual_seed(1)
    whole = call(unet, sample, kept)
    torch.manual_seed(1)
    assert torch.equal(call(unet, sample, None), whole)
    torch.manual_seed(1)
    torch.testing.assert_close(call(unet, sample, CachedFeatures(kept.kept)), whole)
    torch.manual_seed(1)
    other = call(unet, sample, CachedFeatures(torch.zeros_like(kept.kept)))
    assert (other - whole).abs().max() > 1e-3
