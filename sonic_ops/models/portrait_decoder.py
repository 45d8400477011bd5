"""A decoder that is given the portrait: latents say what moves, the pixels come from the portrait.

What moves is read from the latents as a few numbers: how far the jaw is open, where the head looks,
and so on. A rig says where this moves the landmarks of the portrait, so latents that look like no
face still give one. A network then says where every other pixel comes from, and paints what the
portrait does not show (after PIRenderer, arXiv:2109.08379, and MegaPortraits, arXiv:2207.07621).

Shape letters: N frames, K numbers of a pose, P landmarks, C channels, h, w rows and columns of the
latents. The portrait is read at 16 h x 16 w, twice the size that the latents stand for, and is laid
out again at its own size.
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
from sonic_ops.models.face_maps import (
    NUM_MAPS,
    NUM_PORTRAIT_MAPS,
    maps_at_pose,
    maps_of_portrait,
)
from sonic_ops.models.face_rig import FaceRig

SCALE = 16
"""Pixels of the portrait, as it is read, on a side of a cell of the latents."""
_MASK_BIAS = 2.0
"""Little is painted anew before anything is learnt."""
_FAINT = 0.1
"""Paint fainter than this only blurs, so it is left out."""
_FLOW_GAIN = 10.0
"""What the network reads of a flow, in halves of the image, is of the size of its other inputs."""
_CELLS = 8
"""Rows and columns of the map from which a pose is read, whatever the size of the latents."""

SMOOTHED_FRAMES = 4
"""Frames on either side that a smoothed pose depends on; `decoding.context_frames` gives them."""
_NO_BLINK = 0.4
"""Lids that are read as shut by less than this count as open."""
_FURTHEST = 1.2
"""Poses beyond this were never trained."""
_NO_SPAN = 1e-3
"""The span of a Gaussian that changes nothing."""
_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class Reference:
    """All that a portrait gives to the decoder, made once for all frames."""

    image_CHW: Tensor  # in [-1, 1], at its own size
    latents_1Chw: Tensor
    pose_1K: Tensor
    landmarks_1P2: Tensor  # in halves of the height, from the middle
    maps_1Chw: Tensor  # 4 times the size of the latents
    features: tuple[Tensor, Tensor, Tensor]  # 8, 4 and 2 times the size of the latents


@dataclass(frozen=True, slots=True)
class Decoded:
    """Flow in halves of the image (4 h x 4 w), mask and paint in [0, 1] (16 h x 16 w)."""

    flow_N2hw: Tensor
    mask_N1HW: Tensor
    paint_N3HW: Tensor


class PortraitDecoder(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Flow, mask and paint of every frame from a pose, which is smoothed over a few frames.

    `smoothing` is the span of the Gaussian for each number of a pose, in frames; () for none.
    `brief` lists the numbers that are not 0 for moments only: those of lids that blink.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        pose_channels: int = 16,
        reader_channels: int = 64,
        rig_sizes: tuple[int, int, int] = (24, 32, 192),
        portrait_channels: tuple[int, int, int] = (24, 48, 64),
        channels: tuple[int, int, int, int, int] = (64, 96, 96, 48, 32),
        max_flow: float = 0.1,
        smoothing: tuple[float, ...] = (),
        brief: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.reader = PoseReader(latent_channels, pose_channels, reader_channels)
        self.rig = FaceRig(pose_channels, *rig_sizes)
        self.portrait = PortraitEncoder(portrait_channels)
        self.layers = LayersAtPose(pose_channels, portrait_channels, channels, max_flow)

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def refer(self, image_CHW: Tensor, latents_1Chw: Tensor, landmarks_P2: Tensor) -> Reference:
        """Read a portrait in [-1, 1] of any size, with its latents and its landmarks.

        The landmarks are in halves of the height of the image, from its middle.
        """
        weight = self.layers.paint.weight
        rows, columns = (SCALE * side for side in latents_1Chw.shape[2:])
        read = F.interpolate(
            image_CHW[None], (rows, columns), mode="bilinear", align_corners=False, antialias=True
        )
        read = _channels_last(read.to(weight))
        latents, landmarks = latents_1Chw.to(weight), landmarks_P2[None].float()
        features = self.portrait(read)
        pose = self.reader(latents, latents)
        maps = maps_of_portrait(landmarks, features[1].shape[2:])
        return Reference(image_CHW, latents, pose, landmarks, maps, features)

    @apply_forward_hook  # type: ignore[untyped-decorator]
    def decode(self, latents_NChw: Tensor, reference: Reference, wanted: slice = _ALL) -> Layers:
        """Return the layers of the wanted frames over the portrait."""
        weight = self.layers.paint.weight
        latents = _channels_last(latents_NChw.to(weight))
        decoded = self(latents, reference, wanted)
        for made in (decoded.flow_N2hw, decoded.mask_N1HW, decoded.paint_N3HW):
            require_finite(made, "The portrait decoder")
        return pack_layers(decoded.flow_N2hw, decoded.mask_N1HW, decoded.paint_N3HW)

    def forward(self, latents_NChw: Tensor, reference: Reference, wanted: slice = _ALL) -> Decoded:
        """Decode the wanted of consecutive frames to layers, with what is known of the portrait."""
        pose_NK = self.reader(latents_NChw, reference.latents_1Chw)
        pose_NK = self.smoothed(self.with_brief_blinks(pose_NK)).clamp(-_FURTHEST, _FURTHEST)
        return self.at_pose(pose_NK[wanted], reference)

    def with_brief_blinks(self, pose_NK: Tensor) -> Tensor:
        """Return the poses of consecutive frames with brief blinks only.

        Lids that seem to stay shut were misread: a blink lasts less than half of the frames that a
        pose may depend on.
        """
        lids, poses_NK = list(self.config.brief), pose_NK.clone()
        if not lids:
            return poses_NK
        usual_LN = _around(pose_NK[:, lids]).unfold(1, 2 * SMOOTHED_FRAMES + 1, 1).median(-1).values
        blinks_NL = (pose_NK[:, lids] - usual_LN.T - _NO_BLINK) / (1 - _NO_BLINK)
        poses_NK[:, lids] = blinks_NL.clamp(0, 1)
        return poses_NK

    def smoothed(self, pose_NK: Tensor) -> Tensor:
        """Smooth the poses of consecutive frames, which tremble because each is read by itself.

        The first and the last pose are repeated beyond the ends.
        """
        spans = self.config.smoothing
        if not any(spans):
            return pose_NK
        steps = torch.arange(-SMOOTHED_FRAMES, SMOOTHED_FRAMES + 1, device=pose_NK.device)
        span_K1 = torch.tensor(spans, device=pose_NK.device)[:, None].clamp(min=_NO_SPAN)
        kernel_KT = torch.exp(-0.5 * (steps / span_K1).square())
        kernel_KT = kernel_KT / kernel_KT.sum(1, keepdim=True)
        return F.conv1d(_around(pose_NK), kernel_KT[:, None], groups=len(kernel_KT)).T

    def at_pose(self, pose_NK: Tensor, reference: Reference) -> Decoded:
        """Return the layers of a portrait at other poses."""
        count = len(pose_NK)
        own, landmarks = (
            of_portrait.expand(count, *of_portrait.shape[1:])
            for of_portrait in (reference.pose_1K, reference.landmarks_1P2)
        )
        features = tuple(f.expand(count, -1, -1, -1) for f in reference.features)
        near, middle, _ = features
        posed = self.rig(pose_NK, own, landmarks)
        moving = maps_at_pose(landmarks, posed, self.rig.mean, middle.shape[2:])
        maps = torch.cat([moving, reference.maps_1Chw.expand(count, -1, -1, -1)], 1)
        x, flow = self.layers.coarse(maps, pose_NK, own, features)
        size = near.shape[2:]
        mask, paint = self.layers.fine(resized(x, size).to(x), warp(near, resized(flow, size)))
        clear = (mask - _FAINT).clamp(min=0) / (1 - _FAINT)
        return Decoded(flow, clear, paint)


class PoseReader(nn.Module):
    """Reads a pose from latents, beside those of the portrait."""

    def __init__(self, latent_channels: int, pose_channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            _conv(2 * latent_channels, width), _Block(width), _Block(width), nn.SiLU()
        )
        self.second = nn.Sequential(_conv(width, width, stride=2), _Block(width), nn.SiLU())
        self.last = nn.Sequential(
            nn.Linear(width * _CELLS * _CELLS, 2 * width),
            nn.SiLU(),
            nn.Linear(2 * width, pose_channels),
        )

    def forward(self, latents_NChw: Tensor, portrait_NChw: Tensor) -> Tensor:
        """Return the poses: N K in float32."""
        own = portrait_NChw.expand_as(latents_NChw)
        x = self.first(torch.cat([latents_NChw - own, own], 1))
        cells = F.adaptive_avg_pool2d(self.second(x), _CELLS)
        read: Tensor = self.last(cells.flatten(1)).float()
        return read


class PortraitEncoder(nn.Module):
    """Features of the portrait at a half, a quarter and an eighth of the size that is read."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        near, middle, far = channels
        self.near = _stage(_conv(3 * 4, near), near, 1)
        self.middle = _stage(_conv(near, middle, stride=2), middle, 1)
        self.far = _stage(_conv(middle, far, stride=2), far, 1)

    def forward(self, image_N3HW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the portrait's features at three sizes."""
        near = self.near(F.pixel_unshuffle(image_N3HW, 2))
        middle = self.middle(near)
        return near, middle, self.far(middle)


class LayersAtPose(nn.Module):
    """Refines the flow of the rig, and paints: a U-Net, whose finest stage can see a part alone."""

    def __init__(
        self,
        pose_channels: int,
        portrait_channels: tuple[int, int, int],
        channels: tuple[int, int, int, int, int],
        max_flow: float,
    ) -> None:
        super().__init__()
        near, middle, far = portrait_channels
        quarter, eighth, deep, dense, fine = channels
        self.max_flow = max_flow
        num_maps = NUM_MAPS + NUM_PORTRAIT_MAPS
        self.entry = _stage(_conv(num_maps + 2 * middle, quarter), quarter, 1)
        self.down = _stage(_conv(quarter, eighth, stride=2), eighth, 1)
        self.pose = nn.Linear(3 * pose_channels, eighth)
        self.with_far = _stage(_conv(eighth + far, eighth), eighth, 1)
        self.deep = _stage(_conv(eighth, deep, stride=2), deep, 2)
        self.up = _stage(nn.Conv2d(eighth + deep, eighth, 1), eighth, 1)
        self.dense = _stage(nn.Conv2d(eighth + quarter, dense, 1), dense, 1)
        self.flow = _conv(dense, 2)
        self.moved = _stage(nn.Conv2d(dense + middle, dense, 1), dense, 1)
        self.finest = _stage(nn.Conv2d(dense + near, fine, 1), fine, 1)
        self.paint = _conv(fine, 4 * 4)
        nn.init.zeros_(self.flow.weight)
        nn.init.zeros_(cast(Tensor, self.flow.bias))

    def coarse(
        self,
        maps_NChw: Tensor,
        pose_NK: Tensor,
        portrait_pose_NK: Tensor,
        features: tuple[Tensor, ...],
    ) -> tuple[Tensor, Tensor]:
        """Return the input of the finest stage, at half of its size, and the flow."""
        _, middle, far = features
        rigged, others = maps_NChw[:, :2], maps_NChw[:, 2:]
        told = (rigged * _FLOW_GAIN, others, middle.float(), warp(middle, rigged))
        x = self.entry(_channels_last(torch.cat(told, 1).to(middle)))
        pose = torch.cat([pose_NK - portrait_pose_NK, pose_NK, portrait_pose_NK], 1)
        half = self.down(x) + self.pose(pose.to(middle))[:, :, None, None]
        moved_far = warp(far, resized(rigged, far.shape[2:]))
        half = self.with_far(torch.cat([half, moved_far.to(half)], 1))
        half = self.up(torch.cat([half, _twice(self.deep(half))], 1))
        x = self.dense(torch.cat([x, _twice(half)], 1))
        flow = rigged + self.max_flow * torch.tanh(self.flow(F.silu(x)).float())
        return self.moved(torch.cat([x, warp(middle, flow).to(x)], 1)), flow

    def fine(self, x: Tensor, near_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return mask and paint in [0, 1], of the whole image or of a part of it."""
        x = self.finest(torch.cat([x, near_NCHW.to(x)], 1))
        painted = F.pixel_shuffle(self.paint(F.silu(x)), 2).float()
        paint, mask = painted.split((3, 1), 1)
        return torch.sigmoid(mask - _MASK_BIAS), paint * 0.5 + 0.5


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
    laid = PortraitLayers(reference.image_CHW, layers)
    return torch.stack([laid.frame(index) for index in range(len(laid))]) * 2 - 1


def _stage(first: nn.Module, channels: int, num_blocks: int) -> nn.Sequential:
    return nn.Sequential(first, *(_Block(channels) for _ in range(num_blocks)))


def _conv(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)


def _twice(x_NCHW: Tensor) -> Tensor:
    return F.interpolate(x_NCHW, scale_factor=2, mode="nearest")


def _around(pose_NK: Tensor) -> Tensor:
    """Return poses along time, with the first and the last repeated: K N + 8."""
    return F.pad(pose_NK.T[None], 2 * (SMOOTHED_FRAMES,), mode="replicate")[0]


def _channels_last(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.contiguous(memory_format=torch.channels_last)
