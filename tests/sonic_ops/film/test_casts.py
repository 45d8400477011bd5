"""The difference of colours is steady over a second, and jumps only with the light."""

import numpy as np
import pytest

from sonic_ops.film.casts import GRID, Casts, from_grid, on_grid


def level(value: float) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.full((3, GRID, GRID), value, np.float32)


def test_what_flickers_becomes_steady() -> None:
    rng = np.random.default_rng(0)
    wild = 0.02 + 0.004 * rng.standard_normal(60)
    casts = Casts()
    for number, value in enumerate(wild):
        casts.add(number / 25, level(value))
    found = np.array([casts.at(number / 25).mean() for number in range(60)])
    assert found.mean() == pytest.approx(0.02, abs=0.002)
    assert np.abs(np.diff(found)).mean() < 0.25 * np.abs(np.diff(wild)).mean()


def test_a_lamp_that_goes_on_is_followed_at_once() -> None:
    casts = Casts()
    for number in range(50):
        casts.add(number / 25, level(0.1 if number >= 25 else 0.0))
    found = [casts.at(number / 25).mean() for number in range(50)]
    assert max(found[:25]) < 0.001
    assert min(found[25:]) > 0.099


def test_frames_half_a_second_away_say_nothing() -> None:
    """So a part of a film needs no more of it than that."""
    all_of_it, some = Casts(), Casts()
    values = 0.005 * np.random.default_rng(1).standard_normal(80)
    for number, value in enumerate(values):
        all_of_it.add(number / 25, level(value))
        if 20 <= number < 60:
            some.add(number / 25, level(value))
    for number in range(33, 47):
        np.testing.assert_array_equal(all_of_it.at(number / 25), some.at(number / 25))


def test_the_grid_moves_with_the_face() -> None:
    rows, columns = np.mgrid[0:60, 0:80].astype(np.float32)
    field, way = rows + 2 * columns, np.array([[2.0, 0, 20], [0, 1.5, 10]])
    grid = on_grid(field, way)
    assert grid[3, 4] == pytest.approx(10 + 3 * 1.5 + 2 * (20 + 4 * 2), abs=0.1)
    again = from_grid(grid, way, (80, 60))
    assert again[20, 30] == pytest.approx(field[20, 30], abs=0.1)
