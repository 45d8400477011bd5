"""Rendered heads: the same person every time, and each channel of a pose moves its own place."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.picture.faces import Box, find_faces
from training.data.sitters import head_box
from training.people.faces import NEUTRAL, Pose
from training.people.heads.mesh import mesh
from training.people.heads.painter import HeadPainter, face_units
from training.people.motion import BLINK, YAW
from training.people.mouth import JAW, PRESS

SIZE = 96


@pytest.fixture(scope="module")
def head() -> HeadPainter:
    return HeadPainter(32, size=SIZE)


def box_corners(box: Box) -> NDArray[np.float64]:
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def pose(**channels: float) -> NDArray[np.float32]:
    names = {"jaw": JAW, "blink": BLINK, "yaw": YAW, "press": PRESS}
    changed = NEUTRAL.copy()
    for name, value in channels.items():
        changed[names[name]] = value
    return changed


def change_near(a: NDArray[np.uint8], b: NDArray[np.uint8], point: tuple[float, float]) -> float:
    x, y = (round(v) for v in point)
    near = (slice(y - 8, y + 8), slice(x - 12, x + 12))
    return float(np.abs(a[near].astype(int) - b[near]).mean())


def test_a_seed_is_one_person(head: HeadPainter) -> None:
    again, other = HeadPainter(32, size=SIZE), HeadPainter(33, size=SIZE)
    rest = head.paint(NEUTRAL)
    assert np.array_equal(rest, again.paint(NEUTRAL))
    assert np.abs(rest.astype(int) - other.paint(NEUTRAL)).mean() > 5


def test_jaw_and_lids_move_in_their_own_places(head: HeadPainter) -> None:
    rest = head.paint(NEUTRAL)
    mouth, eyes = head.mouth_centre(NEUTRAL), head.eye_centre(NEUTRAL)
    opened, shut = head.paint(pose(jaw=1)), head.paint(pose(blink=1))
    assert change_near(rest, opened, mouth) > 4 * change_near(rest, opened, eyes) + 2
    assert change_near(rest, shut, eyes) > 4 * change_near(rest, shut, mouth)
    assert np.array_equal(rest[:4], opened[:4])  # above the head


def test_a_smile_changes_the_mouth_and_pressed_lips_hide_the_teeth(head: HeadPainter) -> None:
    rest, smiling = head.paint(NEUTRAL), head.paint(NEUTRAL, smile=1.0)
    mouth, eyes = head.mouth_centre(NEUTRAL), head.eye_centre(NEUTRAL)
    assert change_near(rest, smiling, mouth) > 3 * change_near(rest, smiling, eyes)
    units = face_units(Pose(*pose(press=1)), smile=1.0)
    assert units["mouthSmileLeft"] > 0.5
    assert not {"jawOpen", "mouthUpperUpLeft", "mouthLowerDownLeft"} & units.keys()


def test_the_box_of_a_head_is_where_a_detector_puts_it() -> None:
    head = HeadPainter(44, size=192)
    (found,) = find_faces(Image.fromarray(head.paint(NEUTRAL)))
    left, top, right, bottom = head_box(head)
    off = np.abs(np.array([left, top, right, bottom]) - box_corners(found)).max()
    assert off < 0.12 * found.height


def test_the_places_of_mouth_and_eyes_go_with_the_head(head: HeadPainter) -> None:
    for place in (head.mouth_centre, head.eye_centre):
        rest, turned = place(NEUTRAL), place(pose(yaw=1))
        assert turned[0] - rest[0] > 1.5
        assert abs(turned[1] - rest[1]) < 1.5
    assert head.mouth_centre(pose(jaw=1))[1] > head.mouth_centre(NEUTRAL)[1] + 0.5


def test_the_surface_is_smooth_and_keeps_its_place() -> None:
    surface, vertices = mesh().surface, mesh().vertices
    assert np.allclose(surface.weights.sum(1), 1)
    points = surface.weights @ vertices
    assert (points.max(0) <= vertices.max(0) + 1e-9).all()
    assert np.allclose(np.linalg.norm(surface.normals(points), axis=1), 1, atol=1e-6)
