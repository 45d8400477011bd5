"""Captions as players read them: what can be shown is shown, and what cannot is named."""

import html
from pathlib import Path

import av
import pytest

from sonic_ops.core.errors import SubtitlesUnreadableError
from sonic_ops.media.subtitles import Cue, Subtitles, in_text, plain, read_subtitles, together

ONE = "1\n00:00:01,000 --> 00:00:02,000\n"
TWO = "2\n00:00:03,000 --> 00:00:04,000\n"


def read(
    folder: Path, content: str | bytes, name: str = "a.srt", language: str | None = None
) -> Subtitles:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_subtitles(str(path), language)


def shown(found: Subtitles) -> list[str]:
    return [plain(cue.text) for cue in found.cues]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (f"{ONE}one\n\ntwo, after a blank\n\n{TWO}last\n", ["one\ntwo, after a blank", "last"]),
        (f"{ONE}first\n{TWO}no blank before\n", ["first", "no blank before"]),
        (f"{ONE}The answer:\n42\n\n{TWO}2024\n", ["The answer:\n42", "2024"]),
        ("1\n00:00:01 --> 00:00:02\nno milliseconds\n", ["no milliseconds"]),
        ("1\n0:00:01.5 -> 0:00:02.5\na short arrow\n", ["a short arrow"]),
        ("1\n00:00:01,5 –> 00:00:02\na dash\n", ["a dash"]),  # noqa: RUF001
        ("1\n00 : 00 : 01 , 000 --> 00:00:02:500\nspaces\n", ["spaces"]),
        ("1\n00:00:01,000 --> 00:00:02,000  X1:40 X2:600\nplace\n", ["place"]),
        (f"{ONE}a\u2028b\x85c\n", ["a\nb\nc"]),
        (f"{ONE}if 5 < 6 and 7 > 3 then\n", ["if 5 < 6 and 7 > 3 then"]),
        (f"{ONE}<3 <MUSIC> a <b and c> d\n", ["<3 <MUSIC> a <b and c> d"]),
        (f'{ONE}<i>it</i> <font color="red">red</font>{{\\an8}}<br>new\n', ["it red\nnew"]),
        (f"{ONE}{{laughs}} C:\\New\n", ["{laughs} C:\\New"]),
        (f"{ONE}Tom &amp; Jerry &#39;s AT&T &lt;3\n", ["Tom & Jerry 's AT&T <3"]),
        (f"{ONE}A --> B\n", ["A --> B"]),
        (f"{ONE}12:30\n", ["12:30"]),
        (ONE.replace("\n", "\r") + "old Mac\r", ["old Mac"]),
        (f"\ufeff\n\n{ONE}a mark\n", ["a mark"]),
    ],
)  # fmt: skip
def test_subrip_is_read_as_players_read_it(tmp_path: Path, content: str, texts: list[str]) -> None:
    found = read(tmp_path, content)
    assert shown(found) == texts
    assert found.notes == ()


@pytest.mark.parametrize(
    ("content", "texts", "note"),
    [
        ("1\n00:00:01,000 --> 00:00:01,000\nno time\n", [], "line 2 is not shown: it ends when"),
        ("1\n00:00:03,000 --> 00:00:02,000\nback\n", [], "line 2 is not shown: it ends before"),
        (f"{ONE}first\n\n2\n", ["first"], "line 5 is not shown: the file ends before its time"),
        (
            f"{ONE}a\n\n2\n00:00:03,000 --> 4\nb\n",
            ["a"],
            "line 6 is not shown: it does not begin with a time",
        ),
        (f"{ONE}a\n\n2\n00:00:0", ["a"], "line 6 is not shown: it does not begin with a time"),
        (f"A title\n\n{ONE}a\n", ["a"], "line 1 is not shown: no time stands before it"),
        (f"{ONE}{'x' * 70_000}\n\n{TWO}b\n", ["b"], "line 2 is not shown: its text is longer"),
        (
            f"{ONE}é\n".encode() + b"a\xffb\n",
            ["é\na\ufffdb"],
            "line 2 has letters that are damaged",
        ),
    ],
)
def test_what_cannot_be_shown_is_noted_with_its_line(
    tmp_path: Path, content: str | bytes, texts: list[str], note: str
) -> None:
    found = read(tmp_path, content)
    assert shown(found) == texts
    assert len(found.notes) == 1
    assert note in found.notes[0]


def test_many_that_cannot_be_shown_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, "\n".join(f"{n}\n00:00:01 --> 00:00:01\nx\n" for n in range(9)))
    assert len(found.notes) == 6
    assert found.notes[-1] == "subtitles: 4 more cannot be shown"


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.270 align:start position:0%
 
hello<00:00:00.480><c> this</c><00:00:00.640><c> is</c>

00:00:02.270 --> 00:00:02.280 align:start position:0%
hello this is
 

00:00:02.280 --> 00:00:04.990 align:start position:0%
hello this is
a<00:00:02.639><c> test</c>
"""


def test_the_rolling_captions_of_youtube_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, ROLLING, "a.vtt")
    assert shown(found) == ["hello this is", "hello this is", "hello this is\na test"]
    assert found.notes == ()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("WEBVTT\n\nNOTES-1\n00:00.000 --> 00:01.000\na name\n", ["a name"]),
        ("WEBVTT\n\nNOTE 1\n00:00.000 --> 00:01.000\na name\n", ["a name"]),
        ("WEBVTT\n\nNOTE\nnothing\n\n00:00.000 --> 00:01.000\na\n\nNOTE x\n\nb\n", ["a\nb"]),
        ("WEBVTT\n\nSTYLE\n::cue {\n}\n\n00:01.000 --> 00:02.000\nx\n", ["x"]),
        ("WEBVTT\n\n1\n00:01.000 --> 00:02.000\n<v Fred>Hi <c.yellow>you</c>\n", ["Hi you"]),
        ("WEBVTT\n00:01.000 --> 00:02.000\nno blank\n", ["no blank"]),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nx\n\nintro\n00:02.000 --> 00:03.000\ny\n", ["x", "y"]),
        ("00:01.000 --> 00:02.000\nNOTE no header\n", ["NOTE no header"]),
    ],
)
def test_webvtt_is_read_as_browsers_read_it(tmp_path: Path, content: str, texts: list[str]) -> None:
    found = read(tmp_path, content, "a.vtt")
    assert shown(found) == texts
    assert found.notes == ()


ASS = """[Script Info]

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,nothing
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}Hello{\\i0}\\Nyou, all
"""
SAMI = "<SAMI><BODY><SYNC Start=1000><P>Hello</P><SYNC Start=2000><P>&nbsp;</P></BODY></SAMI>"


def test_other_formats_are_read(tmp_path: Path) -> None:
    assert read(tmp_path, ASS, "a.ass").cues == (Cue(1000, 2000, "Hello\nyou, all"),)
    assert shown(read(tmp_path, SAMI, "a.smi"))[0] == "Hello"
    frames = "{1}{1}25\n{25}{50}Hello|you\n"
    assert read(tmp_path, frames, "a.sub").cues == (Cue(1000, 2000, "Hello\nyou"),)


@pytest.mark.parametrize(
    ("text", "encoding", "language", "named"),
    [
        ("déjà vu", "cp1252", None, "Windows-1252"),
        ("Привет, как дела", "cp1251", None, "Windows-1251"),
        ("Да", "cp1251", "ru", "Windows-1251"),
        ("Příliš žluťoučký", "cp1250", "cs-CZ", "Windows-1250"),
        ("こんにちは、今日は", "cp932", None, "Shift-JIS"),
        ("你好今天我们来讲", "gb18030", "zh-Hans", "GBK"),
        ("Καλημέρα", "cp1253", "el", "Windows-1253"),
        ("déjà vu", "utf-16", None, ""),
        ("déjà vu", "utf-16-le", None, ""),
        ("déjà vu", "utf-8-sig", None, ""),
    ],
)
def test_old_encodings_are_read_with_a_note(
    tmp_path: Path, text: str, encoding: str, language: str | None, named: str
) -> None:
    found = read(tmp_path, f"{ONE}{text}\n".encode(encoding), language=language)
    assert shown(found) == [text]
    assert [named in note for note in found.notes] == ([True] if named else [])


@pytest.mark.parametrize("content", ["", "WEBVTT\n", "Once upon a time", "<html>log in</html>"])
def test_a_file_without_subtitles_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(SubtitlesUnreadableError, match="it has no subtitle") as caught:
        read(tmp_path, content)
    assert caught.value.field == "subtitles"


def test_what_overlaps_is_shown_together() -> None:
    cues = (Cue(0, 4000, "A"), Cue(0, 4000, "B"), Cue(2000, 6000, "C"))
    assert list(together(cues)) == [
        Cue(0, 2000, "A\nB"),
        Cue(2000, 4000, "A\nB\nC"),
        Cue(4000, 6000, "C"),
    ]
    apart = (Cue(0, 900, "a"), Cue(900, 1100, "b"), Cue(1500, 1700, "c"))
    assert tuple(together(apart)) == apart


@pytest.mark.parametrize("ending", [".srt", ".vtt"])
def test_what_is_written_beside_the_video_keeps_all_text(tmp_path: Path, ending: str) -> None:
    content = f"{ONE}one\n\ntwo <i>&amp;</i>\n\n{TWO}42\n"
    found = read(tmp_path, content)
    again = read(tmp_path, in_text(found.cues, ending), f"b{ending}")
    assert again.cues == found.cues


TEXT = "5 < 6 & 7 > 3"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_track_has_the_text_that_is_meant(tmp_path: Path, name: str) -> None:
    from sonic_ops.core.formats import format_of
    from sonic_ops.media.subtitles import add_subtitles

    cues = (Cue(0, 1000, html.escape(TEXT)), Cue(500, 2000, "<i>two</i>"))
    form = format_of(name)
    with av.open(str(tmp_path / name), "w", format=form.muxer) as output:
        for packet in list(add_subtitles(output, form.subtitles, cues, None)):
            output.mux(packet)
    with av.open(str(tmp_path / name)) as source:
        stream = source.streams.subtitles[0]
        texts = [bytes(packet) for packet in source.demux(stream) if packet.size]
    if form.muxer == "webm":
        texts = [html.unescape(text.decode()).encode() for text in texts]
    joined = b"\n".join(texts).replace(b"\0", b"")
    for wanted in (TEXT.encode(), f"{TEXT}\ntwo".encode(), b"two"):
        assert wanted in joined
