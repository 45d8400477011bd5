"""Footage is fetched and checked once for all segments, and again when it has changed."""

from pathlib import Path

import pytest

from cluster.storage.artifacts import write_video
from cluster.storage.footage import open_footage
from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.files import reached, remove


@pytest.mark.parametrize("place", ["file://", "memory://"])
def test_footage_is_opened_once_while_it_is_as_it_was(tmp_path: Path, place: str) -> None:
    address = f"{place}{tmp_path}/footage.mp4"
    write_video(address, lambda path: path.write_bytes(b"the first"))
    first = open_footage(address)
    assert first.read().startswith(b"the first")
    again = open_footage(address)
    assert again is first
    assert again.read().startswith(b"the first")

    remove(address)
    with pytest.raises(DamagedFileError):
        open_footage(address)
    write_video(address, lambda path: path.write_bytes(b"another one"))
    assert open_footage(address).read().startswith(b"another one")
    with reached(address) as (filesystem, path):
        filesystem.pipe_file(path, b"damaged" * 9)
    with pytest.raises(DamagedFileError):
        open_footage(address)
