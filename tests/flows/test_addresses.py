"""Files are published whole, locally and behind URLs."""

from pathlib import Path

import pytest

from flows import addresses

REMOTE = "memory://addresses"


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"{REMOTE}/{tmp_path.name}"


def test_what_is_written_can_be_read_and_leaves_nothing_beside_it(folder: str) -> None:
    address = addresses.join(folder, "deep", "a.json")
    with addresses.written(address) as path:
        path.write_text('{"a": 1}')
    assert addresses.read_json(address) == {"a": 1}
    assert addresses.size_bytes(address) == 8
    with addresses.fetched(address) as path:
        assert path.read_text() == '{"a": 1}'
    filesystem, inner = addresses._filesystem(addresses.folder_of(address))
    assert [Path(name).name for name in filesystem.ls(inner, detail=False)] == ["a.json"]


def test_nothing_is_published_if_the_writer_fails(folder: str) -> None:
    address = addresses.join(folder, "a.txt")

    def fail() -> None:
        with addresses.written(address) as path:
            path.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert addresses.size_bytes(address) is None


def test_a_published_file_replaces_the_old_one(folder: str) -> None:
    address = addresses.join(folder, "a.json")
    for text in ("1", "2"):
        with addresses.written(address) as path:
            path.write_text(text)
    assert addresses.read_json(address) == 2


def test_folders_can_be_probed_and_removed(folder: str) -> None:
    inner = addresses.join(folder, "new", "inner")
    addresses.probe_folder(inner)
    addresses.remove_folder(addresses.join(folder, "new"))
    addresses.remove_folder(addresses.join(folder, "new"))
    assert addresses.size_bytes(inner) is None


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"(?i)not a directory|file exists"):
        addresses.probe_folder(str(tmp_path / "file" / "folder"))


def test_damaged_json_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    assert addresses.read_json(str(tmp_path / "a.json")) is None
