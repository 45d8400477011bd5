"""Writes the slides of the lecture, with the lecturer in a corner: python make_slides.py

The first is an image. The second is a video, as a program that records a screen writes it: its
lines come one after the other, and a bar says how far it is.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sonic_ops.media.encoding import EncodeSettings, encode_frames

HERE = Path(__file__).parent
SIZE = (1280, 720)
PORTRAIT = 288
INK, PAPER, BLUE = (28, 34, 48), (246, 243, 236), (46, 92, 138)
FIRST = ("Sense and Sensibility", ["Jane Austen, 1811", "Chapter 1: the brother"])
SECOND = ("What might have been", ["More amiable himself", "Irony, and its grammar"])
VIDEO_FRAMES, FRAMES_PER_LINE = 84, 30


def slide(title: str, lines: list[str], done: float = 1) -> Image.Image:
    """Draw a slide with its title, its lines, and the portrait in the lower right corner."""
    page = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, round(done * SIZE[0]), 12), fill=BLUE)
    draw.text((80, 80), title, fill=INK, font=ImageFont.load_default(64))
    for index, line in enumerate(lines):
        draw.text((80, 220 + 80 * index), f"-  {line}", fill=INK, font=ImageFont.load_default(36))
    portrait = Image.open(HERE.parent / "ada.png").convert("RGB").resize((PORTRAIT, PORTRAIT))
    page.paste(portrait, (SIZE[0] - PORTRAIT - 32, SIZE[1] - PORTRAIT - 32))
    return page


def frames(title: str, lines: list[str]) -> Iterator[NDArray[np.uint8]]:
    """Yield the output frames of a slide that moves, 25 per second."""
    for number in range(VIDEO_FRAMES):
        yield np.asarray(
            slide(title, lines[: number // FRAMES_PER_LINE], (number + 1) / VIDEO_FRAMES)
        )


if __name__ == "__main__":
    slide(*FIRST).save(HERE / "slide_1.png", optimize=True)
    encode_frames(frames(*SECOND), HERE / "slide_2.mp4", EncodeSettings(preset="slower"))
