"""The procedural portrait: what a pose does to a picture, and who is held out."""

import numpy as np
import pytest

from sonic_ops.training.dataset import draw_framing
from sonic_ops.training.faces import NEUTRAL, Framing, Portraitist, Pose
from sonic_ops.training.people import draw_identity, is_held_out

AT_REST = Pose(*NEUTRAL.tolist())


def painter(seed: int, size: int = 128, framing: Framing | None = None) -> Portraitist:
    return Portraitist(draw_identity(seed), size=size, framing=framing)


def changed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b).sum(-1) > 60


@pytest.mark.parametrize("seed", [0, 9, 12345])
def test_a_person_is_the_same_in_every_process(seed: int) -> None:
    open_mouth = AT_REST._replace(jaw=0.8, teeth=0.5)
    assert np.array_equal(painter(seed).paint(open_mouth), painter(seed).paint(open_mouth))


def test_people_differ() -> None:
    assert changed(painter(1).paint(NEUTRAL), painter(2).paint(NEUTRAL)).mean() > 0.2


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_the_jaw_changes_the_mouth_and_leaves_the_rest(seed: int) -> None:
    person = painter(seed)
    moved = changed(person.paint(NEUTRAL), person.paint(AT_REST._replace(jaw=1.0)))
    x, y = (round(v / 2) for v in person.mouth_centre(NEUTRAL))
    assert moved[y - 8 : y + 12, x - 8 : x + 8].mean() > 0.5
    assert not moved[: y - 24].any()


def test_blinking_changes_the_eyes_only() -> None:
    person = painter(6)
    moved = changed(person.paint(NEUTRAL), person.paint(AT_REST._replace(blink=1.0)))
    rows = np.flatnonzero(moved.any(1))
    eye = person.identity.eye_y / 2
    assert len(rows)
    assert abs(rows.mean() - eye) < 8


@pytest.mark.parametrize("seed", range(20, 26))
def test_the_framing_puts_the_face_box_in_the_middle_half(seed: int) -> None:
    identity = draw_identity(seed)
    framing = draw_framing(identity, np.random.default_rng(seed))
    left, top, right, bottom = framing.shown(identity.face_box())
    assert 0.4 < (right - left) / 256 < 0.6
    assert abs((left + right) / 2 - 128) < 40
    assert abs((top + bottom) / 2 - 128) < 40


def test_a_framing_moves_the_mouth_where_it_says() -> None:
    whole, closer = painter(7), painter(7, framing=Framing(zoom=1.25, x=120, y=140))
    x, y = whole.mouth_centre(NEUTRAL)
    expected = ((x - 120) * 1.25 + 128, (y - 140) * 1.25 + 128)
    assert closer.mouth_centre(NEUTRAL) == pytest.approx(expected)


def test_one_person_in_ten_is_held_out() -> None:
    assert sum(map(is_held_out, range(1000))) == 100
