"""What is shown of a film that is shorter than its audio."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sonic_ops.core.config import LengthPolicy
from sonic_ops.film.footage import Footage, film_facts
from tests import films

NUM = 10
FPS = 25


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films.write_film(tmp_path_factory.mktemp("film") / "short.mp4", films.talking(NUM))


def shown(
    film: Path, policy: LengthPolicy, num: int, start: int = 0
) -> tuple[list[int], list[NDArray[np.uint8]]]:
    footage = Footage(Fraction(NUM, FPS), Fraction(num, FPS), policy)
    with film.open("rb") as file:
        frames = list(footage.frames(file, Fraction(start, FPS)))
        return [round(f.time_s * FPS) for f in frames], [f.shown() for f in frames]


def order_of(film: Path, policy: LengthPolicy, num: int, start: int = 0) -> list[int]:
    """Which frame of the film is seen at each time, which must be those of the film."""
    with film.open("rb") as file:
        own = [frame.shown() for frame in Footage(Fraction(NUM, FPS)).frames(file)]
    times, pictures = shown(film, policy, num, start)
    assert times == list(range(start, num))
    return [next(i for i, p in enumerate(own) if (p == seen).all()) for seen in pictures]


def test_the_last_image_stands(film: Path) -> None:
    assert order_of(film, "hold", 14) == [*range(10), 9, 9, 9, 9]
    assert order_of(film, "hold", 14, start=12) == [9, 9]


def test_it_begins_anew(film: Path) -> None:
    assert order_of(film, "loop", 23) == [*range(10), *range(10), 0, 1, 2]
    assert order_of(film, "loop", 23, start=12) == [*range(2, 10), 0, 1, 2]


def test_it_runs_backwards_and_forwards(film: Path) -> None:
    back = list(range(9, -1, -1))
    assert order_of(film, "bounce", 24) == [*range(10), *back, 0, 1, 2, 3]
    assert order_of(film, "bounce", 24, start=13) == [*back[3:], 0, 1, 2, 3]


def test_a_longer_film_is_cut(film: Path) -> None:
    assert order_of(film, "cut", 4) == [0, 1, 2, 3]


def test_facts_of_an_uneven_film(tmp_path: Path) -> None:
    times = [Fraction(n, 25) + Fraction(n % 2, 100) for n in range(NUM)]
    path = films.write_film(tmp_path / "vfr.mp4", films.talking(NUM), times_s=times)
    with path.open("rb") as file:
        facts = film_facts(file)
    assert (facts.is_variable, facts.num_frames, facts.size) == (True, NUM, films.SIZE)
    assert abs(facts.film_s - Fraction(NUM, 25)) < Fraction(1, 25)
