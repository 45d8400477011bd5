"""Tables as Excel, pandas and Spark write them: every row that a person can read is read."""

import bz2
import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.rows.manifest import Line, open_manifest
from flows.rows.rows import Row, parse_row
from sonic_ops.core.errors import ManifestError

NAMES = ("id", "portrait", "audio", "output")
ADA = ("ada", "ada.png", "ada.wav", "ada.mp4")
BEN = ("ben", "ben.png", "ben.wav", "ben.mp4")


def read(path: Path | str) -> list[Line]:
    with open_manifest(str(path)) as manifest:
        return list(manifest.lines())


def notes(path: Path) -> tuple[str, ...]:
    with open_manifest(str(path)) as manifest:
        return manifest.notes


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def csv(*rows: Sequence[str], separator: str = ",", end: str = "\n") -> str:
    return "".join(separator.join(row) + end for row in rows)


def cells_of(*rows: Sequence[str]) -> list[dict[str, str]]:
    return [dict(zip(NAMES, row, strict=True)) for row in rows]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("semicolon.csv", csv(NAMES, ADA, BEN, separator=";", end="\r\n")),
        ("tab.csv", csv(NAMES, ADA, BEN, separator="\t")),
        ("tab.tsv", csv(NAMES, ADA, BEN, separator="\t")),
        ("pipe.csv", csv(NAMES, ADA, BEN, separator="|")),
        ("bar.txt", csv(NAMES, ADA, BEN, separator="\t").encode("utf-16")),
        ("mark.csv", "\ufeff" + csv(NAMES, ADA, BEN)),
        ("utf16be.csv", b"\xfe\xff" + csv(NAMES, ADA, BEN).encode("utf-16-be")),
        ("utf16.csv", csv(NAMES, ADA, BEN).encode("utf-16-le")),
        ("old_mac.csv", csv(NAMES, ADA, BEN, end="\r")),
        ("sep.csv", "sep=,\n" + csv(NAMES, ADA, BEN)),
        ("sep_semicolon.csv", "sep=;\r\n" + csv(NAMES, ADA, BEN, separator=";")),
        ("quoted_sep.csv", '"sep=;"\r\n' + csv(NAMES, ADA, BEN, separator=";")),
        ("empty_rows.csv", "\n" + csv(NAMES, ADA) + ",,,\n\n , ,,\n" + csv(BEN)),
        ("empty_columns.csv", csv((*NAMES, "", ""), (*ADA, "", ""), (*BEN, "", "", "", ""))),
        ("more_cells.csv", csv(NAMES, (*ADA, "", " "), BEN)),
        ("capitals.csv", csv((" ID", "Portrait ", "AUDIO", "Output"), ADA, BEN)),
        ("title.csv", csv(("Lectures of autumn",), (), NAMES, ADA, BEN)),
        ("packed.csv.gz", gzip.compress(csv(NAMES, ADA, BEN).encode(), mtime=0)),
        ("packed.tsv.bz2", bz2.compress(csv(NAMES, ADA, BEN, separator="\t").encode())),
        ("no_ending", csv(NAMES, ADA, BEN)),
    ],
)
def test_what_a_spreadsheet_saves_as_text_is_read(
    tmp_path: Path, name: str, content: str | bytes
) -> None:
    lines = read(written(tmp_path / name, content))
    assert [line.problem for line in lines] == [None, None]
    assert [dict(line.cells) for line in lines] == cells_of(ADA, BEN)


def test_text_that_is_not_utf8_is_read_with_a_note(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", csv(NAMES, ("René", *ADA[1:])).encode("cp1252"))
    (line,) = read(path)
    assert line.cells["id"] == "René"
    (note,) = notes(path)
    assert "m.csv is not in UTF-8: read as Windows-1252" in note
    assert notes(written(tmp_path / "n.csv", csv(NAMES, ("René", *ADA[1:])))) == ()


def test_a_damaged_letter_in_utf8_is_one_bad_row(tmp_path: Path) -> None:
    content = csv(NAMES, ("Zoë", *ADA[1:])).encode() + b"b\xff,p,a,o.mp4\n"
    content += csv(("Ürün", *BEN[1:])).encode()
    zoe, damaged, urun = read(written(tmp_path / "m.csv", content))
    assert (zoe.cells["id"], urun.cells["id"]) == ("Zoë", "Ürün")
    assert damaged.problem == "has bytes that are not UTF-8"
    assert damaged.place == "m.csv line 3"


@pytest.mark.parametrize(
    "broken",
    [
        'b"c,"p.png,a.wav,o.mp4',
        'x,"p.png"png,a.wav,o.mp4',
        'x,"never closed,a.wav,o.mp4',
    ],
)
@pytest.mark.parametrize("num_after", [1, 3000])
def test_one_broken_line_is_one_bad_row(tmp_path: Path, broken: str, num_after: int) -> None:
    after = [(f"b{n}", *BEN[1:]) for n in range(num_after)]
    path = written(tmp_path / "m.csv", csv(NAMES, ADA) + broken + "\n" + csv(*after))
    ada, bad, *good = read(path)
    assert bad.problem is not None
    assert bad.place == "m.csv line 3"
    assert [line.cells["id"] for line in (ada, *good)] == ["ada", *(row[0] for row in after)]
    assert good[-1].place == f"m.csv line {num_after + 3}"


def test_cells_are_of_any_length_and_number_of_lines(tmp_path: Path) -> None:
    long = "words " * 100_000
    lines = "one\ntwo, with a comma\n" * 100
    content = csv((*NAMES, "text"), (*ADA, long)) + csv((*BEN, f'"{lines}"'), ADA)
    ada, ben, last = read(written(tmp_path / "m.csv", content))
    assert (ada.cells["text"], ben.cells["text"]) == (long, lines)
    assert (ben.place, last.place) == ("m.csv line 3", "m.csv line 204")


def test_two_columns_of_one_name_are_said_with_their_line(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", csv((*NAMES, "audio"), (*ADA, "x.wav")))
    with pytest.raises(ManifestError, match="the column audio twice in line 1"):
        read(path)
    path = written(tmp_path / "m.csv", csv((*NAMES, "note", "note"), (*ADA, "a", "b")))
    (line,) = read(path)
    assert (line.cells["note"], line.cells["note (6)"]) == ("a", "b")


def test_a_missing_column_is_said_with_those_that_are_there(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", "id;portrait;sound;output\n1;a.png;a.wav;a.mp4\n")
    with pytest.raises(ManifestError, match="no column audio; its columns are 'id', 'portrait',"):
        read(path)


def excel(path: Path, *rows: Sequence[object], sheet: str = "Sheet1") -> Path:
    book = openpyxl.Workbook()
    book.active.title = sheet
    for row in rows:
        book.active.append(list(row))
    book.save(path)
    return path


def test_an_excel_file_is_read_with_its_types(tmp_path: Path) -> None:
    names = (*NAMES, "Start", "Seed", "made")
    made = datetime(2026, 11, 2)
    rows = (
        (7, *ADA[1:], time(0, 1, 2), 3, made),
        (),
        (8.0, *BEN[1:], timedelta(seconds=5), "4", None),
    )
    path = excel(tmp_path / "m.xlsx", ("Autumn",), names, *rows)
    lines = read(path)
    assert [line.place for line in lines] == ["m.xlsx row 3", "m.xlsx row 5"]
    assert lines[0].cells["made"] == made
    first, second = (parse_row(line, "/in", None) for line in lines)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.id, first.start, first.seed) == ("7", 62.0, 3)
    assert (second.id, second.start, second.seed) == ("8", 5.0, 4)


def test_the_sheet_with_the_columns_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["How to fill this in"])
    sheet = book.create_sheet("rows")
    for row in (NAMES, ADA):
        sheet.append(row)
    book.save(tmp_path / "m.xlsx")
    assert [dict(line.cells) for line in read(tmp_path / "m.xlsx")] == cells_of(ADA)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("m.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "an old Excel file"),
        ("m.xlsx", b"PK\x03\x04" + bytes(600), "damaged, or not an Excel file"),
        ("m.csv", b"<!DOCTYPE html><html>Please log in</html>", "a web page"),
        (
            "m.csv.gz",
            gzip.compress(b"id,portrait" * 999, mtime=0)[:20],
            "its compression is damaged",
        ),
        ("m.parquet", b"PAR1" + bytes(99), "damaged, or not Parquet"),
        ("m.parquet", b"id,portrait", "damaged, or not Parquet"),
        ("m.doc", b"text", "the ending '.doc'"),
    ],
)
def test_what_is_not_a_table_is_said_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    with pytest.raises(ManifestError, match=reason) as caught:
        read(written(tmp_path / name, content))
    assert "Errno" not in str(caught.value)
    assert "\n" not in str(caught.value)


def parquet(path: Path, **columns: object) -> Path:
    base: dict[str, Any] = {name: [value] for name, value in zip(NAMES, ADA, strict=True)}
    pq.write_table(pa.table(base | columns), path)
    return path


FAR, NOW_NS = 1 << 40, 1_764_450_000_123_456_789
AT_NS = "2025-11-29 21:00:00.123456789"
STRUCT_NS = pa.struct([("at", pa.timestamp("ns"))])


@pytest.mark.parametrize(
    ("column", "value", "field", "expected"),
    [
        ("id", pa.array([1.0]), "id", "1"),
        ("id", pa.array([Decimal("12")], pa.decimal128(9, 2)), "id", "12"),
        ("id", pa.array(["a"]).dictionary_encode(), "id", "a"),
        ("id", pa.array(["a"], pa.large_string()), "id", "a"),
        ("id", pa.array([b"a"], pa.binary()), "id", "a"),
        ("id", pa.array([b"abc"], pa.binary(3)), "id", "abc"),
        ("id", pa.array([date(2026, 11, 2)]), "id", "2026-11-02"),
        ("id", pa.array([UUID(int=7).bytes], pa.uuid()), "id", str(UUID(int=7))),
        ("portrait", pa.array([b"ada.png"], pa.large_binary()), "portrait", "/in/ada.png"),
        ("seed", pa.array([Decimal("7.00")]), "seed", 7),
        ("seed", pa.array([7.0], pa.float32()), "seed", 7),
        ("expression", pa.array([Decimal("1.25")]), "expression", 1.25),
        ("start", pa.array([62_500_000_001], pa.time64("ns")), "start", 62.5),
        ("start", pa.array([62_500], pa.time32("ms")), "start", 62.5),
        ("start", pa.array([62_500_000_000], pa.duration("ns")), "start", 62.5),
        ("start", pa.array([62_500_000_001], pa.duration("ns")), "start", 62.5),
        ("end", pa.array([Decimal("2.5")]), "end", 2.5),
        ("consent", pa.array([date(2026, 11, 2)]), "consent", "2026-11-02"),
        (
            "face_box",
            pa.array([[1.0, 2.0, 3.0, 4.0]], pa.list_(pa.float32(), 4)),
            "face_box",
            (1, 2, 3, 4),
        ),
        (
            "face_box",
            pa.array([{"x": 1, "y": 2, "width": 3, "height": 4}]),
            "face_box",
            (1, 2, 3, 4),
        ),
    ],
)
def test_types_of_arrow_are_what_they_plainly_mean(
    tmp_path: Path, column: str, value: pa.Array, field: str, expected: object
) -> None:
    (line,) = read(parquet(tmp_path / "m.parquet", **{column: value}))
    row = parse_row(line, "/in", None)
    assert isinstance(row, Row)
    assert not row.errors
    assert getattr(row, field) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pa.array([NOW_NS], pa.timestamp("ns")), AT_NS),
        (pa.array([NOW_NS], pa.timestamp("ns", "UTC")), f"{AT_NS}Z"),
        (pa.array([1000 * FAR], pa.timestamp("ms")), str(1000 * FAR)),
        (pa.array([1 << 30], pa.date32()), str(1 << 30)),
        (pa.array([0], pa.timestamp("us", "Mars/Olympus")), "0"),
        (pa.array([0], pa.timestamp("us", "UTC")), datetime(1970, 1, 1, tzinfo=UTC)),
        (pa.array([NOW_NS], pa.timestamp("ns")).dictionary_encode(), AT_NS),
        (pa.array([{"at": NOW_NS}], STRUCT_NS), {"at": AT_NS}),
        (pa.array([[NOW_NS]], pa.list_(pa.timestamp("ns"))), [AT_NS]),
        (pa.array([b"\xff"]), b"\xff"),
    ],
)  # fmt: skip
def test_columns_that_only_pass_through_stop_nothing(
    tmp_path: Path, value: pa.Array, expected: object
) -> None:
    (line,) = read(parquet(tmp_path / "m.parquet", more=value))
    assert line.cells["more"] == expected


def test_a_folder_of_parquet_parts_is_one_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "m.parquet"
    (folder / "day=2").mkdir(parents=True)
    parquet(folder / "part-00000.snappy.parquet")
    parquet(folder / "day=2" / "part-00001.parquet", id=["ben"])
    written(folder / "_SUCCESS", "")
    written(folder / "_metadata.parquet", "no table")
    written(folder / ".part-00000.parquet.crc", "x")
    parquet(folder / "m.results.parquet", id=["old"])
    for url in (str(folder), f"{folder}/"):
        lines = read(url)
        assert [(line.number, line.cells["id"]) for line in lines] == [(1, "ben"), (2, "ada")]
        assert [line.place for line in lines] == [
            "part-00001.parquet row 1",
            "part-00000.snappy.parquet row 1",
        ]


def test_a_folder_without_parts_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="a folder without Parquet files"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [("12,5", 12.5), ("0:01:02,5", 62.5), ("0,125", 0.125), ("1,5000", 1.5), ("1e2", 100.0)],
)
def test_decimal_commas_are_numbers(written_as: str, expected: float) -> None:
    cells = dict(zip(NAMES, ADA, strict=True)) | {"start": written_as}
    row = parse_row(Line(1, cells), "/in", None)
    assert isinstance(row, Row)
    assert row.start == expected


def test_a_comma_that_may_separate_thousands_is_asked_about() -> None:
    cells = dict(zip(NAMES, ADA, strict=True)) | {"start": "1,500"}
    (error,) = parse_row(Line(1, cells), "/in", None).errors
    assert error.field == "start"


def test_a_manifest_whose_results_would_have_too_long_a_name_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / f"{'m' * 240}.csv", csv(NAMES, ADA))
    with pytest.raises(ManifestError, match="name of the manifest is longer"):
        read(path)


def test_comments_above_the_header_of_a_csv_are_skipped_and_lines_keep_their_number(
    tmp_path: Path,
) -> None:
    comments = [f'# say "{number}", or nothing' for number in range(40)]
    text = "\n".join([*comments, "#", "", "#,id,portrait,audio", "1,a,p.png,a.wav", '# b,"c', ""])
    (tmp_path / "m.csv").write_text(text)
    with open_manifest(str(tmp_path / "m.csv")) as manifest:
        first, second = manifest.lines()
    assert (first.cells["id"], first.cells["#"], first.place) == ("a", "1", "m.csv line 44")
    assert second.problem is not None  # below the header nothing is left out
