"""Who speaks when: tables as people and programs write them, and a sentence for every mistake."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.rows.speakers import read_speakers
from sonic_ops.core.errors import FieldError, SonicError
from sonic_ops.film.choice import Choice

ROWS = [
    {"start": 0, "end": 1.5, "speaker": "anna", "face": 1},
    {"start": 1.5, "end": 3, "speaker": "ben", "face": 2},
    {"start": 3, "end": 4, "speaker": "anna"},
]
CSV = "start,end,speaker,face\n0,1.5,anna,1\n1.5,3,ben,2\n3,4,anna,\n"
SRT = """1
00:00:00,000 --> 00:00:01,500
anna (face 1): Good morning.

2
00:00:01,500 --> 00:00:03,000
[ben (2)]: It is late: {2}

3
00:00:03,000 --> 00:00:04,000
anna: So it is.
"""
VTT = "WEBVTT\n\n" + SRT.replace(",", ".").replace("anna:", "<v anna>")
GOOD = {
    "a.csv": CSV,
    "semicolons.csv": CSV.replace(",", ";"),
    "clock.tsv": "Start\tEnd\tSpeaker\tFace\n0:00\t0:01.5\tanna\t1\n1.5\t3\tben\t2\n3\t4\tanna\n",
    "a.json": json.dumps(ROWS),
    "lines.jsonl": "\n".join(map(json.dumps, ROWS)),
    "a.srt": SRT,
    "a.vtt": VTT,
}


@pytest.mark.parametrize("name", [*GOOD, "a.parquet"])
def test_every_form_says_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name in GOOD:
        path.write_text(GOOD[name])
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    anna, ben = read_speakers(str(path))
    assert (anna.name, ben.name) == ("anna", "ben")
    first, second = anna.choices
    assert first == Choice(None, 1, 0, 1.5, must_fit=True)
    assert second == Choice(None, 1, 3, 4, must_fit=True)  # what the first row says holds
    assert ben.choices == (Choice(None, 2, 1.5, 3, must_fit=True),)


def test_positions_and_voices(tmp_path: Path) -> None:
    rows = 'start,end,speaker,position,voice\n0,1,anna,"10, 20",a.wav\n1,2,ben,100 40 20 60,\n'
    (tmp_path / "a.csv").write_text(rows)
    anna, ben = read_speakers(str(tmp_path / "a.csv"))
    assert (anna.choices[0].position, anna.voice) == ((10, 20), str(tmp_path / "a.wav"))
    assert (ben.choices[0].position, ben.voice) == ((110, 70), None)


def test_one_person_needs_no_face(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("start,end\n0,1\n2,3\n")
    (who,) = read_speakers(str(tmp_path / "a.csv"))
    assert [choice.must_fit for choice in who.choices] == [False, False]


BAD = {
    "unknown.csv": (
        CSV + "5,6,Bem,\n",
        "unknown.csv line 5: nothing says which face 'Bem' is",
        "Did you mean 'ben'? ",
    ),
    "unknown.srt": (
        SRT + "\n4\n00:00:05,000 --> 00:00:06,000\nclara: Me too.\n",
        "unknown.srt line 14: nothing says which face 'clara' is",
        "Write the number of the face",
    ),
    "no-name.srt": ("1\n00:00:01,000 --> 00:00:02,000\nHello\n", "line 2: the text does not begin"
        " with a name", "Write a row"),
    "backwards.csv": ("start,end\n3,1\n", "line 2: 1 s is not after 3 s", "Write a row"),
    "empty-end.csv": ("start,end\n3,\n", "line 2: end is empty", "Write a row"),
    "face.csv": ("start,end,face\n0,1,left\n", "line 2: face is 'left', and not a number", ""),
    "position.json": ('[{"start": 0, "end": 1, "position": [1]}]', "row 1: position is [1]", ""),
    "header.csv": ("from,to\n0,1\n", "no columns start and end, but from, to", ""),
    "nothing.csv": ("start,end\n", "has no row that says who speaks when", ""),
    "broken.json": ("[{]", "is not JSON", ""),
    "number.json": ("[1]", "is no list of objects", ""),
    "broken.parquet": ("PAR1 and no more", "is damaged, or not Parquet", ""),
    "crowd.csv": (
        "start,end,face\n" + "".join(f"{n},{n + 1},{n + 1}\n" for n in range(17)),
        "has 17 speakers, and 16 are the most",
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_mistakes_get_a_sentence(name: str, tmp_path: Path) -> None:
    text, said, remedy = BAD[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(FieldError) as caught:
        read_speakers(str(tmp_path / name))
    assert said in caught.value.message
    assert caught.value.field == "speakers"
    assert remedy in caught.value.remedy


def test_a_small_table_that_unpacks_to_much_is_refused(tmp_path: Path) -> None:
    zeros = pa.array([0.0] * 3_000_000)
    table = pa.table({"start": zeros, "end": zeros, "speaker": [str(n) for n in range(len(zeros))]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 16 << 20
    with pytest.raises(FieldError, match="unpacks to more than 16 MB"):
        read_speakers(str(tmp_path / "a.parquet"))
    (tmp_path / "a.csv").write_text("start,end\n" + "0,1\n" * 50_001)
    with pytest.raises(FieldError, match="more than 50,000 rows"):
        read_speakers(str(tmp_path / "a.csv"))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SonicError, match=r"none\.csv"):
        read_speakers(str(tmp_path / "none.csv"))
