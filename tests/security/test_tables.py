"""Tables that are small on disk and large in memory: the row is named, and the others are read."""

import gzip
import json
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.rows import manifest
from flows.rows.manifest import Line, open_manifest
from flows.rows.rows import BadRow, Row, parse_row
from sonic_ops.core.errors import ConfigError, ManifestError
from sonic_ops.core.presets import read_preset
from tests.security.measure import peak_mb

GOOD = {"id": "good", "portrait": "a.png", "audio": "a.wav", "output": "a.mp4"}


def lines_of(path: Path) -> list[Line]:
    with open_manifest(str(path)) as opened:
        return list(opened.lines())


def problem_before_a_good_line(path: Path) -> str:
    """Return what is wrong with the first of two lines; the second one is a row."""
    bad, good = lines_of(path)
    assert isinstance(parse_row(bad, "/", None), BadRow)
    row = parse_row(good, "/", None)
    assert isinstance(row, Row)
    assert (row.id, row.errors) == ("good", ())
    return bad.problem or ""


def with_good(path: Path, text: str) -> Path:
    path.write_text(f"{text}\n{json.dumps(GOOD)}\n")
    return path


@pytest.mark.parametrize("column", ["id", "seed", "face_box", "more"])
@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deeply_nested_json_is_one_bad_row(tmp_path: Path, column: str, depth: int) -> None:
    cells = json.dumps(GOOD | {"id": "nested", column: "HERE"})
    nested = cells.replace('"HERE"', "[" * depth + "]" * depth)
    problem = problem_before_a_good_line(with_good(tmp_path / "m.jsonl", nested))
    assert len(problem) < 200


@pytest.mark.parametrize("text", ["- " * 20_000, "[" * 20_000, "{a: " * 20_000, "? " * 20_000])
def test_deeply_nested_yaml_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "preset.yaml"
    path.write_text(f"{text}x")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_preset(path)


def test_an_id_of_megabytes_is_one_bad_row_and_not_printed(tmp_path: Path) -> None:
    row = json.dumps(GOOD | {"id": "x" * 3_000_000})
    problem = problem_before_a_good_line(with_good(tmp_path / "m.jsonl", row))
    assert len(problem) < 200
    assert "column id" in problem
    assert "3,000,000" in problem


@pytest.mark.parametrize("length", [5_000_000, 50_000_000])
def test_a_line_without_end_is_one_bad_row(tmp_path: Path, length: int) -> None:
    problem = problem_before_a_good_line(with_good(tmp_path / "m.jsonl", "x" * length))
    assert len(problem) < 200
    assert "characters" in problem


def test_a_line_of_csv_without_end_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    good = ",".join(GOOD.values())
    path.write_text(f"{','.join(GOOD)}\nbad,{'x' * 5_000_000},a.wav,a.mp4\n{good}\n")
    problem = problem_before_a_good_line(path)
    assert len(problem) < 200
    assert "characters" in problem


def test_a_quoted_cell_without_end_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    good = ",".join(GOOD.values())
    path.write_text(f'{",".join(GOOD)}\n"bad,a.png,a.wav,a.mp4\n{good}\n' + "x\n" * 3)
    assert [line.cells.get("id") for line in lines_of(path)][:2] == [None, "good"]


def test_many_values_in_a_cell_are_one_bad_row(tmp_path: Path) -> None:
    row = json.dumps(GOOD | {"id": "wide", "more": list(range(20_000))})
    problem = problem_before_a_good_line(with_good(tmp_path / "m.jsonl", row))
    assert len(problem) < 200
    assert "column more" in problem


def test_many_columns_are_one_bad_row(tmp_path: Path) -> None:
    row = json.dumps(GOOD | {f"column {n}": 1 for n in range(20_000)})
    problem = problem_before_a_good_line(with_good(tmp_path / "m.jsonl", row))
    assert len(problem) < 200
    assert "cells" in problem


def test_many_columns_of_csv_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(",".join([*GOOD, *(f"c{n}" for n in range(100_000))]) + "\n")
    start_s = time.monotonic()
    with pytest.raises(ManifestError, match="columns"):
        lines_of(path)
    assert time.monotonic() - start_s < 5


def test_a_large_cell_of_a_small_parquet_file_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    rows = [GOOD | {"id": "bomb", "more": "x" * 100_000_000}, GOOD | {"more": "y"}]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    assert path.stat().st_size < 50_000
    problem = problem_before_a_good_line(path)
    assert len(problem) < 200
    assert "column more" in problem
    assert "100,000,000" in problem


@pytest.mark.slow
def test_a_cell_of_half_a_gigabyte_stays_below_two(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    cell = "x" * 500_000_000
    table = {name: [value] * 1000 for name, value in GOOD.items()} | {"more": [cell] * 1000}
    more = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array([cell]))
    pq.write_table(pa.table(table | {"more": more}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    said = peak_mb(
        "from flows.rows.manifest import open_manifest\n"
        f"with open_manifest({str(path)!r}) as m:\n"
        "    assert all('500,000,000' in line.problem for line in m.lines())\n"
    )
    assert said < 2048


def test_a_parquet_file_with_a_list_of_millions_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    values = pa.repeat(7, 40_000_000)
    lists = pa.LargeListArray.from_arrays(pa.array([0, 40_000_000], pa.int64()), values)
    table = pa.table({name: [value] for name, value in GOOD.items()} | {"face_box": lists})
    pq.write_table(table, path)
    (line,) = lines_of(path)
    assert "face_box" in (line.problem or "")


def test_a_packed_manifest_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "MAX_BYTES", 10_000_000)
    path = tmp_path / "m.csv.gz"
    path.write_bytes(gzip.compress(bytes(50_000_000)))
    with pytest.raises(ManifestError, match="unpacks to"):
        lines_of(path)


def excel(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(GOOD))
    sheet.append(list(GOOD.values()))
    book.save(path)
    return path


def changed(path: Path, name: str, old: bytes, new: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    assert old in parts[name]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content.replace(old, new) if entry == name else content)


def test_an_excel_file_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = excel(tmp_path / "m.xlsx")
    changed(path, "docProps/app.xml", b"</Properties>", b"</Properties>" + b" " * 50_000_000)
    assert [line.cells["id"] for line in lines_of(path)] == ["good"]
    monkeypatch.setattr("flows.rows.tables.MAX_UNPACKED_BYTES", 10_000_000)
    with pytest.raises(ManifestError, match="unpacks to"):
        lines_of(path)


@pytest.mark.parametrize("number", [1_048_577, 999_999_999])  # the second would take hours
def test_the_number_of_a_row_in_an_excel_file_costs_nothing(tmp_path: Path, number: int) -> None:
    path = excel(tmp_path / "m.xlsx")
    changed(path, "xl/worksheets/sheet1.xml", b'r="2"', f'r="{number}"'.encode())
    start_s = time.monotonic()
    with pytest.raises(ManifestError, match="damaged"):
        lines_of(path)
    assert time.monotonic() - start_s < 10


def test_the_name_of_a_column_in_an_excel_file_costs_nothing(tmp_path: Path) -> None:
    path = excel(tmp_path / "m.xlsx")
    changed(path, "xl/worksheets/sheet1.xml", b'"A2"', b'"XFD2"')
    start_s = time.monotonic()
    with suppress(ManifestError):
        lines_of(path)
    assert time.monotonic() - start_s < 10


def test_entities_of_xml_do_not_multiply(tmp_path: Path) -> None:
    path = excel(tmp_path / "m.xlsx")
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 100}">' for n in range(1, 9))
    bomb = f'<!DOCTYPE w [<!ENTITY a0 "x">{entities}]>'.encode()
    changed(path, "xl/worksheets/sheet1.xml", b"<worksheet", bomb + b"<worksheet")
    changed(path, "xl/worksheets/sheet1.xml", b"good", b"&a8;")
    with pytest.raises(ManifestError, match="damaged"):
        lines_of(path)
