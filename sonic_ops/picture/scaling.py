"""Finished frames in another size. Shape letters: H, W, C rows, columns, RGB."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.sizes import scaled_size


def scale(frames: Iterable[NDArray[np.uint8]], short_side: int) -> Iterator[NDArray[np.uint8]]:
    """Yield frames (H W C) whose shorter side is `short_side`, by Lanczos' kernel.

    Pillow counts in whole numbers, so the bits are the same on every machine.
    """
    for frame_HWC in frames:
        height, width, _ = frame_HWC.shape
        size = scaled_size((width, height), short_side)
        yield np.asarray(Image.fromarray(frame_HWC).resize(size, Image.Resampling.LANCZOS))
