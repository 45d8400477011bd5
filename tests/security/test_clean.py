"""`sonic clean --yes` removes what renders have written, whatever a record in a folder says."""

import json
from os import fspath
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from cluster.pool.costs import RowCosts
from flows.commands.clean import clean
from flows.state.receipts import OWNER, write_owner, write_receipt
from flows.state.results import RowResult


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Files of somebody, in folders as renders have them too."""
    folder = tmp_path / "photos"
    for name in ("a.jpg", "talk.mp4", "sub/b.safetensors", "segments/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mine")
    return folder


def finished(folder: Path) -> tuple[str, str]:
    output = folder / "done.mp4"
    output.write_bytes(b"a video")
    result = RowResult(1, "done", "done", output=str(output), fingerprint="f")
    write_receipt(result, RowCosts())
    return str(output), "f"


def contents(folder: Path) -> list[bytes]:
    return [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != OWNER]


@pytest.mark.parametrize("where", ["photos", "photos/sub", ".sonic/photos"])
@pytest.mark.parametrize("output", ["finished", "/etc/passwd", "gone.mp4"])
def test_a_planted_record_removes_nothing_of_others(
    tmp_path: Path, photos: Path, where: str, output: str
) -> None:
    owner = finished(tmp_path)
    if output != "finished":
        owner = (output, "f")
    if where.startswith("."):
        (tmp_path / ".sonic").mkdir(exist_ok=True)
        photos = photos.rename(tmp_path / where)
    (tmp_path / where / OWNER).write_text(json.dumps({"output": owner[0], "fingerprint": owner[1]}))
    before = contents(photos)
    clean(str(tmp_path), None, print, yes=True)
    assert contents(photos) == before


@pytest.mark.parametrize("follows", [True, False], ids=["links followed", "as fsspec is"])
def test_nothing_behind_a_link_is_removed(
    tmp_path: Path, photos: Path, follows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if follows:  # as another version of fsspec might list folders
        info = LocalFileSystem.info
        monkeypatch.setattr(LocalFileSystem, "info", lambda self, path: info(self, fspath(path)))
    owner = finished(tmp_path)
    (photos / "latents").mkdir()
    (photos / "latents" / "000.safetensors").write_bytes(b"mine")
    work = tmp_path / ".sonic" / "done-ffffffffffff-00000000"
    write_owner(str(work), *owner)
    (work / "latents").symlink_to(photos / "latents")
    (tmp_path / ".sonic" / "linked").symlink_to(photos)
    before = contents(photos)
    clean(str(tmp_path), None, print, yes=True)
    assert contents(photos) == before


OF_A_TAKE = ["take", "portrait", "heard/a", "film/a", "latents/a", "checkpoints/001/a"]
OF_A_FILM = ["track", "pauses", "tokens/a", *(f"takes/0000/{name}" for name in OF_A_TAKE)]


def test_the_work_of_a_film_goes_whole(tmp_path: Path) -> None:
    owner = finished(tmp_path)
    work = tmp_path / ".sonic" / "done-ffffffffffff-00000000"
    write_owner(str(work), *owner)
    names = [f"{who}{name}.safetensors" for who in ("", "speakers/0/") for name in OF_A_FILM]
    others = ("film.mp4", "speakers/0/sound.wav", "takes/0000/zeros/The autoencoder's encoder")
    for name in (*names, *others):
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(b"ours")
    clean(str(tmp_path), None, print, yes=True)
    assert not work.exists()


def test_a_file_of_the_user_in_a_work_folder_stays(tmp_path: Path) -> None:
    owner = finished(tmp_path)
    work = tmp_path / ".sonic" / "done-ffffffffffff-00000000"
    write_owner(str(work), *owner)
    (work / "segments").mkdir()
    (work / "segments" / "000.mp4").write_bytes(b"ours")
    (work / "thesis.docx").write_bytes(b"mine")
    said: list[str] = []
    clean(str(tmp_path), None, said.append, yes=True)
    assert contents(work) == [b"mine"]
    assert "1 files in it are not of this program" in "\n".join(said)
