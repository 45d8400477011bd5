"""A person in a large picture: a slide with gradients, texture, lines and text."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.people.examples import PORTRAITS
from training.people.faces import NEUTRAL, Portraitist, Pose
from training.people.people import draw_identity

ASPECT = 16 / 9
_PERSON = 0.72  # of the height of the scene
_TEXT = ("The finished picture", "latents to frames", "frames to output frames", "a file")


def draw_scene(height: int, **pose: float) -> Image.Image:
    """A slide of 16 to 9 with lines behind a person, whose body ends with the picture.

    `pose` are channels of `Pose` that are not at rest.
    """
    slide_HWC = _slide(round(height * ASPECT), height)
    size = round(_PERSON * height)
    left, top = round(0.56 * height * ASPECT), height - size
    painter = Portraitist(draw_identity(PORTRAITS["ada"]), size=size)
    behind = slide_HWC[top:, left : left + size].copy()
    painter.layers = replace(painter.layers, backdrop=behind)
    posed = Pose(*NEUTRAL.tolist())._replace(**pose)
    slide_HWC[top:, left : left + size] = painter.paint(posed)
    return Image.fromarray(slide_HWC)


def _slide(width: int, height: int) -> NDArray[np.uint8]:
    """Two gradients, texture, a grid of lines and some text: H W 3."""
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    slide = 90 + across * (120, 90, 40) + down * (-20, 10, 60)
    unit, rng = height / 1080, np.random.default_rng(0)
    rough = rng.normal(0, 1, (height, width)).astype(np.float32)
    cloth = cv2.GaussianBlur(rough, (0, 0), 4 * unit)
    slide = slide + (0.6 * rough + 5 * cloth / cloth.std())[:, :, None]
    slide = np.ascontiguousarray(slide.clip(0, 255), np.uint8)
    for place in range(round(60 * unit), width, round(120 * unit)):
        cv2.line(slide, (place, 0), (place + height // 3, height), (70, 70, 90), 1, cv2.LINE_AA)
    for place in range(round(90 * unit), height, round(150 * unit)):
        cv2.line(slide, (0, place), (width, place), (235, 235, 225), max(1, round(3 * unit)))
    for line, text in enumerate(_TEXT):
        corner = (round(80 * unit), round((220 + 190 * line) * unit))
        cv2.putText(slide, text, corner, cv2.FONT_HERSHEY_DUPLEX, 2.2 * unit, (30, 30, 40), 2)
    return slide
