"""Where a manifest stands, told from its files alone."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli import main
from flows.commands.status import show_status
from flows.console.terminal import open_terminal
from flows.rows.manifest import open_manifest
from flows.rows.rows import Row, parse_row
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.receipts import lease_target, work_folder_ending, work_root
from flows.state.results import RowResult, results_address, write_results
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
    return show_status(manifest, None, None, terminal, as_json=as_json), text.getvalue()


def files_of(folder: Path) -> dict[Path, bytes]:
    def found() -> Iterator[Path]:
        yield from (path for path in folder.rglob("*") if path.is_file())

    return {path: path.read_bytes() for path in found()}


def test_nothing_has_begun(manifest: str) -> None:
    finished, text = said(manifest)
    assert not finished
    assert "e: wrong: 'x' is not a whole number" in text
    assert text.endswith("5 rows: 4 waiting, 1 wrong\n")


def test_it_tells_the_table_the_journal_and_what_is_in_work(
    manifest: str, leases: Leases, tmp_path: Path
) -> None:
    results = results_address(manifest, None)
    done = RowResult(1, "a", "done", output=output(tmp_path, "a"))
    write_results(results, lambda: [(done, {})])
    broke = RowResult(2, "b", "failed", error="it broke", remedy="Mend it.")
    Journal(results, leases).record(replace(broke, output=output(tmp_path, "b")))
    leases.take(lease_target(output(tmp_path, "c")))
    before = files_of(tmp_path)
    finished, text = said(manifest)
    assert not finished
    assert "b: failed: it broke. Mend it." in text
    assert "c: in work: begins, by process " in text
    assert text.endswith("5 rows: 1 done, 1 failed, 1 in work, 1 waiting, 1 wrong\n")
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
        assert f"a: in work: {far}, by process" in said(manifest)[1]


def test_a_run_that_is_over_is_finished(
    good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    manifest = write_manifest(good)
    done = RowResult(1, "good", "skipped", output=str(good["output"]))
    write_results(results_address(manifest, None), lambda: [(done, {})])
    assert said(manifest) == (True, "1 rows: 1 skipped\n")
    finished, text = said(manifest, as_json=True)
    events = [json.loads(line) for line in text.splitlines()]
    assert finished
    assert [(event["event"], event.get("status")) for event in events] == [
        ("row", "skipped"),
        ("rows", None),
    ]
    assert events[-1]["skipped"] == 1


def test_results_beside_the_first_output_are_found(manifest: str, tmp_path: Path) -> None:
    done = RowResult(1, "a", "done", output=output(tmp_path, "a"))
    beside = results_address(manifest, str(tmp_path / "out"))
    write_results(beside, lambda: [(done, {})])
    assert "1 done, 3 waiting" in said(manifest)[1]


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
    assert "a: in work: 4 steps denoised, by process" in capsys.readouterr().out
