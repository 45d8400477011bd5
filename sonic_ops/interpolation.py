"""From 12.5 frames per second to any number of output frames per second.

At 25 they are frame, middle, frame, middle, ...

Shape letters: F frames, C channels, H, W rows and columns.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from math import floor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sonic_ops.constants import MODEL_FPS, OUTPUT_FPS
from sonic_ops.models.rife import SIZE_MULTIPLE, FlowNet, frame_at

Pictures = NDArray[np.uint8]


@torch.inference_mode()
def frames_between(
    flownet: FlowNet, a_CHW: Tensor, b_CHW: Tensor, instants: Sequence[float]
) -> list[Tensor]:
    """The frames at some instants between two frames in [0, 1], on the device of `a_CHW`.

    An instant is above 0 (the first frame) and below 1 (the second).
    """
    height, width = a_CHW.shape[1:]
    place = next(flownet.parameters())
    pad = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
    a, b = (
        functional.pad(frame[None].to(place), pad, mode="replicate") for frame in (a_CHW, b_CHW)
    )
    flow, mask = flownet(a, b)
    made = (frame_at(a, b, flow, mask, instant) for instant in instants)
    return [frame[0, :, :height, :width].clamp(0, 1).to(a_CHW) for frame in made]


def output_frames(
    flownet: FlowNet,
    pictures_FHWC: Pictures,
    first_frame: int,
    span: range,
    fps: Fraction = OUTPUT_FPS,
) -> Iterator[Pictures]:
    """The output frames `span`, one by one; `pictures_FHWC` starts at `first_frame`.

    Output frame n is what is seen at n / `fps` seconds: a frame, or what is between two. Beyond the
    last picture the last picture is held.
    """
    last = len(pictures_FHWC) - 1
    moments = (n * MODEL_FPS / fps - first_frame for n in span)
    for frame, around in groupby(moments, key=floor):
        assert frame >= 0
        instants = [float(moment - frame) for moment in around]
        if frame >= last:
            yield from [pictures_FHWC[last]] * len(instants)
            continue
        between = [instant for instant in instants if instant]
        if len(between) < len(instants):
            yield pictures_FHWC[frame]
        if between:
            a_CHW, b_CHW = map(_to_frame, pictures_FHWC[frame : frame + 2])
            yield from map(_to_picture, frames_between(flownet, a_CHW, b_CHW, between))


def _to_frame(picture_HWC: Pictures) -> Tensor:
    return torch.from_numpy(picture_HWC).permute(2, 0, 1).float() / 255


def _to_picture(frame_CHW: Tensor) -> Pictures:
    # Rounded, so that the middle of two equal pictures is that picture.
    picture: Pictures = (frame_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return picture
