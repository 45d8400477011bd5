"""A decoder that is given the portrait: latents say what moves, the pixels come from the portrait.

Shape letters: N frames, C channels, h, w rows and columns of the latents. The portrait is read at
16 h x 16 w, twice the size that the latents stand for, and is laid out again at its own size.
"""

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

from sonic_ops.core.finite import require_finite
from sonic_ops.interpolation.layers import Layers, PortraitLayers, pack_layers, resized, warp

SCALE = 16
"""Pixels of the portrait, as it is read, on a side of a cell of the latents."""
_MASK_BIAS = 2.0
"""Little is painted anew before anything is learnt."""


@dataclass(frozen=True, slots=True)
class Reference:
    """All that a portrait gives to the decoder, made once for all frames."""

    picture_CHW: Tensor  # in [-1, 1], at its own size
    latents_1Chw: Tensor
    features: tuple[Tensor, Tensor, Tensor]  # 8, 4 and 2 times the size of the latents


@dataclass(frozen=True, slots=True)
class Decoded:
    """Flow in halves of the picture (8 h x 8 w / 2), mask and paint in [0, 1] (16 h x 16 w)."""

    flow_N2hw: Tensor
    mask_N1HW: Tensor
    paint_N3HW: Tensor


class PortraitDecoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Flow, mask and paint of every frame by itself, so no cut of a video changes a bit."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        portrait_channels: tuple[int, int, int] = (24, 48, 64),
        channels: tuple[int, int, int, int] = (96, 64, 48, 32),
        blocks: tuple[int, int, int, int, int] = (2, 1, 1, 1, 1),
        max_flow: float = 0.2,
    ) -> None:
        super().__init__()
        near, middle, far = portrait_channels
        motion, coarse, dense, fine = channels
        self.portrait = PortraitEncoder(portrait_channels)
        self.motion = _stage(_conv(2 * latent_channels, motion), motion, blocks[0])
        self.coarse = _stage(_conv(motion + far, coarse), coarse, blocks[1])
        self.dense = _stage(_conv(coarse + middle, dense), dense, blocks[2])
        self.flow = _conv(dense, 2)
        self.moved = _stage(nn.Conv2d(dense + middle, dense, 1), dense, blocks[3])
        self.fine = _stage(nn.Conv2d(dense + near, fine, 1), fine, blocks[4])
        self.paint = _conv(fine, 4 * 4)

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def refer(self, picture_CHW: Tensor, latents_1Chw: Tensor) -> Reference:
        """Read a portrait in [-1, 1] of any size, with the latents of the same portrait."""
        weight = self.paint.weight
        rows, columns = (SCALE * side for side in latents_1Chw.shape[2:])
        read = F.interpolate(
            picture_CHW[None], (rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        read = read.to(weight).contiguous(memory_format=torch.channels_last)
        return Reference(picture_CHW, latents_1Chw.to(weight), self.portrait(read))

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def decode(self, latents_NChw: Tensor, reference: Reference) -> Layers:
        """Return the layers of some frames over the portrait."""
        latents = latents_NChw.to(self.paint.weight).contiguous(memory_format=torch.channels_last)
        decoded = self(latents, reference)
        for made in (decoded.flow_N2hw, decoded.mask_N1HW, decoded.paint_N3HW):
            require_finite(made, "The portrait decoder")
        return pack_layers(decoded.flow_N2hw, decoded.mask_N1HW, decoded.paint_N3HW)

    def forward(self, latents_NChw: Tensor, reference: Reference) -> Decoded:
        """Decode latents to layers, with the features of the portrait."""
        x, flow = self.coarse_layers(latents_NChw, reference)
        near = _for_all(reference.features[0], latents_NChw)
        size = near.shape[2:]
        mask, paint = self.fine_layers(resized(x, size).to(x), warp(near, resized(flow, size)))
        return Decoded(flow, mask, paint)

    def coarse_layers(self, latents_NChw: Tensor, reference: Reference) -> tuple[Tensor, Tensor]:
        """Return the input of the finest stage, at half of its size, and the flow."""
        _, middle, far = (_for_all(f, latents_NChw) for f in reference.features)
        moved = latents_NChw - reference.latents_1Chw
        x = self.motion(torch.cat([moved, latents_NChw], 1))
        x = self.coarse(torch.cat([_twice(x), far], 1))
        x = self.dense(torch.cat([_twice(x), middle], 1))
        flow = self.config.max_flow * torch.tanh(self.flow(F.silu(x)).float())
        x = self.moved(torch.cat([x, warp(middle, flow).to(x)], 1))
        return x, flow

    def fine_layers(self, x: Tensor, near_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Mask and paint in [0, 1], of the whole picture or of a part of it."""
        x = self.fine(torch.cat([x, near_NCHW.to(x)], 1))
        painted = F.pixel_shuffle(self.paint(F.silu(x)), 2).float()
        paint, mask = painted.split((3, 1), 1)
        return torch.sigmoid(mask - _MASK_BIAS), paint * 0.5 + 0.5


class PortraitEncoder(nn.Module):
    """Features of the portrait at a half, a quarter and an eighth of the size that is read."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        near, middle, far = channels
        self.near = _stage(_conv(3 * 4, near), near, 1)
        self.middle = _stage(_conv(near, middle, stride=2), middle, 1)
        self.far = _stage(_conv(middle, far, stride=2), far, 1)

    def forward(self, picture_N3HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the portrait's features at three sizes."""
        near = self.near(F.pixel_unshuffle(picture_N3HW, 2))
        middle = self.middle(near)
        return near, middle, self.far(middle)


class _Block(nn.Module):
    """Two convolutions beside the identity, which is all that a new block is."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, channels), _conv(channels, channels)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(cast(Tensor, self.second.bias))

    def forward(self, x: Tensor) -> Tensor:
        deviation: Tensor = self.second(F.silu(self.first(F.silu(x))))
        return x + deviation


def frames_of(layers: Layers, reference: Reference) -> Tensor:
    """Return the frames in [-1, 1] at the portrait's own size: (N, 3, H, W)."""
    laid = PortraitLayers(reference.picture_CHW, layers)
    return torch.stack([laid.frame(index) for index in range(len(laid))]) * 2 - 1


def _stage(first: nn.Module, channels: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(first, *(_Block(channels) for _ in range(num_blocks)))


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)


def _twice(x_NCHW: Tensor) -> Tensor:
    return F.interpolate(x_NCHW, scale_factor=2, mode="nearest")


def _for_all(feature_1CHW: Tensor, frames: Tensor) -> Tensor:
    return feature_1CHW.expand(len(frames), -1, -1, -1)
