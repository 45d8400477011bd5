"""FaceMesh reads mouths and lids of faces whose truth is known."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import find_faces
from sonic_ops.picture.landmarks import Landmarks, read_landmarks
from training.people.faces import NEUTRAL
from training.people.heads.painter import HeadPainter
from training.people.motion import BLINK, YAW
from training.people.mouth import JAW


@cache
def head() -> HeadPainter:
    return HeadPainter(509, size=192)


def read(picture: NDArray[np.uint8]) -> Landmarks:
    return read_landmarks(picture, find_faces(Image.fromarray(picture))[0])


def at(channel: int, value: float) -> Landmarks:
    pose = NEUTRAL.copy()
    pose[channel] = value
    return read(head().paint(pose))


def test_an_open_mouth_is_read_as_open() -> None:
    gaps = [at(JAW, jaw).mouth_opening for jaw in (0.0, 0.5, 1.0)]
    assert gaps == sorted(gaps)
    assert gaps[2] > 4 * gaps[0]


def test_shut_lids_are_read_as_shut() -> None:
    assert at(BLINK, 1.0).eye_opening < 0.8 * at(BLINK, 0.0).eye_opening


def test_the_nose_goes_with_the_head() -> None:
    assert at(YAW, 1.0).nose[0] > at(YAW, 0.0).nose[0] + 4


def test_points_are_in_pixels_of_the_image() -> None:
    small, rest = at(JAW, 0.0), head().paint(NEUTRAL)
    moved = np.roll(rest, 12, axis=1)
    assert read(moved).nose[0] - small.nose[0] == pytest.approx(12, abs=1.5)
    large = read(np.asarray(Image.fromarray(rest).resize((384, 384))))
    assert large.face_height == pytest.approx(2 * small.face_height, rel=0.05)
    assert small.score > 0.9
