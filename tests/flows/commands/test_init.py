"""A folder of recordings becomes a manifest that the program takes."""

import csv
from pathlib import Path

import pytest

from flows.commands.init import init, rows_of
from flows.rows.about import ABOUT
from flows.rows.columns import COLUMN_NAMES
from flows.rows.config import RenderConfig
from sonic_ops.core.errors import FieldError, ManifestError, MissingFileError
from tests.flows.conftest import FACE, SPEECH, sorted_rows


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        source = FACE if name.endswith(".png") else SPEECH
        (folder / name).write_bytes(source.read_bytes() if name[-3:] in ("png", "wav") else b"")
    return folder


def test_the_manifest_of_a_folder_can_be_rendered_and_explains_every_column(
    config: RenderConfig, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "in", "one.wav", "two.wav", "one.png", "portrait.png")
    (folder / "two.de.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHallo\n")
    said: list[str] = []
    init(folder, None, None, said.append)
    text = (folder / "manifest.csv").read_text()
    for column in COLUMN_NAMES:
        assert f"#   {column}: {ABOUT[column]}" in text
    found = sorted_rows(str(folder / "manifest.csv"), config)
    assert found.bad == ()
    one, two = (planned.row for planned in found.planned)
    assert (one.id, one.portrait, one.output) == ("one", f"{folder}/one.png", f"{folder}/one.mp4")
    assert (two.portrait, two.subtitles) == (f"{folder}/portrait.png", f"{folder}/two.de.srt")
    assert (one.language, two.language) == (None, "de")
    number = text.splitlines().index("one,one.png,one.wav,,") + 1
    assert one.place == f"manifest.csv line {number}"
    assert "2 rows" in said[0]
    assert said[-1] == f"next: sonic validate {folder}/manifest.csv, then sonic render " + str(
        folder / "manifest.csv"
    )


def test_recordings_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "talk10.wav", "talk2.wav", "1 intro.wav", "talk.wav", "x.png")
    assert [row.id for row in rows_of(folder)] == ["1 intro", "talk", "talk2", "talk10"]


def test_a_manifest_elsewhere_names_the_files_of_the_folder(tmp_path: Path) -> None:
    folder, target = fill(tmp_path / "in", "a, b.wav", "x.png"), tmp_path / "m.csv"
    init(folder, target, None, print)
    lines = [line for line in target.read_text().splitlines() if line[0] != "#"]
    (row,) = csv.DictReader(lines)
    assert (row["id"], row["audio"]) == ("a, b", f"{folder}/a, b.wav")


@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (["de.wav", "fr.wav"], ["de", "fr"]),
        (["talk.pt-BR.wav"], ["pt-BR"]),
        (["talk_de.wav", "talk_es.wav"], ["de", "es"]),
        (["who_is.wav", "say-no.wav"], ["", ""]),
        (["me.wav"], [""]),
        (["ben.wav", "ada.wav"], ["", ""]),
    ],
)
def test_languages_are_taken_from_names_that_mean_them(
    tmp_path: Path, names: list[str], languages: list[str]
) -> None:
    rows = rows_of(fill(tmp_path / "in", "face.png", *names))
    assert {row.audio: row.language for row in rows} == dict(zip(names, languages, strict=True))


def test_images_are_found_by_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "ada.png", "ada-2.png", "ben.png", "ada-1.wav", "ada-2.wav")
    assert [row.portrait for row in rows_of(folder)] == ["ada.png", "ada-2.png"]
    fill(folder, "carl.wav")
    with pytest.raises(FieldError, match=r"none is called like carl\.wav"):
        rows_of(folder)
    assert {row.portrait for row in rows_of(folder, FACE)} == {str(FACE)}


def test_nothing_is_replaced_and_an_empty_folder_is_said(tmp_path: Path) -> None:
    folder = fill(tmp_path / "in", "a.wav", "a.png")
    (folder / "manifest.csv").write_text("mine")
    with pytest.raises(ManifestError, match="already exists"):
        init(folder, None, None, print)
    assert (folder / "manifest.csv").read_text() == "mine"
    init(folder, None, None, print, overwrite=True)
    assert "a,a.png,a.wav,," in (folder / "manifest.csv").read_text()
    with pytest.raises(MissingFileError, match="holds no audio"):
        rows_of(fill(tmp_path / "empty"))
    with pytest.raises(MissingFileError, match="no folder"):
        rows_of(tmp_path / "nowhere")
