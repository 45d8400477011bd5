"""The animated part of a picture put back into the whole of it, so that no edge shows.

What is pasted fades out towards its border, and its colours are drawn to those of the picture by a
smooth difference that is measured where both are seen. Every frame is pasted by itself, so the
result does not depend on the cut. Shape letters: H, W rows and columns, C colours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.portrait import Corners

MAX_SIDE = 4096  # pixels of a picture that is pasted into; larger ones become smaller
FEATHER = 1 / 8  # of the side of the part: how far it fades out
_COARSE = 32  # the difference of colours is measured in a grid of that many cells a side
_REACH = 6.0  # cells over which it is smoothed
_MAX_CAST = 32  # more than that is no cast, but something that has moved

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The whole picture, with even sides, and the part of it that is animated."""

    picture_HWC: NDArray[np.uint8]
    crop: Corners


def prepare_backdrop(image: Image.Image, crop: Corners) -> Backdrop:
    """The picture and its part in at most 4096 pixels a side, cut by a row or column if odd."""
    scale = min(MAX_SIDE / max(image.size), 1)
    width, height = backdrop_size(image.size)
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    left, top, right, bottom = (round(corner * scale) for corner in crop)
    picture_HWC = np.asarray(image.convert("RGB"))[:height, :width].copy()
    return Backdrop(picture_HWC, (left, top, min(right, width), min(bottom, height)))


def backdrop_size(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture that is pasted into."""
    scale = min(MAX_SIDE / max(size), 1)
    width, height = (round(side * scale) // 2 * 2 for side in size)
    return width, height


def backdrop_tensors(backdrop: Backdrop) -> dict[str, Tensor]:
    """Everything a backdrop holds, as tensors."""
    picture = torch.from_numpy(backdrop.picture_HWC)
    return {"picture_HWC": picture, "crop": torch.tensor(backdrop.crop)}


def backdrop_from(tensors: Mapping[str, Tensor]) -> Backdrop:
    """The backdrop of `backdrop_tensors`."""
    left, top, right, bottom = (int(v) for v in tensors["crop"])
    return Backdrop(tensors["picture_HWC"].numpy(), (left, top, right, bottom))


def paste(frames: Iterable[NDArray[np.uint8]], backdrop: Backdrop) -> Iterator[NDArray[np.uint8]]:
    """The whole picture for each frame (H W C) of its animated part, of any size."""
    left, top, right, bottom = backdrop.crop
    still_HWC = backdrop.picture_HWC[top:bottom, left:right].astype(np.float32)
    weight_HW1 = feather(backdrop)[:, :, None]
    for frame_HWC in frames:
        size = (right - left, bottom - top)
        moved_HWC = cv2.resize(frame_HWC, size, interpolation=_kernel(frame_HWC, size))
        difference_HWC = moved_HWC.astype(np.float32) - still_HWC
        difference_HWC -= _colour_cast(difference_HWC, weight_HW1)
        pasted_HWC = np.rint(still_HWC + weight_HW1 * difference_HWC)
        whole_HWC = backdrop.picture_HWC.copy()
        whole_HWC[top:bottom, left:right] = pasted_HWC.clip(0, 255).astype(np.uint8)
        yield whole_HWC


def feather(backdrop: Backdrop) -> Floats:
    """How much of the animated part is seen (H W): 0 at its border, 1 inside.

    Where the part ends with the picture there is nothing to fade into, and it is seen whole.
    """
    height, width = backdrop.picture_HWC.shape[:2]
    left, top, right, bottom = backdrop.crop
    across = _ramp(right - left, fades=(left > 0, right < width))
    down = _ramp(bottom - top, fades=(top > 0, bottom < height))
    weights: Floats = np.minimum(across[None, :], down[:, None])
    return weights


def _ramp(length: int, fades: tuple[bool, bool]) -> Floats:
    """A smooth rise from 0 and fall to 0 over `length` pixels, at the ends that fade."""
    depth = max(FEATHER * length, 1)
    place = np.arange(length, dtype=np.float32)
    ends: list[Floats] = [np.full(length, np.inf, np.float32)]
    ends += [end for end, fade in zip((place, length - 1 - place), fades, strict=True) if fade]
    share = np.minimum(np.minimum.reduce(ends) / depth, 1)
    rise: Floats = (share * share * (3 - 2 * share)).astype(np.float32)
    return rise


def _colour_cast(difference_HWC: Floats, weight_HW1: Floats) -> Floats:
    """The smooth part of the difference, from where the picture and its part are both seen."""
    seen_HW1 = 4 * weight_HW1 * (1 - weight_HW1)
    if not seen_HW1.any():
        return np.zeros_like(difference_HWC)
    height, width = seen_HW1.shape[:2]
    cells = (min(_COARSE, width), min(_COARSE, height))
    cast_HWC = difference_HWC.clip(-_MAX_CAST, _MAX_CAST) * seen_HW1
    sums = _smoothed(cv2.resize(cast_HWC, cells, interpolation=cv2.INTER_AREA))
    weights = _smoothed(cv2.resize(seen_HW1, cells, interpolation=cv2.INTER_AREA))
    cast = sums / np.maximum(weights[:, :, None], 1e-6)
    return np.asarray(cv2.resize(cast, (width, height), interpolation=cv2.INTER_LINEAR))


def _smoothed(grid: Floats) -> Floats:
    smooth = cv2.GaussianBlur(grid, (0, 0), _REACH, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32)


def _kernel(frame_HWC: NDArray[np.uint8], size: tuple[int, int]) -> int:
    return cv2.INTER_AREA if frame_HWC.shape[1] > size[0] else cv2.INTER_CUBIC
