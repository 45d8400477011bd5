"""A text that every output frame shows: what is made with AI can say so to whoever watches.

Shape letters: H, W, C rows, columns, RGB; h, w those of the label.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_HEIGHT = 1 / 18  # of the letters, to the short side of the frame
_MIN_HEIGHT = 8
_WIDTH = 0.9  # of the frame, which a label may not exceed
_DARK = 0.55  # how much of the frame the box behind the letters takes away


def labelled(frames: Iterable[NDArray[np.uint8]], text: str) -> Iterator[NDArray[np.uint8]]:
    """Draw a text into the lower left corner of frames (H W C)."""
    for frame_HWC in frames:
        height, width, _ = frame_HWC.shape
        white_hw = _label(text, height, width)
        rows, columns = white_hw.shape
        shown_HWC = frame_HWC.copy()
        place_hwC = shown_HWC[height - rows :, :columns]
        seen_hw = 1 - np.maximum(white_hw, _DARK)
        place_hwC[:] = np.rint(place_hwC * seen_hw[..., None] + 255 * white_hw[..., None])
        yield shown_HWC


@lru_cache(4)
def _label(text: str, height: int, width: int) -> NDArray[np.float32]:
    """Return how white a label is, from 0 to 1 (h w), sized for the frame."""
    size = max(_HEIGHT * min(height, width), _MIN_HEIGHT)
    size *= min(1, _WIDTH * width / (ImageFont.load_default(size).getlength(text) + size))
    size = max(size, 1)
    font, margin = ImageFont.load_default(size), round(size / 3)
    columns = min(round(font.getlength(text)) + 2 * margin, width)
    rows = min(round(size) + 2 * margin, height)
    box = Image.new("L", (columns, rows))
    ImageDraw.Draw(box).text((margin, margin // 2), text, fill=255, font=font)
    return np.asarray(box, np.float32) / np.float32(255)
