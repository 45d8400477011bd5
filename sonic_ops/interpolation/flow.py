"""From 12.5 frames per second to any number of output frames per second.

At 25 they are frame, middle, frame, middle, ...

Shape letters: F frames, C channels, H, W rows and columns.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import floor
from typing import Final, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sonic_ops.core.constants import MODEL_FPS, OUTPUT_FPS
from sonic_ops.core.finite import locating, require_finite
from sonic_ops.interpolation.dis import DenseSearch
from sonic_ops.interpolation.layers import PortraitLayers
from sonic_ops.interpolation.rife import SIZE_MULTIPLE, FlowNet, frame_at

Frames = NDArray[np.uint8]
Interpolator = FlowNet | Literal["dis", "blend", "layers"]
"""How in-between frames are made: by the flow network, by dense inverse search, by both
neighbours laid over each other, or by mixing their layers over the portrait."""

PIXELS_AT_ONCE: Final = 5 * 128 * 128
"""Small frames go through the flow network together: how many of their pixels, at most."""


@torch.inference_mode()
def frames_between(
    flownet: FlowNet, a_CHW: Tensor, b_CHW: Tensor, instants: Sequence[float]
) -> list[Tensor]:
    """Interpolate frames at some instants between two frames, on the device of `a_CHW`.

    An instant is above 0 (the first frame) and below 1 (the second).
    """
    motion = _Motion(flownet, a_CHW[None], b_CHW[None])
    return [motion.frame(0, instant).to(a_CHW) for instant in instants]


class _Motion:
    """What moves how between the frames of some pairs: two times N C H W in [0, 1]."""

    def __init__(self, flownet: FlowNet, a_NCHW: Tensor, b_NCHW: Tensor) -> None:
        height, width = self._size = a_NCHW.shape[2:]
        device = next(flownet.parameters()).device
        pad = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
        pairs = (functional.pad(f.to(device), pad, mode="replicate") for f in (a_NCHW, b_NCHW))
        a_NCHW, b_NCHW = pairs
        self._flow_N4HW, self._mask_N1HW = flownet(a_NCHW, b_NCHW)
        for made in (self._flow_N4HW, self._mask_N1HW):
            require_finite(made, "The interpolation network")
        # A network that waits in the memory of the CPU has moved by now.
        self._a_NCHW, self._b_NCHW = a_NCHW.to(self._flow_N4HW), b_NCHW.to(self._flow_N4HW)

    def frame(self, pair: int, instant: float) -> Tensor:
        """Interpolate the frame at an instant of a pair: C H W in [0, 1]."""
        height, width = self._size
        a, b, flow, mask = (
            part[pair : pair + 1]
            for part in (self._a_NCHW, self._b_NCHW, self._flow_N4HW, self._mask_N1HW)
        )
        made = frame_at(a, b, flow, mask, instant)
        return made[0, :, :height, :width].clamp(0, 1)


class _InBetween(Protocol):
    """Some frames, and what is seen between them."""

    def pixels(self, frame: int, instant: float) -> Frames:
        """Interpolate at an instant between a frame and the next one."""
        ...


class _Motions:
    """The motion of all neighbours among some frames, found as it is asked for in turn.

    Always as many pairs at once, the last one again where there are no more, since last bits may
    depend on that number.
    """

    def __init__(self, flownet: FlowNet, frames_FHWC: Frames) -> None:
        self._flownet, self._frames_FHWC = flownet, frames_FHWC
        height, width = frames_FHWC.shape[1:3]
        self._at_once = max(1, PIXELS_AT_ONCE // (height * width))
        self._first: int | None = None

    @torch.inference_mode()
    def pixels(self, frame: int, instant: float) -> Frames:
        pair = frame % self._at_once
        if self._first != frame - pair:
            self._find(frame - pair)
        return _to_bytes(self._motion.frame(pair, instant).cpu())

    def _find(self, first: int) -> None:
        wanted = np.arange(first, first + self._at_once).clip(max=len(self._frames_FHWC) - 2)
        a_NCHW, b_NCHW = (_to_frames(self._frames_FHWC[wanted + later]) for later in (0, 1))
        self._first, self._motion = first, _Motion(self._flownet, a_NCHW, b_NCHW)


class _Searches:
    """Dense inverse search between neighbours, one pair after the other."""

    def __init__(self, frames_FHWC: Frames) -> None:
        self._frames_FHWC = frames_FHWC
        self._first: int | None = None

    def pixels(self, frame: int, instant: float) -> Frames:
        if self._first != frame:
            self._first, self._found = frame, DenseSearch(*self._frames_FHWC[frame : frame + 2])
        return self._found.pixels(instant)


class _Blends:
    """Neighbours among some frames, laid over each other, the nearer one more."""

    def __init__(self, frames_FHWC: Frames) -> None:
        self._frames_FHWC = frames_FHWC

    def pixels(self, frame: int, instant: float) -> Frames:
        a_HWC, b_HWC = self._frames_FHWC[frame : frame + 2].astype(np.float32)
        blended: Frames = np.rint(a_HWC + np.float32(instant) * (b_HWC - a_HWC)).astype(np.uint8)
        return blended


def output_frames(
    interpolator: Interpolator,
    frames_FHWC: Frames | PortraitLayers,
    first_frame: int,
    span: range,
    fps: Fraction = OUTPUT_FPS,
) -> Iterator[Frames]:
    """Yield the output frames `span`, one by one; `frames_FHWC` starts at `first_frame`.

    Frames may also be given as layers over their portrait, and are then mixed layer by layer.

    Output frame n is what is seen at n / `fps` seconds: a frame, or what is between two. Beyond the
    last frame it is held.
    """
    moments = (n * MODEL_FPS / fps - first_frame for n in span)
    yield from interpolate_at(interpolator, frames_FHWC, first_frame, moments)


def interpolate_at(
    interpolator: Interpolator,
    frames_FHWC: Frames | PortraitLayers,
    first_frame: int,
    places: Iterable[Fraction | float],
) -> Iterator[Frames]:
    """Yield what is seen at places from 0, the first frame, on: a frame or what is between two.

    Beyond the last frame it is held. `first_frame` is what messages call the first frame.
    """
    last = len(frames_FHWC) - 1
    source = _source_of(interpolator, frames_FHWC)
    for place in places:
        frame = floor(place)
        assert frame >= 0
        instant = float(place - frame)
        if instant and frame < last:
            with locating(f" after frame {first_frame + frame}"):
                image = source.pixels(frame, instant)
            yield image
        else:
            yield _still(frames_FHWC, min(frame, last))


def _still(frames_FHWC: Frames | PortraitLayers, frame: int) -> Frames:
    """Return a frame of the model itself."""
    if isinstance(frames_FHWC, PortraitLayers):
        return frames_FHWC.pixels(frame)
    still_HWC: Frames = frames_FHWC[frame]
    return still_HWC


def _source_of(interpolator: Interpolator, frames_FHWC: Frames | PortraitLayers) -> _InBetween:
    if isinstance(frames_FHWC, PortraitLayers):
        return frames_FHWC
    if isinstance(interpolator, FlowNet):
        return _Motions(interpolator, frames_FHWC)
    return _Searches(frames_FHWC) if interpolator == "dis" else _Blends(frames_FHWC)


def _to_frames(frames_NHWC: Frames) -> Tensor:
    return torch.from_numpy(frames_NHWC).permute(0, 3, 1, 2).float() / 255


def _to_bytes(frame_CHW: Tensor) -> Frames:
    # Rounded, so that the middle of two equal frames is that frame.
    still_HWC: Frames = (frame_CHW * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return still_HWC
