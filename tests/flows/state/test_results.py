"""The results table has a line per row, in the order of the manifest, and is written whole."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.rows.rows import BadRow
from flows.state.journal import folder_of
from flows.state.results import (
    BATCH_ROWS,
    PREVIEWS_ENDING,
    SCHEMA,
    RowResult,
    measures_url,
    read_results,
    rejected,
    report_url,
    result_from,
    results_url,
    write_results,
)
from sonic_ops.core.errors import FieldError, NoFaceError, RenderError
from tests.flows.conftest import unreadable


def test_results_lie_beside_the_manifest_or_in_the_output_folder() -> None:
    assert results_url("/in/m.parquet", None) == "/in/m.results.parquet"
    assert results_url("s3://b/m.csv", None) == "s3://b/m.results.parquet"
    assert results_url("/in/m.parquet", "/out") == "/out/m.results.parquet"


def beside(results: str) -> set[str]:
    """Where results, and all that is kept beside them, lie."""
    return {results, report_url(results), measures_url(results), folder_of(results)}


@pytest.mark.parametrize("other", ["m.preview.csv", "m.preview-results.csv", "m.preview-.csv"])
def test_previews_share_no_file_with_the_rows_of_any_manifest(other: str) -> None:
    previews = results_url("/in/m.csv", None, ending=PREVIEWS_ENDING)
    assert previews == "/in/m.preview-results.parquet"
    assert report_url(previews) == "/in/m.preview-report.html"
    for manifest in ("m.csv", other):
        assert not beside(previews) & beside(results_url(f"/in/{manifest}", None))


def test_every_row_has_a_line_and_extras_pass_through(tmp_path: Path) -> None:
    failed = RowResult(1, "a", "failed", error_class="NoFaceError")
    done = RowResult(2, "b", "done", output="/b.mp4", num_frames=25)
    target = str(tmp_path / "m.results.parquet")
    write_results(target, lambda: [(failed, {"status": "x"}), (done, {"room": 5})])
    table = pq.read_table(target)
    assert table.schema.names == [*SCHEMA.names, "manifest_status", "room"]
    assert table.column("id").to_pylist() == ["a", "b"]
    assert table.column("status").to_pylist() == ["failed", "done"]
    assert table.column("manifest_status").to_pylist() == ["x", None]
    assert table.column("room").to_pylist() == [None, 5]
    assert [path.name for path in tmp_path.iterdir()] == ["m.results.parquet"]


@pytest.mark.parametrize(
    ("first", "later", "read"),
    [
        ("a", 1, "1"),
        (1, "a", "a"),
        (None, 2, 2),
        (1, 2.5, 2.5),
        (True, 2, "2"),
        ([1], {"a": 1}, "{'a': 1}"),
        (2**70, "\ud800", "?"),
    ],
)
def test_extras_keep_a_type_that_all_batches_share_and_become_text_otherwise(
    tmp_path: Path, first: object, later: object, read: object
) -> None:
    values = [first] * BATCH_ROWS + [later, None]
    target = str(tmp_path / "r.parquet")
    write_results(
        target, lambda: [(RowResult(i, str(i), "done"), {"x": x}) for i, x in enumerate(values)]
    )
    column = pq.read_table(target).column("x").to_pylist()
    assert column[BATCH_ROWS:] == [read, None]
    assert len(column) == BATCH_ROWS + 2


def test_a_table_can_be_read_again(tmp_path: Path) -> None:
    target = str(tmp_path / "r.parquet")
    results = [RowResult(1, "a", "done", video_s=2.5), RowResult(2, "b", "failed", error="e")]
    write_results(target, lambda: [(result, {"room": 1}) for result in results])
    assert list(read_results(target)) == results
    Path(target).write_bytes(b"damaged")
    assert list(read_results(target)) == []


def test_a_table_that_cannot_be_read_is_not_taken_for_empty(tmp_path: Path) -> None:
    assert list(read_results(str(tmp_path / "r.parquet"))) == []
    with pytest.raises(OSError, match="symbolic links"):
        list(read_results(str(unreadable(tmp_path / "r.parquet"))))


def test_a_rejected_row_says_all_that_is_wrong() -> None:
    errors = (
        NoFaceError("No face was found", remedy="Set framing to full.", field="portrait"),
        FieldError("'x' is no number", remedy="Write a number.", field="seed"),
    )
    result = rejected(BadRow(4, "a", errors, "/a.mp4"))
    assert (result.row, result.status, result.error_class) == (4, "failed", "NoFaceError")
    assert result.error == "column portrait: No face was found; column seed: 'x' is no number"
    assert result.remedy == "Set framing to full. Write a number."


def test_a_table_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RenderError, match="could not be read or written") as caught:
        write_results(
            str(tmp_path / "file" / "r.parquet"), lambda: [(RowResult(1, "a", "done"), {})]
        )
    assert "run the same command again" in caught.value.remedy


def test_a_status_of_version_0_1_0_is_known() -> None:
    assert result_from({"row": 1, "id": "a", "status": "elsewhere"}).status == "locked"
