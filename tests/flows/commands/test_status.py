"""Where a manifest stands, told from its files alone."""

import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from rich.console import Console

from cluster.pool.costs import RowCosts
from flows import urls
from flows.cli import main
from flows.commands.status import show_status, watch_status
from flows.console.terminal import open_terminal
from flows.planning.checking import weights_of
from flows.rows.config import load_preset
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import open_manifest
from flows.rows.rows import Row, parse_row
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.receipts import lease_target, work_folder_ending, work_root, write_receipt
from flows.state.results import RowResult, results_url, write_results
from tests.flows.conftest import Cells, WriteManifest

LONG_S = 3600.0


@pytest.fixture
def manifest(good: Cells, write_manifest: WriteManifest, tmp_path: Path) -> str:
    """Five rows; the last is wrong."""
    rows = [{"id": name, "output": str(tmp_path / "out" / f"{name}.mp4")} for name in "abcd"]
    return write_manifest(*(good | row for row in rows), good | {"id": "e", "seed": "x"})


@pytest.fixture
def leases() -> Leases:
    return Leases(LONG_S)


def output(tmp_path: Path, name: str) -> str:
    return str(tmp_path / "out" / f"{name}.mp4")


def said(manifest: str, *, as_json: bool = False) -> tuple[bool, str]:
    text = io.StringIO()
    terminal = open_terminal(console=Console(file=text, width=40))
    config = load_preset("sketch")
    return show_status(manifest, None, config, terminal, as_json=as_json), text.getvalue()


def rendered(manifest: str, cells: Cells) -> Path:
    """An output with the receipt that a render leaves."""
    config, output = load_preset("sketch"), Path(str(cells["output"]))
    with open_manifest(manifest) as lines:
        row = parse_row(next(lines.lines()), str(Path(manifest).parent), None)
    assert isinstance(row, Row)
    fingerprint = fingerprint_of(row, config.for_row(row), weights_of(config), urls.sha256_of)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(b"a video")
    result = RowResult(1, row.id, "done", output=row.output, fingerprint=fingerprint)
    write_receipt(result, RowCosts())
    write_results(results_url(manifest, None), lambda: [(result, {})])
    return output


def files_of(folder: Path) -> dict[Path, bytes]:
    def found() -> Iterator[Path]:
        yield from (path for path in folder.rglob("*") if path.is_file())

    return {path: path.read_bytes() for path in found()}


def test_nothing_has_begun(manifest: str) -> None:
    finished, text = said(manifest)
    assert not finished
    assert "e: failed: manifest.jsonl line 5: column seed: 'x' is not a whole number" in text
    assert text.endswith("5 rows: 1 failed, 4 waiting\n")


def test_it_tells_the_table_the_journal_and_what_is_in_work(
    manifest: str, leases: Leases, tmp_path: Path
) -> None:
    results = results_url(manifest, None)
    done = RowResult(1, "a", "done", output=output(tmp_path, "a"))
    write_results(results, lambda: [(done, {})])
    broke = RowResult(2, "b", "failed", error="it broke", remedy="Mend it.")
    Journal(results, leases).record(replace(broke, output=output(tmp_path, "b")))
    leases.take(lease_target(output(tmp_path, "c")))
    before = files_of(tmp_path)
    finished, text = said(manifest)
    assert not finished
    assert "b: failed: it broke. Mend it." in text
    assert "a: missing: its video was rendered, and is gone" in text
    assert "c: locked: begins, by process " in text
    assert text.endswith("5 rows: 2 failed, 1 locked, 1 missing, 1 waiting\n")
    assert files_of(tmp_path) == before


def test_it_tells_how_far_a_row_is(manifest: str, leases: Leases, tmp_path: Path) -> None:
    with open_manifest(manifest) as lines:
        row = parse_row(next(iter(lines.lines())), str(tmp_path), None)
    assert isinstance(row, Row)
    work = Path(work_root(row.output)) / f"a-0123456789ab{work_folder_ending(row)}"
    leases.take(lease_target(row.output))
    for folder, names, far in (
        ("checkpoints", ["004", "008"], "8 steps denoised"),
        ("latents", ["x", "y", "z"], "3 segments denoised"),
        ("segments", ["x"], "1 of 3 segments encoded"),
    ):
        for name in names:
            (work / folder / name).mkdir(parents=True)
        assert f"a: locked: {far}, by process" in said(manifest)[1]


def test_a_run_that_is_over_is_finished(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest(good)
    rendered(manifest, good)
    assert said(manifest) == (True, "1 rows: 1 finished\n")
    finished, text = said(manifest, as_json=True)
    events = [json.loads(line) for line in text.splitlines()]
    assert finished
    assert [(event["event"], event.get("status")) for event in events] == [
        ("row", "finished"),
        ("rows", None),
    ]
    assert events[-1]["finished"] == 1


def test_results_beside_the_first_output_are_found(manifest: str, tmp_path: Path) -> None:
    done = RowResult(1, "a", "done", output=output(tmp_path, "a"))
    beside = results_url(manifest, str(tmp_path / "out"))
    write_results(beside, lambda: [(done, {})])
    assert "1 missing, 3 waiting" in said(manifest)[1]


def test_the_work_folder_of_the_preset_is_looked_into(
    manifest: str,
    leases: Leases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with open_manifest(manifest) as lines:
        row = parse_row(next(iter(lines.lines())), str(tmp_path), None)
    assert isinstance(row, Row)
    leases.take(lease_target(row.output))
    work = tmp_path / "work" / f"a-0123456789ab{work_folder_ending(row)}"
    (work / "checkpoints" / "004").mkdir(parents=True)
    preset = tmp_path / "preset.yaml"
    preset.write_text(f"models: {{weights: 'package:sketch'}}\nwork: {tmp_path / 'work'}")
    monkeypatch.setattr("sys.argv", ["sonic", "status", manifest, "--preset", str(preset)])
    with pytest.raises(SystemExit):
        main()
    assert "a: locked: 4 steps denoised, by process" in capsys.readouterr().out


def test_a_video_that_is_gone_is_missing(good: Cells, write_manifest: WriteManifest) -> None:
    manifest = write_manifest(good)
    rendered(manifest, good).unlink()
    assert said(manifest)[1].endswith("1 rows: 1 missing\n")


def test_a_video_that_was_changed_or_has_other_inputs_is_out_of_date(
    good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good)
    output = rendered(manifest, good)
    write_manifest(good | {"seed": 5})
    assert "good: out of date: " in said(manifest)[1]
    write_manifest(good)
    assert said(manifest)[0]
    output.write_bytes(b"another")
    os.utime(output, (time.time() + 5, time.time() + 5))
    assert "good: out of date: " in said(manifest)[1]


def test_an_input_that_is_gone_is_a_failure(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest(good | {"audio": str(tmp_path / "gone.wav")})
    finished, text = said(manifest)
    assert not finished
    assert "good: failed: manifest.jsonl line 1: " in text
    assert "gone.wav cannot be opened (No such file or directory)" in text


def test_watching_looks_again_until_all_rows_are_finished(
    good: Cells, write_manifest: WriteManifest
) -> None:
    manifest, text = write_manifest(good), io.StringIO()
    terminal, config = open_terminal(console=Console(file=text, width=40)), load_preset("sketch")
    ended: list[bool] = []

    def watch() -> None:
        ended.append(watch_status(manifest, None, config, terminal, as_json=False, pause_s=0.05))

    watching = Thread(target=watch)
    watching.start()
    while text.getvalue().count("1 rows: 1 waiting") < 2:
        time.sleep(0.01)
    assert ended == []
    rendered(manifest, good)
    watching.join(60)
    assert ended == [True]
    assert text.getvalue().endswith("1 rows: 1 finished\n")
