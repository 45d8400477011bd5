"""From 12.5 frames per second to 25 output frames per second: frame, middle, frame, middle, ...

Shape letters: F frames, C channels, H, W rows and columns.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sonic_ops.constants import OUTPUT_FRAMES_PER_FRAME
from sonic_ops.models.rife import SIZE_MULTIPLE, FlowNet

Pictures = NDArray[np.uint8]


@torch.inference_mode()
def midpoint(flownet: FlowNet, a_CHW: Tensor, b_CHW: Tensor) -> Tensor:
    """The frame in the middle of two frames in [0, 1], on the device of `a_CHW`."""
    height, width = a_CHW.shape[1:]
    place = next(flownet.parameters())
    pad = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
    a, b = (
        functional.pad(frame[None].to(place), pad, mode="replicate") for frame in (a_CHW, b_CHW)
    )
    middle: Tensor = flownet(a, b)[0, :, :height, :width].clamp(0, 1)
    return middle.to(a_CHW)


def output_frames(
    flownet: FlowNet, pictures_FHWC: Pictures, first_frame: int, span: range
) -> Iterator[Pictures]:
    """The output frames `span`, one by one; `pictures_FHWC` starts at `first_frame`.

    Output frame 2f is frame f, output frame 2f + 1 the middle of f and f + 1. Beyond the last
    picture the last picture is held.
    """
    last = len(pictures_FHWC) - 1
    for output_frame in span:
        frame, between = divmod(output_frame, OUTPUT_FRAMES_PER_FRAME)
        frame -= first_frame
        assert frame >= 0
        if between and frame < last:
            a_HWC, b_HWC = pictures_FHWC[frame : frame + 2]
            yield _to_picture(midpoint(flownet, _to_frame(a_HWC), _to_frame(b_HWC)))
        else:
            yield pictures_FHWC[min(frame, last)]


def _to_frame(picture_HWC: Pictures) -> Tensor:
    return torch.from_numpy(picture_HWC).permute(2, 0, 1).float() / 255


def _to_picture(frame_CHW: Tensor) -> Pictures:
    # Rounded, so that the middle of two equal pictures is that picture.
    picture: Pictures = (frame_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return picture
