"""Files are published whole, locally and behind URLs."""

from pathlib import Path

import fsspec.core
import pytest

from flows import urls
from sonic_ops.core.files import draft_of, exists, fetched, publish, remove, remove_folder, written
from tests.flows.conftest import unreadable

REMOTE = "memory://urls"


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"{REMOTE}/{tmp_path.name}"


def test_what_is_written_can_be_read_and_leaves_nothing_beside_it(folder: str) -> None:
    url = urls.join(folder, "deep", "a.json")
    with written(url) as path:
        path.write_text('{"a": 1}')
    assert urls.read_json(url) == {"a": 1}
    assert urls.size_bytes(url) == 8
    with fetched(url) as path:
        assert path.read_text() == '{"a": 1}'
    filesystem, inner = fsspec.core.url_to_fs(urls.folder_of(url))
    assert [Path(name).name for name in filesystem.ls(inner, detail=False)] == ["a.json"]


def test_nothing_is_published_if_the_writer_fails(folder: str) -> None:
    url = urls.join(folder, "a.txt")

    def fail() -> None:
        with written(url) as path:
            path.write_text("half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert urls.size_bytes(url) is None


def names_in(folder: str) -> list[str]:
    filesystem, inner = fsspec.core.url_to_fs(folder)
    return [Path(name).name for name in filesystem.ls(inner, detail=False)]


def test_a_file_that_cannot_be_published_leaves_no_draft(folder: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_text("new")
    inner = urls.join(folder, "inner")
    blocked = urls.join(inner, "a.json")
    if urls.is_remote(folder):
        with pytest.raises(OSError, match="source"):
            publish(tmp_path / "no source", blocked)
    else:
        Path(blocked).mkdir(parents=True)
        with pytest.raises(OSError, match="directory"):
            publish(tmp_path / "source", blocked)
    assert names_in(inner) == ([] if urls.is_remote(folder) else ["a.json"])


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
    url = urls.join(folder, "a.txt")
    with written(url) as path:
        path.write_text("x")
    assert exists(url)
    remove(url)
    remove(url)
    assert not exists(url)


def test_a_url_in_the_top_of_a_store_has_a_folder() -> None:
    assert urls.folder_of("memory://a.mp4") == "memory://"
    assert urls.join("memory://", "a.mp4") == "memory://a.mp4"
    assert urls.folder_of("/a.mp4") == "/"
    assert urls.join("/", "a.mp4") == "/a.mp4"


def test_two_spellings_of_a_local_file_are_one() -> None:
    for spelled in ("/in/a b.wav", "//in/a b.wav", "file:///in/a%20b.wav", "x/../a b.wav"):
        assert urls.resolve(spelled, "/in") == "/in/a b.wav"
    assert urls.resolve("~ada.png", "/in") == "/in/~ada.png"
    assert urls.resolve("file://[x", "/in") == "/in/[x"


def test_a_published_file_replaces_the_old_one(folder: str) -> None:
    url = urls.join(folder, "a.json")
    for text in ("1", "2"):
        with written(url) as path:
            path.write_text(text)
    assert urls.read_json(url) == 2


def test_folders_can_be_probed_and_removed(folder: str) -> None:
    inner = urls.join(folder, "new", "inner")
    urls.probe_folder(inner)
    remove_folder(urls.join(folder, "new"))
    remove_folder(urls.join(folder, "new"))
    assert urls.size_bytes(inner) is None


def test_a_folder_inside_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"(?i)not a directory|file exists"):
        urls.probe_folder(str(tmp_path / "file" / "folder"))


def test_damaged_json_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    assert urls.read_json(str(tmp_path / "a.json")) is None


def test_what_is_read_back_says_who_has_made_a_file(folder: str) -> None:
    url = urls.join(folder, "leases", "a.1.lease")
    assert urls.create(url, b"first")
    assert urls.create(url, b"first")  # the same once more: its answer was lost
    assert not urls.create(url, b"second")
    with fetched(url) as path:
        assert path.read_bytes() == b"first"


def test_a_file_that_cannot_be_made_is_no_lost_race(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"(?i)not a directory|file exists"):
        urls.create(str(tmp_path / "file" / "a.lease"), b"first")


def test_json_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    assert urls.read_json(str(tmp_path / "a.json")) is None
    with pytest.raises(OSError, match="symbolic links"):
        urls.read_json(str(unreadable(tmp_path / "a.json")))
