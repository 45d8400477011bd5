"""A manifest goes in, talking videos come out; bad rows stop nothing; a second run does nothing."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from sonic_ops.inspection import verify_video
from tests.end_to_end.conftest import Bench, Ran
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = pytest.mark.flow

SAMPLES = 12_800  # 0.8 s
ROWS: list[dict[str, object]] = [
    {"id": "ada", "end": 0.8, "seed": 1, "output": "out/ada.mp4", "room": "B 1"},
    {"id": "lost", "audio": "nowhere.wav", "output": "out/lost.mp4"},
    {"id": "ben", "start": 1.0, "end": 1.5, "output": "out/deep/ben.mp4", "room": "B 2"},
]
BASE: dict[str, object] = {
    "portrait": str(FACE),
    "audio": str(SPEECH),
    "seed": None,
    "start": None,
    "end": None,
    "room": None,
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def manifest(bench: Bench, folder: Path) -> str:
    return bench.manifest([BASE | row for row in ROWS], folder)


@pytest.fixture(scope="module")
def ran(bench: Bench, manifest: str) -> Ran:
    return bench.run(manifest, bench.preset())


def test_videos_are_what_was_planned(ran: Ran, folder: Path) -> None:
    ada = verify_video(folder / "out" / "ada.mp4", num_output_frames=20, duration_s=0.8)
    ben = verify_video(folder / "out" / "deep" / "ben.mp4", num_output_frames=12, duration_s=0.5)
    assert (ada.width, ada.height) == (ben.width, ben.height) == (64, 64)


def test_the_bad_row_is_named_and_stops_nothing(ran: Ran) -> None:
    assert ran.status == 1
    assert "1 of 3 rows cannot be rendered:" in ran.text
    assert "row lost, column audio: " in ran.text
    assert ran.text.index("row lost") < ran.text.index("ada: starts")
    assert "2 done, 1 failed" in ran.text


def test_results_have_a_line_per_row(ran: Ran, folder: Path) -> None:
    assert list(ran.results) == ["ada", "lost", "ben"]
    ada = ran.results["ada"]
    assert (ada["status"], ada["num_frames"], ada["attempts"], ada["room"]) == (
        "done",
        10,
        1,
        "B 1",
    )
    assert ada["output"] == str(folder / "out" / "ada.mp4")
    assert ada["video_s"] == pytest.approx(0.8)
    assert ada["wall_s"] > 0
    lost = ran.results["lost"]
    assert (lost["status"], lost["error_class"]) == ("failed", "MissingFileError")


def test_progress_says_stage_step_and_frames(ran: Ran) -> None:
    assert "ada: denoises, step " in ran.text
    assert "of 10 frames decoded" in ran.text


def test_nothing_but_videos_and_receipts_is_left(ran: Ran, folder: Path) -> None:
    files = {p.relative_to(folder).as_posix() for p in (folder / "out").rglob("*") if p.is_file()}
    assert files == {
        "out/ada.mp4",
        "out/.sonic/receipts/ada.mp4.json",
        "out/deep/ben.mp4",
        "out/deep/.sonic/receipts/ben.mp4.json",
    }


def test_a_second_run_does_nothing_and_loads_nothing(
    ran: Ran, bench: Bench, manifest: str, folder: Path
) -> None:
    before = sha256(folder / "out" / "ada.mp4")
    program = (
        "import sys; from flows.run import RunRequest, run; from rich.console import Console;"
        "status = run(RunRequest(*sys.argv[1:3], None), Console(width=80));"
        "print(status, sorted({'prefect', 'ray', 'diffusers'} & sys.modules.keys()))"
    )
    good = [BASE | row for row in ROWS if row["id"] != "lost"]
    rerun = bench.manifest(good, folder)
    text = subprocess.run(
        [sys.executable, "-c", program, rerun, bench.preset()],
        cwd=REPOSITORY, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "nothing to do: all 2 rows are finished" in text
    assert text.splitlines()[-1] == "0 []"
    assert sha256(folder / "out" / "ada.mp4") == before


def test_another_seed_renders_that_row_again(bench: Bench, ran: Ran, folder: Path) -> None:
    before = sha256(folder / "out" / "ada.mp4")
    rows = [BASE | row for row in ROWS if row["id"] != "lost"]
    again = bench.run(bench.manifest([rows[0] | {"seed": 2}, rows[1]], folder), bench.preset())
    assert again.status == 0
    assert (again.results["ada"]["status"], again.results["ben"]["status"]) == ("done", "skipped")
    assert again.results["ben"]["num_frames"] == 6
    assert sha256(folder / "out" / "ada.mp4") != before


def test_the_same_row_gives_the_same_bytes_in_another_place(
    bench: Bench, ran: Ran, manifest: str, tmp_path: Path
) -> None:
    rows = [BASE | ROWS[2]]
    elsewhere = bench.run(bench.manifest(rows, tmp_path / "m"), bench.preset(), str(tmp_path))
    assert elsewhere.status == 0
    twin = tmp_path / "out" / "deep" / "ben.mp4"
    original = Path(ran.results["ben"]["output"])
    assert sha256(twin) == sha256(original)


@pytest.mark.ray
def test_ray_gives_the_same_bytes(bench: Bench, ran: Ran, tmp_path: Path) -> None:
    preset = bench.preset("ray", cluster={"workers": 2})
    rows = [BASE | ROWS[2], BASE | ROWS[0] | {"id": "late", "output": "late.mp4", "seed": 3}]
    on_ray = bench.run(bench.manifest(rows, tmp_path / "m"), preset, str(tmp_path))
    assert on_ray.status == 0
    assert {row["status"] for row in on_ray.results.values()} == {"done"}
    twin = tmp_path / "out" / "deep" / "ben.mp4"
    assert sha256(twin) == sha256(Path(ran.results["ben"]["output"]))
