"""The flow network of RIFE 3.8: where each pixel between two frames comes from.

Shape letters: N pairs, C channels, H, W rows and columns. A flow has 4 channels: the way (x, y)
into the first frame, then into the second.
Source: RIFE (arXiv:2011.06294); layout of the released weights of Practical-RIFE 3.8.
"""

from itertools import pairwise
from math import log
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers import ModelMixin
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from sonic_ops.core.errors import ConfigError

PACKAGE_WEIGHTS = Path(__file__).parent.parent / "weights" / "rife"
SCALES = (4, 2, 1)
SIZE_MULTIPLE = 32
CHANNELS = 90
_PAIR_CHANNELS = 3 + 3 + 1 + 4  # both warped frames, mask, flow


class FlowBlock(nn.Module):
    """Corrects flow and mask at one scale; it works on a quarter of the size it is given."""

    def __init__(self, in_channels: int, channels: int = CHANNELS) -> None:
        super().__init__()
        half = channels // 2
        self.conv0 = nn.Sequential(
            _convolution(in_channels, half, stride=2), _convolution(half, channels, stride=2)
        )
        self.convblock0 = _twice(channels)
        self.convblock1 = _twice(channels)
        self.convblock2 = _twice(channels)
        self.convblock3 = _twice(channels)
        self.conv1 = _enlarge(channels, half, 4)
        self.conv2 = _enlarge(channels, half, 1)

    def forward(self, pair_NCHW: Tensor, flow_N4HW: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """Predict corrections of the flow (N, 4, H, W) and the mask (N, 1, H, W)."""
        pair, flow = _resize(pair_NCHW, 1 / scale), _resize(flow_N4HW, 1 / scale) / scale
        features = self.conv0(torch.cat((pair, flow), dim=1))
        for block in (self.convblock0, self.convblock1, self.convblock2, self.convblock3):
            features = block(features) + features
        return _resize(self.conv1(features), scale) * scale, _resize(self.conv2(features), scale)


class FlowNet(ModelMixin):  # type: ignore[misc]
    """The motion between two frames, from coarse to fine; both orders of the pair are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.block0 = FlowBlock(_PAIR_CHANNELS)
        self.block1 = FlowBlock(_PAIR_CHANNELS)
        self.block2 = FlowBlock(_PAIR_CHANNELS)
        self.block_tea = FlowBlock(_PAIR_CHANNELS + 3)  # a teacher of the training, never called

    def forward(self, a_NCHW: Tensor, b_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the flow (N4HW) and mask (N1HW) of the frame in the middle of two.

        The mask is the logit of the share of the first frame. Frames are in [0, 1], and their sides
        are multiples of 32. Only the blocks compute in the precision of their weights: flow, mask
        and what is fetched along them are as precise as the frames.
        """
        num_pairs, _, height, width = a_NCHW.shape
        assert height % SIZE_MULTIPLE == 0
        assert width % SIZE_MULTIPLE == 0
        flow = a_NCHW.new_zeros(num_pairs, 4, height, width)
        mask = a_NCHW.new_zeros(num_pairs, 1, height, width)
        from_a, from_b = a_NCHW, b_NCHW
        for block, scale in zip((self.block0, self.block1, self.block2), SCALES, strict=True):
            if scale != SCALES[0]:
                from_a, from_b = warp(a_NCHW, flow[:, :2]), warp(b_NCHW, flow[:, 2:])
            forth = torch.cat((from_a, from_b, mask), dim=1)
            back = torch.cat((from_b, from_a, -mask), dim=1)
            pair, both = torch.cat((forth, back)), torch.cat((flow, _turned(flow)))
            flows, masks = (part.to(a_NCHW) for part in block(*_like(block, pair, both), scale))
            flow = flow + (flows[:num_pairs] + _turned(flows[num_pairs:])) / 2
            mask = mask + (masks[:num_pairs] - masks[num_pairs:]) / 2
        return flow, mask


def frame_at(
    a_NCHW: Tensor, b_NCHW: Tensor, flow_N4HW: Tensor, mask_N1HW: Tensor, instant: float
) -> Tensor:
    """Interpolate at an instant, from the flow and mask of the middle.

    `instant` is above 0 (the first) and below 1 (the second). Ways are as long as the time that
    they take, and the nearer frame weighs more; at 1/2 nothing changes, to the bit.
    Source of the weights: Super SloMo (arXiv:1712.00080), equation 4.
    """
    from_a = warp(a_NCHW, flow_N4HW[:, :2] * (2 * instant))
    from_b = warp(b_NCHW, flow_N4HW[:, 2:] * (2 * (1 - instant)))
    share = torch.sigmoid(mask_N1HW + log((1 - instant) / instant))
    return from_a * share + from_b * (1 - share)


def warp(image_NCHW: Tensor, flow_N2HW: Tensor) -> Tensor:
    """Fetch every pixel from where the flow (x, y) points; beyond the border the border goes on."""
    height, width = image_NCHW.shape[2:]
    rows = torch.linspace(-1, 1, height).to(image_NCHW)
    columns = torch.linspace(-1, 1, width).to(image_NCHW)
    x = columns + flow_N2HW[:, 0] * (2 / (width - 1))
    y = rows[:, None] + flow_N2HW[:, 1] * (2 / (height - 1))
    return functional.grid_sample(
        image_NCHW, torch.stack((x, y), dim=-1), padding_mode="border", align_corners=True
    )


def load_flownet(folder: Path = PACKAGE_WEIGHTS, dtype: torch.dtype = torch.float32) -> FlowNet:
    """Load the flow network of a weights folder, or the packaged one if the folder has none.

    Raises ConfigError if the weights do not fit.
    """
    files = sorted(folder.glob("*.safetensors")) or sorted(PACKAGE_WEIGHTS.glob("*.safetensors"))
    with init_empty_weights():
        flownet = FlowNet()
    try:
        weights = {
            key.removeprefix("module."): value.to(dtype, copy=True)
            for file in files
            for key, value in load_file(file).items()
        }
        flownet.load_state_dict(weights, strict=True, assign=True)
    except (RuntimeError, ValueError, OSError, KeyError, SafetensorError) as error:
        raise ConfigError(
            f"The weights in {folder} are not those of RIFE 3.8",
            remedy="Remove them to use the packaged ones, or give the flownet of RIFE 3.8.",
        ) from error
    flownet.eval()
    return flownet


def _convolution(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1), nn.PReLU(out_channels)
    )


def _twice(channels: int) -> nn.Sequential:
    return nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))


def _enlarge(*channels: int) -> nn.Sequential:
    first, second = (nn.ConvTranspose2d(i, o, 4, 2, padding=1) for i, o in pairwise(channels))
    return nn.Sequential(first, nn.PReLU(channels[1]), second)


def _resize(images_NCHW: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return images_NCHW
    return functional.interpolate(
        images_NCHW, scale_factor=factor, mode="bilinear", align_corners=False
    )


def _like(block: nn.Module, *images: Tensor) -> tuple[Tensor, ...]:
    dtype = next(block.parameters()).dtype
    return tuple(image.to(dtype) for image in images)


def _turned(flow_N4HW: Tensor) -> Tensor:
    """Swap the flow for the pair in the other order."""
    return torch.cat((flow_N4HW[:, 2:], flow_N4HW[:, :2]), dim=1)
