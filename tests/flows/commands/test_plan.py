"""What `sonic plan` says, and what it finds too large."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from flows.commands.plan import SHOWN, plan
from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest
from flows.planning.calibration import save_calibration
from flows.planning.estimator import Estimator, machine_memory_bytes
from flows.rows.config import RenderConfig
from flows.state.row_store import RowStore
from tests.flows.conftest import FACE, Cells, WriteManifest, sorted_rows
from tests.flows.planning.test_estimate import CALIBRATION, ONES, costing


@pytest.fixture
def measured(tmp_path: Path) -> str:
    """A calibration in which a UNet call takes a minute and a half, and nothing else takes time."""
    path = tmp_path / "calibration.json"
    save_calibration(costing(branch_s=90.0), path)
    return str(path)


def planned(
    manifest: str,
    calibration: str | None = None,
    *,
    as_json: bool = False,
    preset: str = "sketch",
    **options: float,
) -> tuple[int, str]:
    text = io.StringIO()
    terminal = open_terminal("json-lines" if as_json else None, Console(file=text, width=140))
    request = RunRequest(manifest, preset, None)
    return plan(request, terminal, calibration=calibration, **options), text.getvalue()  # type: ignore[arg-type]


def test_it_says_time_money_memory_and_disk(
    good: Cells, write_manifest: WriteManifest, measured: str
) -> None:
    status, text = planned(write_manifest(good), measured, workers=2, price=3)
    assert status == 0
    row = next(line.split() for line in text.splitlines() if line.startswith("good"))
    # 3 s of audio: 37 frames, 2 windows in each of 8 steps, at four times the pixels.
    assert row[:5] == ["good", "3.0", "37", "2", "16"]
    assert row[5] == "1:36:00"
    assert "work: 1.6 h of a worker" in text
    assert "1:36:09 on 1 worker, 1:36:10 on 2" in text  # a single segment, and the start
    assert "price: 4.80 for the work, 9.62 for 2 workers" in text
    assert "memory of a worker: " in text
    assert "disk: " in text


def test_without_a_calibration_it_says_that_it_guesses(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "this is an uncalibrated guess" in planned(write_manifest(good))[1]


def test_json_has_every_row_and_the_total(
    good: Cells, write_manifest: WriteManifest, measured: str, tmp_path: Path
) -> None:
    rows = [{"id": str(n), "output": str(tmp_path / f"{n}.mp4")} for n in range(SHOWN + 3)]
    manifest = write_manifest(*(good | row for row in rows))
    lines = planned(manifest, measured, as_json=True)[1].splitlines()
    told = map(json.loads, lines)
    events = [event for event in told if event["event"] != "message"]  # said when it takes long
    assert [event["event"] for event in events] == ["row"] * len(rows) + ["total"]
    assert events[0]["worker_s"] == pytest.approx(24 * 240)
    assert events[-1]["worker_s"] == pytest.approx(len(rows) * 24 * 240)
    assert "and 3 more" in planned(manifest, measured)[1]


def test_rows_that_do_not_fit_are_named_with_a_remedy(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    path = tmp_path / "huge.json"
    huge = {"denoise": 1 << 50, "decode": 1 << 20}
    save_calibration(replace(CALIBRATION, peak_bytes=huge, work_frame_bytes=1e15), path)
    status, text = planned(write_manifest(good), str(path))
    assert status == 1
    assert "1 rows will hardly fit into this machine:" in text
    assert " (good): a worker needs about" in text
    assert "Lower its resolution" in text
    assert " (good): its work needs about" in text
    assert "let --work name another folder" in text


def test_a_bad_row_is_said_and_the_others_are_planned(
    good: Cells, write_manifest: WriteManifest, measured: str
) -> None:
    manifest = write_manifest(good, good | {"id": "b", "output": "b.mp4", "seed": "x"})
    status, text = planned(manifest, measured)
    assert status == 1
    assert "line 2 (b), column seed: 'x' is not a whole number" in text
    assert "work: 1.6 h of a worker" in text


def test_workers_that_do_not_fit_together_are_told(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    path = tmp_path / "large.json"
    most = {"denoise": int(0.6 * machine_memory_bytes()), "decode": 0}
    save_calibration(
        replace(CALIBRATION, costs=replace(ONES, pixels=128 * 128), peak_bytes=most), path
    )
    preset = tmp_path / "four.yaml"
    preset.write_text(
        "models: {weights: 'package:sketch'}\nportrait: {resolution: 128}\ncluster: {workers: 4}"
    )
    status, text = planned(write_manifest(good), str(path), preset=str(preset))
    assert status == 0
    assert "4 workers need about" in text
    assert "Set cluster.workers: 1" in text


@pytest.mark.parametrize("framing", ["full", "paste"])
def test_a_portrait_that_has_gone_since_it_was_checked_is_planned_all_the_same(
    good: Cells,
    write_manifest: WriteManifest,
    config: RenderConfig,
    tmp_path: Path,
    framing: str,
) -> None:
    picture, turned = tmp_path / "wide.jpg", Image.Exif()
    turned[0x0112] = 6  # a viewer shows it on its side
    with Image.open(FACE) as image:
        image.convert("RGB").resize((256, 128)).save(picture, exif=turned)
    cells = {"portrait": str(picture), "framing": framing, "face_box": "20 20 90 90"}
    store = RowStore()
    store.plan(sorted_rows(write_manifest(good | cells), config).planned[0])
    picture.unlink()
    (row,) = store.planned()
    assert row.image_size == (128, 256)
    assert Estimator(config, CALIBRATION).row(row).worker_s > 0
