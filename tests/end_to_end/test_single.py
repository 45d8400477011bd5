"""`sonic render IMAGE AUDIO`: the video of a manifest's row, without Prefect and without Ray."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest, config_of
from flows.pipeline.single import output_of, render_video
from tests.end_to_end.conftest import NOTICE, Bench
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

CELLS: dict[str, str | None] = {
    "portrait": str(FACE),
    "audio": str(SPEECH),
    "start": "0.4",
    "end": "1.6",
    "seed": "7",
    "language": "en",
    "framing": "paste",
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rendered(preset: str, output: Path, cells: dict[str, str | None]) -> tuple[int, str]:
    """The exit status and the text of a video that is rendered alone."""
    text = io.StringIO()
    config = config_of(RunRequest("", preset, None))
    named = {"id": output.stem, "output": str(output)}
    terminal = open_terminal(console=Console(file=text, width=80))
    return render_video(cells | named, config, terminal), text.getvalue()


@pytest.mark.flow
def test_it_has_the_bits_of_its_row_in_a_manifest_and_each_finds_the_other(
    bench: Bench, tmp_path: Path
) -> None:
    row: dict[str, object] = {"id": "row", "output": "row.mp4", **CELLS}
    manifest = bench.manifest([row], tmp_path)
    assert bench.run(manifest, bench.preset()).status == 0
    preset = bench.preset("here", cluster={"workers": 2})
    status, text = rendered(preset, tmp_path / "alone.mp4", CELLS)
    assert status == 0
    assert NOTICE in text
    assert "denoising, step 0 of 2" in text
    assert "prefect" not in text.lower()
    assert sha256(tmp_path / "alone.mp4") == sha256(tmp_path / "row.mp4")
    assert {p.name for p in (tmp_path / ".sonic").iterdir()} == {
        "analysis", "leases", "receipts"
    }  # fmt: skip
    for name in ("alone", "row"):
        status, text = rendered(preset, tmp_path / f"{name}.mp4", CELLS)
        assert (status, text.count("nothing to do")) == (0, 1)


def test_what_is_wrong_is_said_in_a_sentence_each_and_nothing_is_replaced(
    bench: Bench, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.mp4"
    mine.write_bytes(b"of the user")
    cells = CELLS | {"portrait": str(tmp_path / "no.png"), "seed": "x"}
    status, text = rendered(bench.preset(), mine, cells)
    assert status == 2
    assert "column seed: 'x' is not a whole number" in text
    assert "no.png" in text
    assert "already exists and was not written by this program" in text
    assert mine.read_bytes() == b"of the user"
    status, text = rendered(bench.preset(), SPEECH, CELLS)
    assert status == 2
    assert SPEECH.read_bytes()[:4] == b"RIFF"


def test_the_video_is_called_after_the_audio_unless_it_has_a_name(tmp_path: Path) -> None:
    here, audio = str(tmp_path), "/data/talk.wav"
    assert output_of(audio, None, here) == f"{here}/talk.mp4"
    assert output_of(audio, "a.webm", here) == f"{here}/a.webm"
    assert output_of(audio, "out/", here) == f"{here}/out/talk.mp4"
    (tmp_path / "there").mkdir()
    assert output_of(audio, "there", here) == f"{here}/there/talk.mp4"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.csv", "--seed", "3"], "--seed is for one video"),
        (["a.png", "b.wav", "c.wav"], "3 files are too many"),
        (["b.wav", "a.png"], "the image comes first"),
        (["a.png"], "a.png is not a manifest"),
        (["a.csv", "-o", "a.mp4"], "--output is a folder"),
        (["a.png", "b.wav", "--rows", "a"], "are for manifests"),
        (["a.png", "b.wav", "--preview"], "--preview is for manifests"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "flows", "render", *arguments]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.split())


def test_neither_prefect_nor_ray_is_loaded() -> None:
    told = (
        "import sys, flows.pipeline.single, flows.pipeline.rendering, cluster.video.pools; "
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    command = [sys.executable, "-c", told]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "torch" in ran.stdout.split()
    assert not {"prefect", "ray"} & set(ran.stdout.split())
