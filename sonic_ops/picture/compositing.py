"""The animated part of an image put back into the whole of it, so that no edge shows.

The frame is seen on the face, and wherever else something has moved; the rest keeps the pixels of
the image. Its colours are drawn to those of the image by a smooth difference that is measured
in a wide rim of the part. Every frame is pasted by itself, so the result does not depend on the
cut. Shape letters: H, W rows and columns, C colours.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass
from itertools import repeat
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import Corners

MAX_SIDE = 4096  # pixels of an image that is pasted into; larger ones become smaller
RIM = 1 / 8  # of the side of the part: where colours are compared
BORDER = 1 / 32  # of that side: over which what has moved fades out
_FACE_RADII = (1.1, 1.45)  # of an ellipse in the box of the face: seen whole, and not at all
_MOVED = (8.0, 24.0)  # levels of 255 by which a place differs: not moved, and moved
_ALIKE = 0.012  # of the side: over which places are compared, since a model loses fine lines
_GROWN = 0.02  # of the side: what is next to something that has moved goes with it
_COARSE = 32  # the difference of colours is measured in a grid of that many cells a side
_REACH = 6.0  # cells over which it is smoothed
_MAX_CAST = 32  # more than that is no cast, but something that has moved

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The whole image, with even sides, the part of it that is animated, and the face in it.

    One that moves is a video, of which this is the first image.
    """

    image_HWC: NDArray[np.uint8]
    crop: Corners
    face: Box
    moves: bool = False


def prepare_backdrop(
    image: Image.Image, crop: Corners, face: Box, *, moves: bool = False
) -> Backdrop:
    """Fit the image and its part into 4096 pixels a side, with even sides."""
    scale = _scale(image.size)
    image_HWC = whole_image(image)
    height, width, _ = image_HWC.shape
    left, top, right, bottom = (round(corner * scale) for corner in crop)
    inside = (left, top, min(right, width), min(bottom, height))
    return Backdrop(image_HWC, inside, face.scaled(scale), moves)


def whole_image(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels (H W C) of an image that is pasted into, in the size of the backdrop."""
    scale = _scale(image.size)
    width, height = backdrop_size(image.size)
    if scale < 1:
        size = (round(image.width * scale), round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image.convert("RGB"))[:height, :width].copy()


def backdrop_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return width and height of an image that is pasted into."""
    width, height = (round(side * _scale(size)) // 2 * 2 for side in size)
    return width, height


def _scale(size: tuple[int, int]) -> float:
    return min(MAX_SIDE / max(size), 1)


def backdrop_tensors(backdrop: Backdrop) -> dict[str, Tensor]:
    """Return everything a backdrop holds, as tensors."""
    return {
        "picture_HWC": torch.from_numpy(backdrop.image_HWC),
        "crop": torch.tensor(backdrop.crop),
        "face": torch.tensor(astuple(backdrop.face), dtype=torch.float64),
        "moves": torch.tensor(int(backdrop.moves)),
    }


def backdrop_from(tensors: Mapping[str, Tensor]) -> Backdrop:
    """Return the backdrop of `backdrop_tensors`."""
    left, top, right, bottom = (int(v) for v in tensors["crop"])
    face = Box(*tensors["face"].tolist())
    crop, moves = (left, top, right, bottom), bool(tensors["moves"])
    return Backdrop(tensors["picture_HWC"].numpy(), crop, face, moves)


def paste(
    frames: Iterable[NDArray[np.uint8]],
    backdrop: Backdrop,
    backdrops: Iterable[NDArray[np.uint8]] | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Paste each animated frame (H W C) of any size into the whole image.

    `backdrops` are those of a backdrop that moves, one for each frame. What has moved in a frame is
    found against the image that is animated, the first.
    """
    left, top, right, bottom = backdrop.crop
    still_HWC = backdrop.image_HWC[top:bottom, left:right].astype(np.float32)
    rim_HW1 = feather(backdrop, RIM)[:, :, None]
    border_HW, face_HW = feather(backdrop, BORDER), _face(backdrop)
    wholes = repeat(backdrop.image_HWC) if backdrops is None else backdrops
    for frame_HWC, image_HWC in zip(frames, wholes, strict=False):
        size = (right - left, bottom - top)
        frame = cv2.resize(frame_HWC, size, interpolation=_kernel(frame_HWC, size))
        difference_HWC = frame.astype(np.float32) - still_HWC
        difference_HWC -= colour_cast(difference_HWC, 4 * rim_HW1 * (1 - rim_HW1))
        moved_HW = _moved(difference_HWC, frame_HWC.shape[1::-1])
        weight_HW = np.maximum(face_HW, moved_HW) * border_HW
        whole_HWC = image_HWC.copy()
        now_HWC = whole_HWC[top:bottom, left:right].astype(np.float32)
        difference_HWC += still_HWC - now_HWC
        pasted_HWC = np.rint(now_HWC + weight_HW[:, :, None] * difference_HWC)
        whole_HWC[top:bottom, left:right] = pasted_HWC.clip(0, 255).astype(np.uint8)
        yield whole_HWC


def feather(backdrop: Backdrop, depth: float) -> Floats:
    """Return a weight (H W): 0 at the border, 1 from `depth` of the side inwards.

    Where the part ends with the image there is nothing to fade into, and it is 1.
    """
    height, width = backdrop.image_HWC.shape[:2]
    left, top, right, bottom = backdrop.crop
    across = _ramp(right - left, depth, fades=(left > 0, right < width))
    down = _ramp(bottom - top, depth, fades=(top > 0, bottom < height))
    weights: Floats = np.minimum(across[None, :], down[:, None])
    return weights


def _face(backdrop: Backdrop) -> Floats:
    """Return a mask: 1 on the face, 0 away from it (H W)."""
    left, top, right, bottom = backdrop.crop
    face = backdrop.face.moved(-left, -top)
    x = (np.arange(right - left) + 0.5 - face.x) / face.width * 2 - 1
    y = (np.arange(bottom - top) + 0.5 - face.y) / face.height * 2 - 1
    inner, outer = _FACE_RADII
    return _smooth_step((outer - np.hypot(x[None, :], y[:, None])) / (outer - inner))


def _moved(difference_HWC: Floats, size: tuple[int, int]) -> Floats:
    """Return a mask: 1 where frame and image differ, 0 where they agree (H W).

    It is looked for in the size (width, height) of the frame, and finer than that nothing is known.
    """
    small_HWC = cv2.resize(difference_HWC, size, interpolation=cv2.INTER_AREA)
    alike = cv2.GaussianBlur(small_HWC, (0, 0), _ALIKE * size[0])
    levels = np.abs(alike).max(axis=2)
    low, high = _MOVED
    reach = np.ones((2 * int(_GROWN * size[0]) + 1,) * 2, np.uint8)
    moved = cv2.dilate(_smooth_step((levels - low) / (high - low)), reach)
    soft = cv2.GaussianBlur(moved, (0, 0), _GROWN / 2 * size[0])
    height, width = difference_HWC.shape[:2]
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR))


def _smooth_step(share: NDArray[np.floating[Any]]) -> Floats:
    """Return a smooth step: 0 below 0, 1 above 1."""
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _ramp(length: int, depth: float, fades: tuple[bool, bool]) -> Floats:
    """Return a smooth rise and fall of `length` pixels, at the ends that fade."""
    place = np.arange(length, dtype=np.float32)
    ends: list[Floats] = [np.full(length, np.inf, np.float32)]
    ends += [end for end, fade in zip((place, length - 1 - place), fades, strict=True) if fade]
    return _smooth_step(np.minimum.reduce(ends) / max(depth * length, 1))


def colour_cast(difference_HWC: Floats, seen_HW1: Floats, most: float = _MAX_CAST) -> Floats:
    """Return the smooth part of the difference where it is seen (weights), for all places.

    More than `most` is no cast, but something that has moved.
    """
    if not seen_HW1.any():
        return np.zeros_like(difference_HWC)
    height, width = seen_HW1.shape[:2]
    cells = (min(_COARSE, width), min(_COARSE, height))
    cast_HWC = difference_HWC.clip(-most, most) * seen_HW1
    sums = _smoothed(cv2.resize(cast_HWC, cells, interpolation=cv2.INTER_AREA))
    weights = _smoothed(cv2.resize(seen_HW1, cells, interpolation=cv2.INTER_AREA))
    cast = sums.reshape(*weights.shape, -1) / np.maximum(weights[:, :, None], 1e-6)
    cast_HWC = np.asarray(cv2.resize(cast, (width, height), interpolation=cv2.INTER_LINEAR))
    return cast_HWC.reshape(difference_HWC.shape)  # OpenCV forgets a single channel


def _smoothed(grid: Floats) -> Floats:
    smooth = cv2.GaussianBlur(grid, (0, 0), _REACH, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smooth, np.float32)


def _kernel(frame_HWC: NDArray[np.uint8], size: tuple[int, int]) -> int:
    return cv2.INTER_AREA if frame_HWC.shape[1] > size[0] else cv2.INTER_CUBIC
