"""What the camera of a take sees of a frame, and where in it the model makes something anew.

Shape letters: H, W rows and columns of pixels, h, w of latents, C colours, P points.
"""

from math import ceil
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.core.config import PortraitConfig
from sonic_ops.film.takes import Take
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import (
    SIZE_MULTIPLE,
    Portrait,
    face_mask,
    image_tensors,
    square_tensor,
)

MAX_SIDE: Final = 1024
_FINE: Final = 8  # places on a side of a latent where it is looked whether it is in the mask
Bytes = NDArray[np.uint8]


def side_of(take: Take) -> int:
    """Return the pixels on a side of what the camera sees, in multiples of 64."""
    side = float(np.median(1 / take.camera_N23[:, 0, 0]))
    return min(ceil(side / SIZE_MULTIPLE) * SIZE_MULTIPLE, MAX_SIDE)


def see(take: Take, frame: int, shown_HW3: Bytes) -> Image.Image:
    """Return what the camera sees of a frame of the film, about as large as it is there.

    Beyond the border of the film its border goes on.
    """
    side = side_of(take)
    matrix = side * take.camera_N23[frame - take.start]
    matrix[:, 2] -= 0.5  # OpenCV counts from the middle of a pixel
    seen = cv2.warpAffine(
        shown_HW3, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Image.fromarray(seen)


def reference_portrait(take: Take, shown_HW3: Bytes, settings: PortraitConfig) -> Portrait:
    """Make a portrait of the take's reference frame, for the model and for its decoder.

    A decoder that lays out the pixels of the portrait is given all that the film has.
    """
    seen, read = see(take, take.reference, shown_HW3), settings.read_resolution
    place = box_in(take, take.reference).scaled(seen.width)
    mask = face_mask(place, settings.mask_area, seen.size)
    image_CHW, face_HW, clip_CHW = image_tensors(seen, mask, read)
    larger_CHW = None
    if settings.model_resolution is not None:
        larger_CHW = square_tensor(seen, max(settings.resolution, seen.width))
    whole = (0, 0, *seen.size)
    return Portrait(image_CHW, face_HW, clip_CHW, place, 1, whole, larger_CHW)


def box_in(take: Take, frame: int) -> Box:
    """Return where the face is for the camera."""
    matrix, box = take.to_camera(frame), take.box
    x, y = matrix @ np.array([box.x + box.width / 2, box.y + box.height / 2, 1])
    scale = float(np.hypot(*matrix[:, 0]))
    width, height = scale * box.width, scale * box.height
    return Box(float(x) - width / 2, float(y) - height / 2, width, height)


def made_mask(take: Take, frame: int, size: tuple[int, int]) -> Tensor:
    """Return which latents (h w) are made anew: those that the region touches, and one around."""
    matrix = take.to_camera(frame)
    region_P2 = take.region_P2 @ matrix[:, :2].T + matrix[:, 2]
    height, width = size
    fine = draw(region_P2 * (width * _FINE, height * _FINE) - 0.5, (height * _FINE, width * _FINE))
    touched = fine.reshape(height, _FINE, width, _FINE).max(axis=(1, 3))
    wider = cv2.dilate(touched, np.ones((3, 3), np.uint8))
    return torch.from_numpy(np.asarray(wider)) > 0


def draw(region_P2: NDArray[Any], size: tuple[int, int]) -> Bytes:
    """Draw a region (255) whose places are in pixels, to a sixteenth of one."""
    mask_HW = np.zeros(size, np.uint8)
    corners = np.round(region_P2 * 16).astype(np.int32)
    cv2.fillPoly(mask_HW, [corners], 255, lineType=cv2.LINE_8, shift=4)
    return mask_HW
