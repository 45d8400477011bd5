"""A manifest goes in, talking videos come out; bad rows stop nothing; a second run does nothing."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import fsspec
import httpx
import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import TaskRunResult
from rich.console import Console

from flows import render
from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest, run
from sonic_ops.media.inspection import verify_video
from tests.end_to_end.conftest import NOTICE, Bench, Ran
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = pytest.mark.flow

SAMPLES = 12_800  # 0.8 s
ROWS: list[dict[str, object]] = [
    {"id": "ada", "end": 0.8, "seed": 1, "output": "out/ada.mp4", "room": "B 1"},
    {"id": "lost", "audio": "nowhere.wav", "output": "out/lost.mp4"},
    {"id": "ben", "start": 1.0, "end": 1.5, "output": "out/deep/ben.webm", "room": "B 2"}
    | {"subtitles": "ben.srt", "language": "en", "framing": "paste", "face": 1},
]
BASE: dict[str, object] = {
    "portrait": str(FACE),
    "audio": str(SPEECH),
    "seed": None,
    "start": None,
    "end": None,
    "room": None,
    "subtitles": None,
    "language": None,
    "framing": None,
    "face": None,
}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def manifest(bench: Bench, folder: Path) -> str:
    (folder / "ben.srt").write_text("1\n00:00:01,200 --> 00:00:02,000\nHallo\n")
    return bench.manifest([BASE | row for row in ROWS], folder)


@pytest.fixture(scope="module")
def ran(bench: Bench, manifest: str) -> Ran:
    return bench.run(manifest, bench.preset())


def test_videos_are_what_was_planned(ran: Ran, folder: Path) -> None:
    ada = verify_video(folder / "out" / "ada.mp4", num_output_frames=20, duration_s=0.8)
    ben = verify_video(folder / "out" / "deep" / "ben.webm", num_output_frames=12, duration_s=0.5)
    assert (ada.width, ada.height) == (64, 64)
    with Image.open(FACE) as picture:
        assert (ben.width, ben.height) == picture.size
    assert (ben.video_codec, ben.audio_codec) == ("vp9", "opus")
    assert (ben.language, ben.num_subtitles) == ("eng", 1)
    side_car = (folder / "out" / "deep" / "ben.en.srt").read_text()
    assert side_car == "1\n00:00:00,200 --> 00:00:00,500\nHallo\n"


def test_the_bad_row_is_named_and_stops_nothing(ran: Ran) -> None:
    assert ran.status == 1
    assert "1 of 3 rows cannot be rendered:" in ran.text
    assert " (lost), column audio: " in ran.text
    assert ran.text.index(" (lost), column") < ran.text.index("ada: starts")
    assert "2 done, 1 failed (videos: " in ran.text


def test_the_notice_of_the_weights_is_said_before_they_are_used(ran: Ran) -> None:
    assert ran.text.count(NOTICE) == 1
    assert ran.text.index(NOTICE) < ran.text.index("starting")


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
    assert abs(ada["audio_offset_ms"]) <= 1
    assert ada["provenance"] == "metadata, XMP, not signed"
    assert ran.results["ben"]["provenance"] == "metadata, not signed"
    lost = ran.results["lost"]
    assert (lost["status"], lost["error_class"]) == ("failed", "MissingFileError")


def test_every_row_has_a_verdict_and_what_is_not_ready_is_repeated_at_the_end(
    ran: Ran, folder: Path
) -> None:
    lost, ada = ran.results["lost"], ran.results["ada"]
    assert (lost["verdict"], lost["reason"]) == ("failed", lost["error"])
    assert ada["verdict"] in {"look at it", "failed"}  # its weights are random numbers
    end = ran.text[ran.text.index(" (videos: ") :]
    assert f"  lost: failed: {lost['error']}. {lost['remedy']}" in end
    assert f"  ada: {ada['verdict']}: {ada['reason']}" in end
    assert (folder / "out" / ".sonic" / "analysis" / "ada.mp4.json").is_file()


def test_progress_says_stage_step_and_frames(ran: Ran) -> None:
    assert "ada: denoising, step " in ran.text
    assert "of 10 frames decoded" in ran.text


def test_nothing_but_videos_receipts_and_what_was_measured_is_left(ran: Ran, folder: Path) -> None:
    files = {p.relative_to(folder).as_posix() for p in (folder / "out").rglob("*") if p.is_file()}
    assert files == {
        "out/ada.mp4",
        "out/.sonic/receipts/ada.mp4.json",
        "out/.sonic/analysis/ada.mp4.json",
        "out/deep/.sonic/analysis/ben.webm.json",
        "out/deep/ben.webm",
        "out/deep/ben.en.srt",
        "out/deep/.sonic/receipts/ben.en.srt.json",
        "out/deep/.sonic/receipts/ben.webm.json",
    }


def test_a_second_run_does_nothing_and_loads_nothing(
    ran: Ran, bench: Bench, manifest: str, folder: Path
) -> None:
    before = sha256(folder / "out" / "ada.mp4")
    program = (
        "import sys; from flows.pipeline.run import RunRequest, run;"
        "from rich.console import Console;"
        "from flows.console.terminal import open_terminal;"
        "status = run(RunRequest(*sys.argv[1:3], None), open_terminal(console=Console(width=80)));"
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
    bench: Bench, ran: Ran, folder: Path, tmp_path: Path
) -> None:
    rows = [BASE | ROWS[2] | {"subtitles": str(folder / "ben.srt")}]
    elsewhere = bench.run(bench.manifest(rows, tmp_path / "m"), bench.preset(), str(tmp_path))
    assert elsewhere.status == 0
    twin = tmp_path / "out" / "deep" / "ben.webm"
    original = Path(ran.results["ben"]["output"])
    assert sha256(twin) == sha256(original)


def test_prefect_sees_a_run_per_row(ran: Ran, bench: Bench, manifest: str, folder: Path) -> None:
    # Prefect reads its settings when it is imported, and the fixtures make them.
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        runs = {run.name: run for run in client.read_flow_runs()}
    row = runs[f"ada to {folder}/out/ada.mp4"]
    assert row.state_name == "Completed"
    assert row.parent_task_run_id is not None
    assert runs[manifest].state_name == "Completed"
    assert row.tags == runs[manifest].tags == [f"preset:{bench.preset()}"]


def test_everything_may_lie_behind_urls(bench: Bench, ran: Ran, folder: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/in/face.png", FACE.read_bytes())
    memory.pipe("/in/speech.wav", SPEECH.read_bytes())
    memory.pipe("/in/ben.srt", (folder / "ben.srt").read_bytes())
    row = {"portrait": "face.png", "audio": "speech.wav", "output": "../out/ben.webm"}
    memory.pipe("/in/m.jsonl", json.dumps(ROWS[2] | row).encode())
    request = RunRequest("memory://in/m.jsonl", bench.preset(), None)
    assert run(request, open_terminal(console=Console(file=io.StringIO()))) == 0
    assert memory.cat("/out/ben.webm") == Path(ran.results["ben"]["output"]).read_bytes()
    assert memory.exists("/in/m.results.parquet")
    text = io.StringIO()
    assert run(request, open_terminal(console=Console(file=text))) == 0
    assert "nothing to do" in text.getvalue()
    kept = {path.split("/")[-2] for path in memory.find("/out") if ".sonic" in path}
    assert kept == {"receipts", "analysis"}


@pytest.mark.ray
def test_ray_gives_the_same_bytes(bench: Bench, ran: Ran, folder: Path, tmp_path: Path) -> None:
    preset = bench.preset("ray", cluster={"workers": 2})
    rows = [BASE | ROWS[2] | {"subtitles": str(folder / "ben.srt")}]
    rows += [BASE | ROWS[0] | {"id": "late", "output": "late.mp4", "seed": 3}]
    on_ray = bench.run(bench.manifest(rows, tmp_path / "m"), preset, str(tmp_path))
    assert on_ray.status == 0
    assert {row["status"] for row in on_ray.results.values()} == {"done"}
    twin = tmp_path / "out" / "deep" / "ben.webm"
    assert sha256(twin) == sha256(Path(ran.results["ben"]["output"]))


def test_prefects_page_shows_how_results_pass_from_task_to_task(
    bench: Bench, tmp_path: Path
) -> None:
    row = {"id": "edges", "portrait": str(FACE), "audio": str(SPEECH), "end": 0.5}
    row["output"] = "edges.mp4"
    assert bench.run(bench.manifest([row], tmp_path), bench.preset()).status == 0
    output = str(tmp_path / "edges.mp4")
    with get_client(sync_client=True) as client:
        name = FlowRunFilter(name=FlowRunFilterName(any_=[f"edges to {output}"]))
        runs = client.read_task_runs(flow_run_filter=name)
    task_of = {run.id: run.name.rsplit("-", 1)[0] for run in runs}
    edges = {
        (task_of[source.id], task_of[run.id])
        for run in runs
        for sources in run.task_inputs.values()
        for source in sources
        if isinstance(source, TaskRunResult) and source.id in task_of
    }
    assert edges >= {
        ("decode_audio", "encode_audio_context"),
        ("decode_audio", "split"),
        ("encode_audio_context", "denoise"),
        ("prepare_portrait", "denoise"),
        ("split", "denoise"),
        ("denoise", "decode"),
        ("decode", "stitch"),
        ("stitch", "mux"),
    }


def test_a_row_is_done_although_prefect_is_told_so_twice(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client whose request was answered too late asks again, and is told what is known."""
    send = httpx.Client.send

    def send_again(client: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        is_end = request.url.path.endswith("/set_state") and b'"COMPLETED"' in request.read()
        if is_end:
            ends.append(send(client, request, **options))
        return send(client, request, **options)

    ends: list[httpx.Response] = []
    monkeypatch.setattr(httpx.Client, "send", send_again)
    row: dict[str, object] = {"id": "a", "portrait": str(FACE), "audio": str(SPEECH)}
    row |= {"output": str(tmp_path / "a.mp4")}
    ran = bench.run(bench.manifest([row], tmp_path / "m"), bench.preset())
    assert ends
    assert ran.results["a"]["status"] == "done", ran.text


def test_from_python_a_render_gives_a_result_per_row(bench: Bench, tmp_path: Path) -> None:
    good: dict[str, object] = {"id": "good", "portrait": str(FACE), "audio": str(SPEECH)}
    good |= {"end": 0.5, "output": "a.mp4"}
    rows = [good, good | {"id": "lost", "audio": "nowhere.wav", "output": "b.mp4"}]
    found = render(bench.manifest(rows, tmp_path), preset=bench.preset(), output=tmp_path / "out")
    assert [(result.id, result.status) for result in found] == [
        ("good", "done"),
        ("lost", "failed"),
    ]
    assert found[0].output == str(tmp_path / "out" / "a.mp4")
    assert Path(found[0].output).is_file()
