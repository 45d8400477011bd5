"""Whose face is followed when, among several."""

from sonic_ops.film.choice import Choice, chooser
from sonic_ops.picture.faces import Box

LEFT, RIGHT = Box(0, 0, 40, 50), Box(200, 0, 60, 80)
BOTH = (RIGHT, LEFT)  # largest first


def test_a_row_takes_the_nearest_that_there_is() -> None:
    assert Choice().of(BOTH) is RIGHT
    assert Choice(face=1).of(BOTH) is LEFT
    assert Choice(face=5).of(BOTH) is RIGHT
    assert Choice(position=(90, 20)).of(BOTH) is LEFT


def test_a_speaker_takes_nobody_elses_face() -> None:
    assert Choice(face=2, must_fit=True).of(BOTH) is RIGHT
    assert Choice(face=2, must_fit=True).of((LEFT,)) is None
    assert Choice(position=(30, 20), must_fit=True).of(BOTH) is LEFT
    assert Choice(position=(120, 20), must_fit=True).of(BOTH) is None


def test_who_was_lost_is_found_where_they_were() -> None:
    """The other one may be the only face that is seen, and so number 1."""
    first = Choice(face=1, must_fit=True)
    assert first.of((RIGHT,), last=LEFT) is None
    assert first.of(BOTH, last=LEFT.moved(10, 0)) is LEFT


def test_somebody_is_looked_for_in_every_shot_in_which_they_speak() -> None:
    first = Choice(face=1, start_s=2, end_s=4.1)
    choose_at = chooser((first, Choice(face=2, start_s=8.9, end_s=10)), [0.0, 4.0, 6.0, 9.0])

    def chosen(shot_s: float, time_s: float) -> Box | None:
        choose = choose_at(shot_s, time_s)
        return choose and choose(BOTH, None)

    assert chosen(0.0, 0.0) is LEFT  # before they speak: the mouth rests
    assert chosen(0.0, 3.0) is LEFT
    assert chosen(4.0, 4.0) is None  # the turn ends 0.1 s after the cut
    assert chosen(6.0, 8.95) is None  # the turn begins 0.1 s before the cut
    assert chosen(9.0, 9.0) is RIGHT


def test_in_one_shot_the_last_turn_that_has_begun_counts() -> None:
    choose_at = chooser((Choice(face=1, start_s=2, end_s=4), Choice(face=2, start_s=6, end_s=8)))
    for time_s, face in ((1.0, LEFT), (5.0, LEFT), (6.0, RIGHT), (9.0, RIGHT)):
        choose = choose_at(0.0, time_s)
        assert choose is not None
        assert choose(BOTH, None) is face
