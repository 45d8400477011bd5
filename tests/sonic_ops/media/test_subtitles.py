"""Subtitles are read, cut and written without losing a word; a broken line is named."""

from pathlib import Path

import pytest

from sonic_ops.core.errors import MissingFileError, SubtitlesUnreadableError
from sonic_ops.media.subtitles import Cue, cut, in_text, read_subtitles, side_car

SRT = "1\n00:00:01,000 --> 00:00:02,500\nEs war\neinmal\n\n2\n01:00:03,5 --> 01:00:04,000\nEnde\n"
VTT = (
    "WEBVTT - a title\n\nNOTE nothing\n\nSTYLE\n::cue {}\n\n"
    "intro\n00:01.000 --> 00:02.500 align:start\nEs war\neinmal\n\n"
    "01:00:03.500 --> 01:00:04.000\nEnde\n"
)
CUES = (Cue(1000, 2500, "Es war\neinmal"), Cue(3_603_500, 3_604_000, "Ende"))


def written(folder: Path, text: str | bytes, name: str = "a.srt") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.mark.parametrize(
    "content",
    [
        SRT,
        VTT,
        SRT.replace("\n", "\r\n"),
        "\ufeff" + SRT,
        SRT.encode("utf-16"),
        "\n\n" + SRT + "\n\n\n",
        SRT.replace("1\n00:00:01", "00:00:01"),
    ],
)
def test_all_common_forms_are_read(tmp_path: Path, content: str | bytes) -> None:
    assert read_subtitles(written(tmp_path, content)).cues == CUES


@pytest.mark.parametrize("ending", [".srt", ".vtt"])
def test_what_is_written_is_read_again(tmp_path: Path, ending: str) -> None:
    text = in_text(CUES, ending)
    assert read_subtitles(written(tmp_path, text, f"b{ending}")).cues == CUES


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no subtitle"),
        ("WEBVTT\n", "no subtitle"),
        ("Once upon a time\n", "no subtitle"),
        (b"\xff\x01\x02\xe4", "no subtitle"),
        (b"\x00" * (17 << 20), "larger than 16 MB"),
    ],
)
def test_what_is_broken_is_one_sentence(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(SubtitlesUnreadableError, match=reason) as caught:
        read_subtitles(written(tmp_path, content))
    assert caught.value.field == "subtitles"
    assert "\n" not in caught.value.message


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_subtitles(str(tmp_path / "none.srt"))


def test_a_range_keeps_what_is_shown_in_it_and_counts_from_its_start() -> None:
    cues = (Cue(0, 900, "a"), Cue(900, 1100, "b"), Cue(1500, 1700, "c"), Cue(1900, 2600, "d"))
    assert cut(cues, 1.0, 2.0) == (Cue(0, 100, "b"), Cue(500, 700, "c"), Cue(900, 1000, "d"))


@pytest.mark.parametrize(
    ("source", "language", "expected"),
    [
        ("s3://b/x.vtt", None, "out/ada.vtt"),
        ("x.srt", "en", "out/ada.en.srt"),
        ("x.txt", None, "out/ada.srt"),
    ],
)
def test_the_side_car_lies_beside_the_video(
    source: str, language: str | None, expected: str
) -> None:
    assert side_car("out/ada.mp4", source, language) == expected
