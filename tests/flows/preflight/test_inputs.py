"""What rows have in common is done once."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flows.preflight import inputs
from flows.preflight.inputs import portrait_of
from sonic_ops.core.config import PortraitConfig
from tests.flows.conftest import FACE

SETTINGS = PortraitConfig(resolution=64)


def test_rows_in_flight_prepare_the_portrait_that_they_share_once(tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    shutil.copy(FACE, picture)
    inputs._prepared.cache_clear()
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(portrait_of, str(picture), None, SETTINGS) for _ in range(8)]
        first, *others = (future.result() for future in futures)
    assert all(other is first for other in others)
    assert inputs._prepared.cache_info().misses == 1


def test_another_image_at_the_same_url_is_another_portrait(tmp_path: Path) -> None:
    picture = tmp_path / "face.png"
    found = []
    for name in ("glasses.png", "bald.png"):
        shutil.copy(FACE.with_name(name), picture)
        found.append(portrait_of(str(picture), None, SETTINGS).digest)
    assert found[0] != found[1]
