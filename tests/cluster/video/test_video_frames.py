"""Footage is fetched and checked once for all segments, and again when it has changed."""

from pathlib import Path

import pytest

from cluster.storage.artifacts import write_video
from cluster.storage.footage import open_footage
from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.files import reached, remove


@pytest.mark.parametrize("place", ["file://", "memory://"])
def test_footage_is_opened_once_while_it_is_as_it_was(tmp_path: Path, place: str) -> None:
    url = f"{place}{tmp_path}/footage.mp4"
    write_video(url, lambda path: path.write_bytes(b"the first"))
    first = open_footage(url)
    assert first.read().startswith(b"the first")
    again = open_footage(url)
    assert again is first
    assert again.read().startswith(b"the first")

    remove(url)
    with pytest.raises(DamagedFileError):
        open_footage(url)
    write_video(url, lambda path: path.write_bytes(b"another one"))
    assert open_footage(url).read().startswith(b"another one")
    with reached(url) as (filesystem, path):
        filesystem.pipe_file(path, b"damaged" * 9)
    with pytest.raises(DamagedFileError):
        open_footage(url)
