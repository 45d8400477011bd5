"""The released files with every key, made of tiny networks, and a hub that gives them out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub, serving
from tests.released import TINY, hub_of, write_released


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the authors of Sonic recommend."""
    return write_released(tmp_path_factory.mktemp("released"), TINY)


@pytest.fixture
def hub(released: Path) -> Iterator[Hub]:
    """A hub with the three repositories."""
    with serving(hub_of(released)) as hub:
        yield hub
