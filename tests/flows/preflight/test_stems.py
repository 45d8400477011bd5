"""The columns `voice` and `background`: each mistake gets one sentence with its column."""

import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from flows.rows.config import RenderConfig
from sonic_ops.core.errors import SonicError
from tests.flows.conftest import Cells, WriteManifest, sorted_rows

RATE_HZ = 16_000


@pytest.fixture
def stem(tmp_path: Path) -> Path:
    """Three seconds of noise."""
    samples = 0.1 * np.random.default_rng(0).standard_normal(3 * RATE_HZ)
    soundfile.write(tmp_path / "stem.wav", samples.astype(np.float32), RATE_HZ)
    return tmp_path / "stem.wav"


class Check:
    """Checks a row with more cells."""

    def __init__(self, good: Cells, write: WriteManifest, config: RenderConfig) -> None:
        self._good, self._write, self._config = good, write, config

    def problem(self, **cells: object) -> SonicError:
        (row,) = sorted_rows(self._write(self._good | cells), self._config).bad
        (error,) = row.errors
        assert row.id == "good"
        assert error.remedy
        return error

    def notes(self, **cells: object) -> str:
        (row,) = sorted_rows(self._write(self._good | cells), self._config).planned
        return "; ".join(row.notes)


@pytest.fixture
def check(good: Cells, write_manifest: WriteManifest, config: RenderConfig) -> Check:
    return Check(good, write_manifest, config)


@pytest.mark.parametrize("column", ["voice", "background"])
def test_stems_that_cannot_be_used(column: str, check: Check, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not a recording")
    with wave.open(str(tmp_path / "empty.wav"), "wb") as empty:
        empty.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
    for name, said in (
        ("none.wav", "none.wav"),
        ("text.wav", "its format is unknown"),
        ("empty.wav", "no audio comes out of it"),
    ):
        error = check.problem(**{column: name})
        assert (error.field, said in str(error)) == (column, True)


@pytest.mark.parametrize("column", ["voice", "background"])
def test_a_stem_that_ends_before_the_part_begins(
    column: str, check: Check, stem: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(RATE_HZ, np.float32), RATE_HZ)
    error = check.problem(**{column: str(tmp_path / "short.wav"), "start": 1.5})
    assert error.field == column
    assert f"the {column} is 1.00 s long and has nothing at 1.5 s" in str(error)


def test_a_gain_needs_a_background_and_has_limits(check: Check, stem: Path) -> None:
    error = check.problem(background_gain=-6)
    assert (error.field, "the row has none" in str(error)) == ("background_gain", True)
    error = check.problem(background=str(stem), background_gain="loud")
    assert (error.field, "'loud' is not a number of dB" in str(error)) == ("background_gain", True)


def test_other_lengths_are_said(check: Check, tmp_path: Path) -> None:
    for name, seconds in (("short", 1), ("long", 5)):
        samples = 0.1 * np.random.default_rng(0).standard_normal(seconds * RATE_HZ)
        soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), RATE_HZ)
    said = check.notes(voice=str(tmp_path / "short.wav"))
    assert "voice: it has 1.00 s and the audio 2.99 s: the mouth rests after it" in said
    said = check.notes(voice=str(tmp_path / "long.wav"))
    assert "voice: it has 5.00 s and the audio 2.99 s: the rest moves nothing" in said
    said = check.notes(background=str(tmp_path / "short.wav"))
    assert "silence follows it under the speech" in said
    assert "background: " not in check.notes(background=str(tmp_path / "long.wav"))


def test_no_row_writes_over_a_stem(check: Check, stem: Path, tmp_path: Path) -> None:
    music = tmp_path / "music.mp4"
    stem.rename(music)
    error = check.problem(background=str(music), output=str(music))
    assert "is the background of this row and would be lost" in str(error)
