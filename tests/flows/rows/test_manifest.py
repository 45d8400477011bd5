"""A manifest is read line by line, whatever its format and place."""

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.rows.manifest import Line, open_manifest
from flows.rows.tables import BATCH_ROWS
from sonic_ops.core.errors import ManifestError

CELLS: dict[str, object] = {
    "id": "ada",
    "portrait": "a.png",
    "audio": "a.wav",
    "output": "a.mp4",
    "room": "B 1",
}


def read(url: str) -> list[Line]:
    with open_manifest(url) as manifest:
        return list(manifest.lines())


def write(path: Path, rows: list[dict[str, object]]) -> str:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        path.write_text("\n".join(lines))
    else:
        path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.parametrize("name", ["m.parquet", "m.csv", "m.jsonl"])
def test_every_format_gives_the_same_cells(tmp_path: Path, name: str) -> None:
    url = write(tmp_path / name, [CELLS, CELLS | {"id": "ben"}])
    lines = read(url)
    assert [line.number for line in lines] == [1, 2]
    assert [dict(line.cells) for line in lines] == [CELLS, CELLS | {"id": "ben"}]


def test_a_manifest_may_lie_behind_a_url() -> None:
    with fsspec.open("memory://manifests/m.jsonl", "w") as file:
        file.write(json.dumps(CELLS))
    (line,) = read("memory://manifests/m.jsonl")
    assert line.cells["id"] == "ada"


def test_lines_come_in_batches(tmp_path: Path) -> None:
    rows = [CELLS | {"id": f"row-{i}"} for i in range(2 * BATCH_ROWS + 1)]
    url = write(tmp_path / "m.parquet", rows)
    assert [line.cells["id"] for line in read(url)] == [row["id"] for row in rows]


def test_csv_is_utf8_with_or_without_mark_and_keeps_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("\ufeffid,portrait,audio,output\n007,ü.png,a.wav,a.mp4\n".encode())
    (line,) = read(str(path))
    assert (line.cells["id"], line.cells["portrait"]) == ("007", "ü.png")


def test_a_line_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"id": \n' + json.dumps(CELLS) + "\n[1]\n")
    broken, good, no_object = read(str(path))
    assert broken.problem is not None
    assert "is not JSON" in broken.problem
    assert good.problem is None
    assert no_object.problem == "is not a JSON object"


def test_a_csv_line_with_too_many_cells_is_a_problem_of_that_line(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,portrait,audio,output\na,p,s,o.mp4,extra\nb,p,s,o.mp4\n")
    ragged, good = read(str(path))
    assert ragged.problem == "has 5 cells, but there are 4 columns"
    assert good.cells["id"] == "b"


def manifest_error(url: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(url)
    assert caught.value.remedy
    return str(caught.value)


@pytest.mark.parametrize("name", ["m.parquet", "m.csv"])
def test_a_missing_column_stops_the_run_by_name(tmp_path: Path, name: str) -> None:
    cells = {key: value for key, value in CELLS.items() if key != "audio"}
    said = manifest_error(write(tmp_path / name, [cells]))
    assert "has no column audio; its columns are 'id', 'portrait', 'output'" in said


def test_what_is_no_manifest_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"no parquet")
    (tmp_path / "m.doc").write_text("id")
    (tmp_path / "empty.csv").write_text("id,portrait,audio,output\n")
    assert "cannot be read" in manifest_error(str(tmp_path / "m.parquet"))
    assert "'.doc'" in manifest_error(str(tmp_path / "m.doc"))
    assert "holds no rows" in manifest_error(str(tmp_path / "empty.csv"))
    assert "cannot be opened" in manifest_error(str(tmp_path / "nowhere.csv"))
