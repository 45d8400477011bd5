"""The procedural portrait: what a pose does to a picture, and who is held out."""

import numpy as np
import pytest

from training.data.sitters import draw_framing
from training.people import styles
from training.people.drawing import brightness, legible
from training.people.faces import NEUTRAL, Framing, Portraitist, Pose
from training.people.people import NUM_FAMILIES, Identity, draw_identity, is_held_out

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


def shown_widths(num: int) -> np.ndarray:
    """Widths of the face box against the picture's, of many people in their framings."""
    widths = []
    for seed in range(num):
        identity = draw_identity(seed)
        framing = draw_framing(identity, np.random.default_rng(seed))
        left, top, right, bottom = framing.shown(identity.face_box())
        assert abs((left + right) / 2 - 128) < 40
        assert 0 < (top + bottom) / 2 < 168
        widths.append((right - left) / 256)
    return np.array(widths)


def test_framings_go_from_tight_to_half_length_and_are_mostly_the_renderers() -> None:
    widths = shown_widths(300)
    assert 0.6 < ((widths > 0.4) & (widths < 0.6)).mean() < 0.85
    assert widths.min() < 0.3
    assert widths.max() > 0.6


def test_a_framing_moves_the_mouth_where_it_says() -> None:
    whole, closer = painter(7), painter(7, framing=Framing(zoom=1.25, x=120, y=140))
    x, y = whole.mouth_centre(NEUTRAL)
    expected = ((x - 120) * 1.25 + 128, (y - 140) * 1.25 + 128)
    assert closer.mouth_centre(NEUTRAL) == pytest.approx(expected)


def test_one_family_in_ten_is_held_out() -> None:
    assert sum(map(is_held_out, range(1000))) == 100
    assert len({seed % NUM_FAMILIES for seed in range(1000) if is_held_out(seed)}) == 1


def test_a_family_has_a_skull_in_common() -> None:
    def proportions(seed: int) -> list[float]:
        person = draw_identity(seed)
        return [person.half_width, person.half_height, person.jaw_width * 60, person.mouth_width]

    skulls = np.array([[proportions(10 * k + family) for k in range(40)] for family in range(10)])
    between = skulls.mean(1).std(0)
    by_chance = skulls.std(1).mean(0) / np.sqrt(40)
    assert (between > 2 * by_chance).all()


def test_the_held_out_style_is_met_only_among_held_out_people() -> None:
    trained = {draw_identity(seed).style for seed in range(300) if not is_held_out(seed)}
    tested = {draw_identity(seed).style for seed in range(9, 1000, 10)}
    assert trained == set(styles.TRAINED)
    assert tested == set(styles.STYLES)
    assert styles.HELD_OUT not in styles.TRAINED


def style_of(style: int) -> Identity:
    return next(p for p in map(draw_identity, range(9, 2000, 10)) if p.style == style)


@pytest.mark.parametrize("style", styles.STYLES)
def test_in_every_style_the_mouth_opens_the_eyes_close_and_the_brows_rise(style: int) -> None:
    person = Portraitist(style_of(style), size=128)
    rest = person.paint(NEUTRAL)
    for move in ({"jaw": 1.0}, {"blink": 1.0}, {"brow": 1.0}):
        moved = changed(rest, person.paint(AT_REST._replace(**move)))
        assert 20 < moved.sum() < 3500, move


def test_outlined_people_have_dark_lines_that_soft_ones_lack() -> None:
    def ink(style: int) -> float:
        picture = Portraitist(style_of(style), size=128).paint(NEUTRAL)
        return float((picture.max(-1) < 60).mean())

    outlined = [p for p in map(draw_identity, range(300)) if p.style == styles.OUTLINED]
    assert all(p.ink and p.ink.width >= 2 for p in outlined)
    assert ink(styles.OUTLINED) > ink(styles.SOFT)


@pytest.mark.parametrize("seed", range(0, 400, 7))
def test_brows_stand_out_from_the_skin(seed: int) -> None:
    person = draw_identity(seed)
    contrast = abs(brightness(person.skin) - brightness(person.brow))
    assert contrast > min(60, brightness(person.skin) - 2)


def test_what_is_legible_already_keeps_its_colour() -> None:
    assert legible((10, 10, 10), (200, 200, 200), 60) == (10, 10, 10)
    assert brightness(legible((190, 180, 170), (200, 200, 200), 60)) == pytest.approx(140)
    assert legible((30, 30, 30), (40, 40, 40), 60) == (0, 0, 0)


def test_a_half_length_portrait_shows_the_trunk_to_the_lower_edge() -> None:
    person = draw_identity(3)
    framing = Framing(zoom=0.5, x=128, y=190)
    picture = Portraitist(person, size=128, framing=framing).paint(NEUTRAL)
    still = Portraitist(person, size=128, framing=framing)
    edge = changed(picture, still.layers.backdrop)[-1]
    assert 0.3 < edge.mean() < 0.7
