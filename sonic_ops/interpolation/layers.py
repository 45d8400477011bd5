"""A frame as layers over its portrait: where each pixel comes from, and what is painted over it.

A decoder that is given the portrait says of every frame how the portrait moves (flow), where
something is painted anew (mask) and what (paint, multiplied by the mask). Layers of neighbours
can be mixed for any moment between them, and be laid over a portrait of any size.

Shape letters: F frames, C colours, H, W rows and columns, h, w those of the flow.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Layers = NDArray[np.void]
"""One record per frame with the fields `flow` (h w 2, float16, in halves of the frame), `mask`
(H W) and `paint` (H W 3) in bytes. It is cut, joined and sent like an array of frames."""

_LEVELS: Final = 255


def pack_layers(flow_F2hw: Tensor, mask_F1HW: Tensor, paint_F3HW: Tensor) -> Layers:
    """Round the layers of some frames, with mask and paint in [0, 1], to what is sent."""
    fields = {
        "flow": np.asarray(flow_F2hw.movedim(1, -1).to(torch.float16).cpu()),
        "mask": _to_bytes(mask_F1HW[:, 0]),
        "paint": _to_bytes((mask_F1HW * paint_F3HW).movedim(1, -1)),
    }
    kinds: list[Any] = [(name, array.dtype, array.shape[1:]) for name, array in fields.items()]
    layers = np.empty(len(flow_F2hw), kinds)
    for name, array in fields.items():
        layers[name] = array
    return layers


def _to_bytes(values: Tensor) -> NDArray[np.uint8]:
    return np.asarray((values.float().clamp(0, 1) * _LEVELS).round().to(torch.uint8).cpu())


@dataclass(frozen=True, slots=True)
class PortraitLayers:
    """The portrait in [-1, 1] (C H W, of any size) and the layers of some frames over it."""

    portrait_CHW: Tensor
    layers: Layers

    def __len__(self) -> int:
        return len(self.layers)

    def frame(self, index: int, instant: float = 0.0) -> Tensor:
        """Interpolate the frame (C H W in [0, 1]) at an instant between a frame and the next."""
        flow_2hw, over_4HW = self._parts(index)
        if instant:
            next_flow, next_over = self._parts(index + 1)
            flow_2hw = flow_2hw + instant * (next_flow - flow_2hw)
            over_4HW = over_4HW + instant * (next_over - over_4HW)
        return self._laid(flow_2hw, over_4HW)

    def pixels(self, frame: int, instant: float = 0.0) -> NDArray[np.uint8]:
        """Return the frame in bytes: H W 3."""
        frame_HWC = self.frame(frame, instant).movedim(0, -1)
        return np.asarray((frame_HWC * _LEVELS).round().to(torch.uint8).contiguous())

    def _parts(self, index: int) -> tuple[Tensor, Tensor]:
        """Return the flow (2 h w) and, of mask and paint in one, 4 H W in [0, 1]."""
        record = self.layers[index]
        flow_2hw = torch.from_numpy(record["flow"].astype(np.float32)).movedim(-1, 0)
        mask_HW1, paint_HWC = record["mask"][..., None], record["paint"]
        over_HW4 = np.concatenate([mask_HW1, paint_HWC], axis=-1).astype(np.float32) / _LEVELS
        return flow_2hw, torch.from_numpy(over_HW4).movedim(-1, 0)

    def _laid(self, flow_2hw: Tensor, over_4HW: Tensor) -> Tensor:
        size = self.portrait_CHW.shape[1:]
        flow_12HW = resized(flow_2hw[None], size)
        warped_3HW = warp(self.portrait_CHW[None], flow_12HW, sharp=True)[0] * 0.5 + 0.5
        mask_1HW, paint_3HW = resized(over_4HW[None], size)[0].split((1, 3))
        laid: Tensor = (1 - mask_1HW) * warped_3HW + paint_3HW
        return laid.clamp(0, 1)


def warp(image_NCHW: Tensor, flow_N2HW: Tensor, *, sharp: bool = False) -> Tensor:
    """Fetch every pixel from where the flow (x, y, in halves of the frame) points, in float32.

    Beyond the border the border goes on. `sharp` looks at 16 pixels and not at 4, so that fine
    detail is not lost between two pixels.
    """
    height, width = flow_N2HW.shape[2:]
    rows = (torch.arange(height, device=flow_N2HW.device) + 0.5) * (2 / height) - 1
    columns = (torch.arange(width, device=flow_N2HW.device) + 0.5) * (2 / width) - 1
    still_HW2 = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid_NHW2 = still_HW2 + flow_N2HW.float().movedim(1, -1)
    return functional.grid_sample(
        image_NCHW.float(),
        grid_NHW2,
        mode="bicubic" if sharp else "bilinear",
        padding_mode="border",
        align_corners=False,
    )


def resized(images_NCHW: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
    """Return images in float32 at another size."""
    if images_NCHW.shape[2:] == tuple(size):
        return images_NCHW.float()
    return functional.interpolate(
        images_NCHW.float(), size=tuple(size), mode="bilinear", align_corners=False
    )
