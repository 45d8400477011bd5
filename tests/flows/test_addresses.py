"""Files are published whole, locally and behind URLs."""

from pathlib import Path

import fsspec.core
import pytest

from flows import addresses
from sonic_ops.core.files import draft_of, exists, fetched, publish, remove, remove_folder, written
from tests.flows.conftest import unreadable

REMOTE = "memory://addresses"


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"{REMOTE}/{tmp_path.name}"


def test_what_is_written_can_be_read_and_leaves_nothing_beside_it(folder: str) -> None:
    address = addresses.join(folder, "deep", "a.json")
    with written(address) as path:
        path.write_text('{"a": 1}')
    assert addresses.read_json(address) == {"a": 1}
    assert addresses.size_bytes(address) == 8
    with fetched(address) as path:
        assert path.read_text() == '{"a": 1}'
    filesystem, inner = fsspec.core.url_to_fs(addresses.folder_of(address))
    assert [Path(name).name for name in filesystem.ls(inner, detail=False)] == ["a.json"]


def test_nothing_is_published_if_the_writer_fails(folder: str) -> None:
    address = addresses.join(folder, "a.txt")

    def fail() -> None:
        with written(address) as path:
            path.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert addresses.size_bytes(address) is None


def names_in(folder: str) -> list[str]:
    filesystem, inner = fsspec.core.url_to_fs(folder)
    return [Path(name).name for name in filesystem.ls(inner, detail=False)]


def test_a_file_that_cannot_be_published_leaves_no_draft(folder: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("new")
    inner = addresses.join(folder, "inner")
    blocked = addresses.join(inner, "a.json")
    if addresses.is_remote(folder):
        with pytest.raises(OSError, match="source"):
            publish(tmp_path / "no source", blocked)
    else:
        Path(blocked).mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            publish(tmp_path / "source", blocked)
    assert names_in(inner) == ([] if addresses.is_remote(folder) else ["a.json"])


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with draft_of(target) as first:
        first.write_text("first")
        with draft_of(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert names_in(str(tmp_path)) == ["a.txt"]


def test_a_file_can_be_removed_twice(folder: str) -> None:
    address = addresses.join(folder, "a.txt")
    with written(address) as path:
        path.write_text("x")
    assert exists(address)
    remove(address)
    remove(address)
    assert not exists(address)


def test_an_address_in_the_top_of_a_store_has_a_folder() -> None:
    assert addresses.folder_of("memory://a.mp4") == "memory://"
    assert addresses.join("memory://", "a.mp4") == "memory://a.mp4"
    assert addresses.folder_of("/a.mp4") == "/"
    assert addresses.join("/", "a.mp4") == "/a.mp4"


def test_two_spellings_of_a_local_file_are_one() -> None:
    for spelled in ("/in/a b.wav", "//in/a b.wav", "file:///in/a%20b.wav", "x/../a b.wav"):
        assert addresses.resolve(spelled, "/in") == "/in/a b.wav"
    assert addresses.resolve("~ada.png", "/in") == "/in/~ada.png"
    assert addresses.resolve("file://[x", "/in") == "/in/[x"


def test_a_published_file_replaces_the_old_one(folder: str) -> None:
    address = addresses.join(folder, "a.json")
    for text in ("1", "2"):
        with written(address) as path:
            path.write_text(text)
    assert addresses.read_json(address) == 2


def test_folders_can_be_probed_and_removed(folder: str) -> None:
    inner = addresses.join(folder, "new", "inner")
    addresses.probe_folder(inner)
    remove_folder(addresses.join(folder, "new"))
    remove_folder(addresses.join(folder, "new"))
    assert addresses.size_bytes(inner) is None


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"(?i)not a directory|file exists"):
        addresses.probe_folder(str(tmp_path / "file" / "folder"))


def test_damaged_json_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    assert addresses.read_json(str(tmp_path / "a.json")) is None


def test_what_is_read_back_says_who_has_made_a_file(folder: str) -> None:
    address = addresses.join(folder, "leases", "a.1.lease")
    assert addresses.create(address, b"first")
    assert addresses.create(address, b"first")  # the same once more: its answer was lost
    assert not addresses.create(address, b"second")
    with fetched(address) as path:
        assert path.read_bytes() == b"first"


def test_a_file_that_cannot_be_made_is_no_lost_race(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"(?i)not a directory|file exists"):
        addresses.create(str(tmp_path / "file" / "a.lease"), b"first")


def test_json_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    assert addresses.read_json(str(tmp_path / "a.json")) is None
    with pytest.raises(OSError, match="symbolic links"):
        addresses.read_json(str(unreadable(tmp_path / "a.json")))
