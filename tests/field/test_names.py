"""Names of files as people and other systems give them: every one is taken literally."""

import csv
import os
import unicodedata
from io import BytesIO, StringIO
from pathlib import Path

import pytest
import soundfile
from rich.console import Console

from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest, run
from flows.rows.config import load_preset
from flows.state.results import read_results, results_url
from tests.end_to_end.conftest import Bench, bench
from tests.flows.conftest import FACE, SPEECH, sorted_rows

__all__ = ["bench"]

NAMES = (
    "my talk", "$HOME", "it's", ";rm -rf *", "-start", "#1", "a%20b", "100%", "new\nline", 'a "b"',
    "讲座", "Příliš ě", unicodedata.normalize("NFD", "Příliš é"), "🎤", "a::b", "q?x=1&y", "[x]{y}",
    "~tilde", "back\\slash", "a,b;c", " space ", "..dots",
)  # fmt: skip


def write_rows(folder: Path, names: tuple[str, ...]) -> str:
    """Inputs and a manifest in which every row has files of its name."""
    folder.mkdir(parents=True)
    audio = BytesIO()
    soundfile.write(audio, *soundfile.read(SPEECH, stop=6400), format="WAV")
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "portrait", "audio", "output"])
        for number, name in enumerate(names):
            (folder / f"{name}.wav").write_bytes(audio.getvalue())
            (folder / f"{name}.png").write_bytes(FACE.read_bytes())
            table.writerow([number, f"{name}.png", f"{name}.wav", f"out/{name}.mp4"])
    return str(folder / "m.csv")


def test_every_name_is_found(tmp_path: Path) -> None:
    manifest = write_rows(tmp_path / "in", tuple(name.strip() for name in NAMES))
    found = sorted_rows(manifest, load_preset("sketch"))
    assert [row.errors for row in found.bad] == []
    assert len(found.planned) == len(NAMES)


@pytest.mark.flow
def test_videos_have_the_names_that_were_asked_for(bench: Bench, tmp_path: Path) -> None:
    cafe = os.fsdecode(os.fsencode(tmp_path) + "/100% of 讲座 ".encode() + b"caf\xe9")
    names = ("-$x; 'a' #%20", "Příliš\n🎤", "a::b?c=1")
    manifest = write_rows(Path(cafe), names)
    request = RunRequest(manifest, bench.preset(), None, report=True)
    terminal = open_terminal(console=Console(file=StringIO()))
    assert run(request, terminal) == 0
    assert {path.name for path in Path(cafe, "out").glob("*.mp4")} == {f"{n}.mp4" for n in names}
    assert {path.suffix for path in Path(cafe, "out").iterdir()} == {".mp4", ""}  # .sonic
    assert Path(cafe, "m.report.html").is_file()
    assert run(request, terminal) == 0
    results = list(read_results(results_url(manifest, None)))
    assert [row.status for row in results] == ["skipped"] * 3
    assert [row.output for row in results] == [f"{cafe}/out/{name}.mp4" for name in names]
