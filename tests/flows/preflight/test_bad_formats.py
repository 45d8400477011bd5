"""Formats, sizes and subtitles that cannot be: one sentence with the column and a remedy."""

from pathlib import Path

import pytest
from PIL import Image

from flows.rows.config import RenderConfig
from flows.state.results import rejected
from tests.flows.conftest import Cells, WriteManifest, sorted_rows


@pytest.fixture
def said(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> "Said":
    return Said(config, good, write_manifest)


class Said:
    """What is said of a row that differs from a good one; empty if it can be rendered."""

    def __init__(self, config: RenderConfig, good: Cells, write: WriteManifest) -> None:
        self._config, self._good, self._write = config, good, write

    def __call__(self, **cells: object) -> str:
        rows = sorted_rows(self._write(self._good | cells), self._config)
        if not rows.bad:
            return ""
        (row,) = rows.bad
        (error,) = row.errors
        result = rejected(row)
        assert result.error is not None
        assert result.error.count(". ") == 0, "one sentence"
        assert result.remedy == error.remedy
        return f"row {result.id}: {result.error}; {result.remedy}"


@pytest.mark.parametrize(
    "output", ["out/a.avi", "out/a", "out/a.mp4.part", "out/a.MP5", "out/.mp4"]
)
def test_an_unknown_ending(said: Said, output: str) -> None:
    sentence = said(output=output)
    assert sentence.startswith("row good: column output: ")
    assert "is no video that can be written" in sentence
    assert ".webm" in sentence


BROKEN = {
    "half a time": "1\n00:00:01,000 -->\nhello\n",
    "backwards": "1\n00:00:02,000 --> 00:00:01,000\nhello\n",
    "words for a time": "1\n00:00:01,000 --> soon\nhello\n",
    "damaged later": "1\n00:00:00,100 --> 00:00:00,900\nhello\n\n2\n00:00:99,x --> 1\nyou\n",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_subtitles_are_noted_with_their_line(
    good: Cells, write_manifest: WriteManifest, config: RenderConfig, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "a.srt").write_text(BROKEN[kind])
    cells = good | {"subtitles": str(tmp_path / "a.srt")}
    (row,) = sorted_rows(write_manifest(cells), config).planned
    (note,) = (note for note in row.notes if "subtitles: " in note)
    assert "line " in note
    assert "is not shown: " in note


@pytest.mark.parametrize("content", ["1\nhello\n", "\n\n"])
def test_a_file_without_subtitles(said: Said, tmp_path: Path, content: str) -> None:
    (tmp_path / "a.srt").write_text(content)
    sentence = said(subtitles=str(tmp_path / "a.srt"))
    assert sentence.startswith("row good: column subtitles: ")
    assert "SRT, WebVTT or ASS" in sentence


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\x00" * 999, bytes(range(256))])
def test_subtitles_that_are_no_text(said: Said, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.srt").write_bytes(content)
    assert said(subtitles=str(tmp_path / "a.srt")).startswith("row good: column subtitles: ")


@pytest.mark.parametrize(
    ("size", "cells", "column"),
    [
        ((1, 1), {"framing": "full"}, "portrait"),
        ((100, 5000), {"framing": "full"}, "portrait"),
        ((20_000, 10), {"framing": "full"}, "portrait"),
        ((20_000, 10), {"framing": "paste", "face_box": "9000 0 10 10"}, "portrait"),
        ((900, 120), {"framing": "full", "resolution": 128, "scale_to": 720}, "scale_to"),
        ((900, 120), {"framing": "paste", "face_box": "9 9 90 90", "scale_to": 720}, "scale_to"),
    ],
)
def test_absurd_sizes(
    said: Said, tmp_path: Path, size: tuple[int, int], cells: Cells, column: str
) -> None:
    Image.new("RGB", size, (90, 120, 150)).save(tmp_path / "a.png")
    sentence = said(portrait=str(tmp_path / "a.png"), **cells)
    assert sentence.startswith(f"row good: column {column}: ")
    assert " pixels" in sentence


@pytest.mark.parametrize(
    "cells",
    [
        {"framing": "full", "resolution": 128, "scale_to": 512},
        {"framing": "paste", "face_box": "9 9 90 90", "scale_to": 512},
        {"framing": "face", "face_box": "9 9 90 90", "scale_to": 2160},
    ],
)
def test_long_images_that_can_be(said: Said, tmp_path: Path, cells: Cells) -> None:
    Image.new("RGB", (900, 120), (90, 120, 150)).save(tmp_path / "a.png")
    assert said(portrait=str(tmp_path / "a.png"), **cells) == ""
