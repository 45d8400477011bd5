"""The results table has a line per row, in the order of the manifest, and is written whole."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.results import SCHEMA, RowResult, rejected, results_address, write_results
from flows.rows import BadRow
from sonic_ops.errors import FieldError, NoFaceError, RenderError


def test_results_lie_beside_the_manifest_or_in_the_output_folder() -> None:
    assert results_address("/in/m.parquet", None) == "/in/m.results.parquet"
    assert results_address("s3://b/m.csv", None) == "s3://b/m.results.parquet"
    assert results_address("/in/m.parquet", "/out") == "/out/m.results.parquet"


def test_every_row_has_a_line_and_extras_pass_through(tmp_path: Path) -> None:
    done = RowResult(2, "b", "done", output="/b.mp4", num_frames=25, extras={"room": 5})
    failed = RowResult(1, "a", "failed", error_class="NoFaceError", extras={"status": "x"})
    target = str(tmp_path / "m.results.parquet")
    write_results(target, [done, failed])
    table = pq.read_table(target)
    assert table.schema.names == [*SCHEMA.names, "manifest_status", "room"]
    assert table.column("id").to_pylist() == ["a", "b"]
    assert table.column("status").to_pylist() == ["failed", "done"]
    assert table.column("manifest_status").to_pylist() == ["x", None]
    assert table.column("room").to_pylist() == [None, 5]
    assert [path.name for path in tmp_path.iterdir()] == ["m.results.parquet"]


def test_extras_of_mixed_types_become_text(tmp_path: Path) -> None:
    rows = [RowResult(i, str(i), "done", extras={"x": x}) for i, x in enumerate(["a", 1, None])]
    target = str(tmp_path / "r.parquet")
    write_results(target, rows)
    assert pq.read_table(target).column("x").to_pylist() == ["a", "1", None]


def test_a_rejected_row_says_all_that_is_wrong() -> None:
    errors = (
        NoFaceError("No face was found", remedy="Set framing to full.", field="portrait"),
        FieldError("'x' is no number", remedy="Write a number.", field="seed"),
    )
    result = rejected(BadRow(4, "a", errors, {"room": 1}, "/a.mp4"))
    assert (result.row, result.status, result.error_class) == (4, "failed", "NoFaceError")
    assert result.error == "column portrait: No face was found; column seed: 'x' is no number"
    assert result.remedy == "Set framing to full. Write a number."


def test_a_table_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderError, match="could not be read or written") as caught:
        write_results(str(tmp_path / "file" / "r.parquet"), [RowResult(1, "a", "done")])
    assert "run the same command again" in caught.value.remedy
