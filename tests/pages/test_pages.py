"""Pages that are made from the code say what the code says."""

import pytest

from sonic_ops.core.errors import NoFaceError, SonicError
from tests.pages.errors import errors_page
from tests.pages.keys import keys_page
from tests.pages.source import Page

OUT_OF_DATE = "run `make docs` and commit the page"


@pytest.fixture(scope="module")
def keys() -> Page:
    return keys_page()


@pytest.fixture(scope="module")
def errors() -> Page:
    return errors_page()


def test_pages_are_up_to_date(keys: Page, errors: Page) -> None:
    assert keys.is_up_to_date, OUT_OF_DATE
    assert errors.is_up_to_date, OUT_OF_DATE


def test_every_key_has_a_default_values_and_a_meaning(keys: Page) -> None:
    rows = [line for line in keys.text.splitlines() if line.startswith("| `")]
    table = [line for line in rows if not line.startswith("| `.")]
    assert len(table) > 40
    for line in table:
        assert all(cell.strip() for cell in line.strip("|").split("|")), line


def test_keys_say_their_bounds(keys: Page) -> None:
    assert "| `seed` | 0 | a whole number from 0 to 2147483647 |" in keys.text
    assert "| `portrait.resolution` | 512 | a multiple of 64 from 64 to 1024 |" in keys.text
    assert "| `models.weights` | required | text |" in keys.text
    assert "| `fusion` | `every_step` | `every_step`, `at_end` |" in keys.text


def test_every_error_has_a_meaning_and_what_happens_next(errors: Page) -> None:
    kinds = [kind.__name__ for kind in SonicError.__subclasses__()]
    for name in [*kinds, NoFaceError.__name__]:
        (line,) = (line for line in errors.text.splitlines() if line.startswith(f"| `{name}` |"))
        assert all(cell.strip() for cell in line.strip("|").split("|"))


def test_what_is_raised_is_found_with_its_remedy(errors: Page) -> None:
    (line,) = (
        line
        for line in errors.text.splitlines()
        if "| No face was found in the image*turned* |" in line
    )
    assert "face_box" in line
    assert "| There is no preset *preset* |" in errors.text
