"""The end of a run says once what became of the rows, and repeats what was said long before."""

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cluster.pool.costs import RowCosts
from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest, run
from flows.planning.checking import weights_of
from flows.rows.config import load_preset
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import open_manifest
from flows.rows.rows import Row, parse_row
from flows.state.receipts import write_receipt
from flows.state.results import RowResult
from flows.urls import sha256_of
from sonic_ops.core.constants import FAILED, LOOK, READY
from tests.flows.conftest import Cells, WriteManifest

PRESET = "sketch"
NOWHERE = "nowhere.wav"


def printed(manifest: str) -> list[str]:
    """Return what `sonic render` prints about a manifest in which no row can be rendered."""
    text = StringIO()
    run(RunRequest(manifest, PRESET, None), open_terminal("lines", Console(file=text, width=80)))
    return text.getvalue().splitlines()


def finish(manifest: str, number: int, verdict: str) -> None:
    """Let a row of a manifest be finished, with this verdict."""
    with open_manifest(manifest) as opened:
        row = parse_row([*opened.lines()][number - 1], str(Path(manifest).parent), None)
    assert isinstance(row, Row)
    config = load_preset(PRESET)
    known = fingerprint_of(row, config.for_row(row), weights_of(config), sha256_of)
    output = Path(row.output)
    output.parent.mkdir(exist_ok=True)
    output.write_bytes(b"a video")
    result = RowResult(number, row.id, "done", verdict, "a reason")
    write_receipt(replace(result, output=row.output, fingerprint=known), RowCosts())


@pytest.fixture
def cells(good: Cells, tmp_path: Path) -> list[Cells]:
    """Rows that can be rendered."""
    return [good | {"id": name, "output": str(tmp_path / "out" / f"{name}.mp4")} for name in "abcd"]


def test_the_outcome_of_the_rows_is_said_once(
    cells: list[Cells], write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(*cells[:3], cells[3] | {"audio": NOWHERE})
    for number, verdict in enumerate((READY, LOOK, READY), 1):
        finish(manifest, number, verdict)
    said = printed(manifest)
    assert [line for line in said if " failed" in line] == [
        "3 skipped, 1 failed (videos: 2 ready, 1 look at it)"
    ]
    assert not [line for line in said if line.startswith("verdicts")]


def test_that_all_rows_are_finished_is_said_with_their_verdicts(
    cells: list[Cells], write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(*cells[:2])
    for number, verdict in enumerate((READY, FAILED), 1):
        finish(manifest, number, verdict)
    said = printed(manifest)
    assert "nothing to do: all 2 rows are finished (videos: 1 ready, 1 failed)" in said
    assert "  b: failed: a reason" in said


def test_errors_that_were_printed_just_before_are_not_repeated(
    cells: list[Cells], write_manifest: WriteManifest
) -> None:
    said = printed(write_manifest(*(row | {"audio": NOWHERE} for row in cells)))
    assert said[0] == "4 of 4 rows cannot be rendered:"
    assert "4 failed" in said
    assert len([line for line in said if NOWHERE in line]) == 4


def test_errors_that_were_not_printed_are_not_left_out(
    cells: list[Cells], write_manifest: WriteManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.planning.checking.SAID", 1)
    said = printed(write_manifest(*(row | {"audio": NOWHERE} for row in cells)))
    assert "  and 3 more, all of them in the results" in said
    assert len([line for line in said if NOWHERE in line]) == 4
