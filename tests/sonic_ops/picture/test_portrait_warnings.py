"""Portraits that the embedded models have not learnt are told of, and only those."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import find_faces
from sonic_ops.picture.landmarks import Landmarks, read_landmarks
from sonic_ops.picture.portrait_warnings import portrait_warnings
from training.people.faces import NEUTRAL
from training.people.heads.painter import HeadPainter
from training.people.motion import YAW
from training.people.mouth import JAW

EXAMPLES = Path(__file__).parents[3] / "examples"
COVERED = "something covers the mouth: the mouth may not move as it should"


@cache
def head() -> HeadPainter:
    return HeadPainter(509, size=192)


def warned(picture: Image.Image) -> list[str]:
    (box,) = find_faces(picture)
    return portrait_warnings(np.asarray(picture), box)


def turned(yaw: float = 0.0, jaw: float = 0.0) -> Image.Image:
    pose = NEUTRAL.copy()
    pose[YAW], pose[JAW] = yaw, jaw
    return Image.fromarray(head().paint(pose))


def test_portraits_outside_what_the_models_know_are_told() -> None:
    assert warned(turned()) == warned(turned(jaw=0.3)) == []
    assert warned(turned(yaw=3)) == [
        "the head is turned away: one that looks at the camera speaks better"
    ]
    assert warned(turned(jaw=1)) == [
        "the mouth is wide open: a portrait with a closed one speaks better"
    ]
    (small,) = warned(turned().resize((72, 72), Image.Resampling.LANCZOS))
    assert small.startswith("the face has only 3")


@pytest.mark.parametrize("name", ["ada", "ben"])
def test_the_examples_need_no_warning(name: str) -> None:
    assert warned(Image.open(EXAMPLES / f"{name}.png").convert("RGB")) == []


def covered(picture: Image.Image, by: str) -> Image.Image:
    """Lay something over the mouth: four fingers, a mask, a spot of skin, a cup."""
    rgb = np.array(picture)
    (box,) = find_faces(picture)
    marks = read_landmarks(rgb, box)
    skin = np.median(rgb[tuple(marks.points[[151, 9, 8]].astype(int)[:, ::-1].T)], axis=0)
    middle, height = marks.points[[13, 14]].mean(0), marks.face_height
    if by == "hand":
        _draw_fingers(rgb, middle, height, skin)
    elif by == "mask":
        _draw_mask(rgb, marks)
    else:
        colour = skin * 0.95 if by == "skin" else np.array([30, 110, 150])
        size = (int(height * 0.28), int(height * 0.17))
        cv2.ellipse(rgb, middle.astype(int).tolist(), size, 0, 0, 360, colour.tolist(), -1)
    return Image.fromarray(rgb)


def _draw_fingers(
    rgb: NDArray[np.uint8], middle: NDArray[np.float32], height: float, skin: NDArray[np.float64]
) -> None:
    for finger in range(4):
        y = int(middle[1] + (finger - 1.5) * height * 0.1)
        start, end = (0, y + int(height * 0.2)), (int(middle[0] + height * 0.25), y)
        for share, light in ((0.11, 0.7), (0.07, 0.95)):
            cv2.line(rgb, start, end, (skin * light).tolist(), int(height * share), cv2.LINE_AA)


def _draw_mask(rgb: NDArray[np.uint8], marks: Landmarks) -> None:
    outline = [234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365]
    outline += [397, 288, 361, 323, 454, 5]
    cv2.fillPoly(rgb, [marks.points[outline].astype(np.int32)], (170, 205, 230))


@pytest.mark.parametrize("by", ["hand", "mask", "skin", "cup"])
@pytest.mark.parametrize("name", ["ada", "ben", "head"])
def test_a_covered_mouth_is_told(name: str, by: str) -> None:
    picture = turned() if name == "head" else Image.open(EXAMPLES / f"{name}.png").convert("RGB")
    assert COVERED in warned(covered(picture, by))


def test_an_image_without_colours_needs_no_warning() -> None:
    assert warned(Image.open(EXAMPLES / "ben.png").convert("L").convert("RGB")) == []
    assert warned(turned().convert("L").convert("RGB")) == []
