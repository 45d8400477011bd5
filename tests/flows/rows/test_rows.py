"""Cells become typed values, or one sentence each with the column and a remedy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.rows.manifest import Line
from flows.rows.rows import BadRow, Row, output_url, parse_row, passed_through, suspected_typos

CELLS: dict[str, object] = {
    "id": "ada",
    "portrait": "ada.png",
    "audio": "speech/ada.wav",
    "output": "../out/ada.mp4",
}


def parsed(**cells: object) -> Row:
    row = parse_row(Line(1, CELLS | cells), "/data/in", None)
    assert isinstance(row, Row)
    assert not row.errors
    return row


def problem(**cells: object) -> tuple[str | None, str]:
    (error,) = parse_row(Line(1, CELLS | cells), "/data/in", None).errors
    assert error.remedy
    return error.field, str(error)


def test_relative_paths_count_from_the_manifest() -> None:
    row = parsed()
    assert row.portrait == "/data/in/ada.png"
    assert row.audio == "/data/in/speech/ada.wav"
    assert row.output == "/data/out/ada.mp4"


def test_urls_and_absolute_paths_stay() -> None:
    row = parsed(audio="s3://bucket/a.wav", portrait="/p.png", output="file:///o%20k.mp4")
    assert (row.audio, row.portrait, row.output) == ("s3://bucket/a.wav", "/p.png", "/o k.mp4")


def test_urls_count_from_a_remote_manifest_too() -> None:
    row = parse_row(Line(1, CELLS), "s3://bucket/in", None)
    assert isinstance(row, Row)
    assert row.output == "s3://bucket/out/ada.mp4"


def test_relative_outputs_stay_inside_the_folder_that_was_asked_for() -> None:
    assert output_url("../out/a.mp4", "/in", "/x") == "/x/out/a.mp4"
    assert output_url("a.mp4", "/in", "/x") == "/x/a.mp4"
    assert output_url("/y/a.mp4", "/in", "/x") == "/y/a.mp4"
    assert output_url("a/../../../b.mp4", "/in", "/x") == "/x/b.mp4"
    assert output_url("..//b.mp4", "/in", "/x") == "/x/b.mp4"
    assert output_url("..//../b.mp4", "/in", "s3://b/x") == "s3://b/x/b.mp4"
    assert output_url("s3://b/a.mp4", "/in", "/x") == "s3://b/a.mp4"


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b", "..."]), max_size=8))
def test_no_relative_output_leaves_the_folder(parts: list[str]) -> None:
    output = "/".join(("a", *parts, "x.mp4"))
    for folder in ("/data/out", "s3://bucket/out"):
        assert output_url(output, "/in", folder).startswith(f"{folder}/")


def test_cells_may_be_typed_or_text() -> None:
    typed = parsed(seed=7.0, face_box=[1, 2, 3, 4], end=62.5, head_motion=1, resolution=256)
    text = parsed(seed="7", face_box="1 2 3,4", end="1:02.5", head_motion="1.0", resolution="256")
    assert typed == text
    assert (typed.seed, typed.face_box, typed.end) == (7, (1, 2, 3, 4), 62.5)


def test_a_rate_is_kept_as_a_fraction() -> None:
    assert [parsed(fps=fps).fps for fps in (30, "30.0", 29.97)] == ["30", "30", "30000/1001"]


def test_an_empty_cell_leaves_the_choice_to_the_preset() -> None:
    row = parsed(seed=None, framing=" ", head_motion=math.nan)
    assert (row.seed, row.framing, row.head_motion) == (None, None, None)


def test_other_columns_pass_through() -> None:
    cells = CELLS | {"room": "B 1", "consent": "form 12", "subtitles": None, "seed": 5}
    assert passed_through(Line(1, cells)) == {"room": "B 1", "consent": "form 12"}


@pytest.mark.parametrize("ending", ["mp4", "MOV", "mkv", "webm", "gif", "webp"])
def test_the_ending_of_the_output_is_its_format(ending: str) -> None:
    assert parsed(output=f"a.{ending}").errors == ()


def test_subtitles_count_from_the_manifest_too() -> None:
    assert parsed(subtitles="a.srt", language="pt-BR").subtitles == "/data/in/a.srt"


def test_a_number_may_be_an_id() -> None:
    assert parsed(id=7).id == "7"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", 1.5),
        ("portrait", 7),
        ("audio", ["a.wav"]),
        ("output", "ada.avi"),
        ("seed", "seven"),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", True),
        ("fps", 12),
        ("fps", "25 per second"),
        ("fps", "1/0"),
        ("fps", math.inf),
        ("scale_to", 101),
        ("scale_to", 62),
        ("scale_to", 4098),
        ("resolution", 100),
        ("resolution", 8192),
        ("framing", "wide"),
        ("face", 0),
        ("face", "left"),
        ("face_box", [1, 2, 3]),
        ("face_box", [1, 2, 0, 4]),
        ("face_box", "a b c d"),
        ("head_motion", math.inf),
        ("expression", -0.5),
        ("audio_guidance", "much"),
        ("start", -1),
        ("start", "soon"),
        ("start", "nan"),
        ("end", "inf"),
        ("end", "1e999"),
        ("end", math.inf),
        ("end", f"{'9' * 400}:00:00"),
        ("end", 10**400),
        ("seed", 10**400),
        ("language", 5),
        ("language", "english"),
        ("output", "ada"),
    ],
)
def test_a_wrong_value_is_named_with_its_column(column: str, value: object) -> None:
    field, sentence = problem(**{column: value})
    assert field == column
    assert str(value)[:50] in sentence


@pytest.mark.parametrize("column", ["id", "portrait", "audio"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_required_cell_may_not_be_empty(column: str, value: object) -> None:
    assert problem(**{column: value}) == (column, "the cell is empty")


def test_the_end_is_after_the_start() -> None:
    assert problem(start=2, end=2) == ("end", "2 s is not after 2 s")


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    row = parse_row(Line(3, CELLS | {"seed": "x", "framing": "y", "audio": None}), "/in", None)
    assert {error.field for error in row.errors} == {"seed", "framing", "audio"}
    assert row.id == "ada"


def test_a_line_without_cells_is_a_bad_row() -> None:
    row = parse_row(Line(3, {}, "is no JSON"), "/in", None)
    assert isinstance(row, BadRow)
    assert (row.name, str(row.errors[0])) == ("row number 3", "the line is no JSON")


def test_columns_that_are_nearly_ours_are_found() -> None:
    names = ["id", "framng", "Seed", "resolution", "course", "text", "room"]
    assert list(suspected_typos(names)) == [("framng", "framing"), ("Seed", "seed")]


def row_with(**cells: object) -> Row | BadRow:
    base = {"id": "talk/1", "portrait": "p.png", "audio": "a.wav", "language": "de", "Room": "B 1"}
    return parse_row(Line(1, base | cells), "/m", None)


@pytest.mark.parametrize(
    ("output", "url"),
    [
        (None, "/m/talk_1.mp4"),
        ("", "/m/talk_1.mp4"),
        ("out/{id}-{language}.webm", "/m/out/talk_1-de.webm"),
        ("{Room}/{{id}}{z}.mp4", "/m/B 1/{id}{z}.mp4"),
    ],
)
def test_an_output_is_called_after_the_cells_of_its_row(output: object, url: str) -> None:
    row = row_with(output=output)
    assert isinstance(row, Row)
    assert row.output == url


@pytest.mark.parametrize(
    ("output", "said", "remedy"),
    [
        ("{langage}.mp4", "{langage} is the name of no column", "Did you mean {language}?"),
        ("{fps}.mp4", "{fps} stands for a cell that is empty", "Fill the cell fps"),
    ],
)
def test_a_placeholder_without_a_value_is_an_error(output: str, said: str, remedy: str) -> None:
    row = row_with(output=output)
    assert isinstance(row, BadRow)
    (error,) = row.errors
    assert said in error.message
    assert remedy in error.remedy
    assert error.field == "output"
