"""Facts of the face as SyncNet sees it."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.quality.crops import crop, resampled, squares_of
from sonic_ops.quality.tracking import face_of
from tests.syncnet import FACE

Bytes = NDArray[np.uint8]


def person() -> Bytes:
    with Image.open(FACE) as image:
        return np.asarray(image.convert("RGB").resize((192, 192)))


def warped(grown: float, right: float = 0.0, down: float = 0.0) -> Bytes:
    """The person around the middle of the picture, larger and moved."""
    matrix = np.array([[grown, 0, 96 * (1 - grown) + right], [0, grown, 96 * (1 - grown) + down]])
    return np.asarray(cv2.warpAffine(person(), matrix, (192, 192), borderMode=cv2.BORDER_REPLICATE))


def numbered(count: int) -> list[Bytes]:
    return [np.full((1, 1, 3), n, np.uint8) for n in range(count)]


@pytest.mark.parametrize(
    "fps", [Fraction(25, 2), Fraction(24), Fraction(25), Fraction(30), Fraction(60)]
)
def test_frames_are_the_nearest_to_every_25th_of_a_second(fps: Fraction) -> None:
    found = [int(frame[0, 0, 0]) for frame in resampled(numbered(60), fps)]
    assert len(found) == pytest.approx(60 * 25 / fps, abs=1.01)
    for moment, index in enumerate(found):
        away = [abs(n / fps - Fraction(moment, 25)) for n in range(60)]
        assert away[index] == min(away)


def test_the_crop_is_the_square_with_two_fifths_beside_and_below() -> None:
    rows, columns = np.mgrid[:200, :250]
    places = np.stack([columns, rows, np.zeros_like(rows)], -1).astype(np.uint8)
    found = crop(places, np.array([120.0, 90.0, 40.0]))  # columns 64 to 176, rows 50 to 162
    assert found.shape == (224, 224, 3)
    assert found[0, 0].tolist() == [64, 50, 0]
    assert found[-1, -1].tolist() == [175, 161, 0]
    assert found[112, 112].tolist() == [120, 106, 0]


@pytest.mark.parametrize(("x", "y"), [(10.0, 90.0), (240.0, 90.0), (120.0, 5.0), (120.0, 195.0)])
def test_beyond_the_image_is_grey(x: float, y: float) -> None:
    white = np.full((200, 250, 3), 255, np.uint8)
    half = 40.0
    found = crop(white, np.array([x, y, half]))
    inside = min(x + 56, 250) - max(x - 56, 0), min(y + 72, 200) - max(y - 40, 0)
    share = inside[0] * inside[1] / 112**2
    assert (found == 255).all(-1).mean() == pytest.approx(share, abs=0.02)
    assert set(np.unique(found[::223, ::223]).tolist()) == {110, 255}


def test_a_face_far_outside_is_all_grey() -> None:
    assert (crop(person(), np.array([-900.0, 90.0, 40.0])) == 110).all()


def test_the_square_follows_a_face_that_moves_and_grows() -> None:
    box, is_found = face_of(person())
    assert is_found
    ways = [(1 + n / 300, n / 4, -n / 8) for n in range(30)]
    squares = squares_of(warped(*way) for way in ways)
    assert squares is not None
    half = max(box.width, box.height) / 2
    middle = box.x + box.width / 2, box.y + box.height / 2
    for (grown, right, down), (x, y, size) in list(zip(ways, squares, strict=True))[6:24]:
        assert size == pytest.approx(half * grown, rel=0.02)
        assert x == pytest.approx(grown * (middle[0] - 96) + 96 + right, abs=1)
        assert y == pytest.approx(grown * (middle[1] - 96) + 96 + down, abs=1)


def test_one_frame_that_is_found_wrong_does_not_move_the_square() -> None:
    frames = [warped(1.0)] * 10 + [warped(1.0, 12)] + [warped(1.0)] * 10
    squares = squares_of(frames)
    assert squares is not None
    assert np.ptp(squares[:, 0]) < 0.5


def test_without_a_face_there_are_no_squares() -> None:
    assert squares_of([np.full((96, 96, 3), 90, np.uint8)] * 3) is None
    assert squares_of([]) is None
