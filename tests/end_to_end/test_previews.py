"""Previews come before the videos, beside them, and change nothing of them."""

from pathlib import Path

import pytest

from sonic_ops.media.inspection import verify_video
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.flow

ROW = {"portrait": str(FACE), "audio": str(SPEECH)}
ROWS: list[dict[str, object]] = [
    ROW | {"id": "lost", "audio": "nowhere.wav", "output": "lost.mp4", "end": 1.0, "room": "B 1"},
    ROW | {"id": "ada", "output": "ada.mp4", "end": 0.8, "room": "B 2"},
]


def test_previews_are_looked_at_and_then_the_videos_are_rendered_as_without(
    bench: Bench, tmp_path: Path
) -> None:
    preset = bench.preset("previews", preview={"seconds": 0.4, "steps": 1})
    manifest = bench.manifest(ROWS, tmp_path)
    looked = bench.run(manifest, preset, previews="only")
    assert looked.status == 1  # a row is wrong
    assert "previews: 1 row to render: 0.4 s of video" in looked.text
    assert "ada (preview): done" in looked.text
    assert list(looked.results) == ["ada (preview)"]
    preview = looked.results["ada (preview)"]
    assert (preview["row"], preview["room"], preview["status"]) == (2, "B 2", "done")
    file = tmp_path / "ada.preview.mp4"
    verify_video(file, num_output_frames=10, duration_s=0.4)
    assert {path.name for path in tmp_path.iterdir()} == {
        ".sonic", "ada.preview.mp4", "m.parquet", "m.preview-results.parquet"
    }  # fmt: skip
    made = file.stat().st_mtime_ns

    both = bench.run(manifest, preset, previews="first")
    assert both.status == 1
    assert both.text.count("nowhere.wav") == 2  # before the run, and at its end
    assert "nothing to do: all 1 previews are finished" in both.text
    assert [(r["id"], r["status"]) for r in both.results.values()] == [
        ("lost", "failed"),
        ("ada", "done"),
    ]
    assert file.stat().st_mtime_ns == made

    alone = bench.run(bench.manifest(ROWS, tmp_path / "alone"), preset)
    assert alone.results["ada"]["fingerprint"] == both.results["ada"]["fingerprint"]
    assert (tmp_path / "alone" / "ada.mp4").read_bytes() == (tmp_path / "ada.mp4").read_bytes()

    again = bench.run(manifest, preset, previews="first")
    assert "no previews: no row is left to render" in again.text


def test_a_preview_that_lost_its_receipt_in_a_kill_is_known_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    preset = bench.preset("lost", preview={"seconds": 0.2, "steps": 1}, keep_work=True)
    manifest = bench.manifest(ROWS[1:], tmp_path)
    assert bench.run(manifest, preset, previews="only").status == 0
    (tmp_path / ".sonic" / "receipts" / "ada.preview.mp4.json").unlink()
    again = bench.run(manifest, preset, previews="only")
    assert again.results["ada (preview)"]["status"] == "done"
