"""The line of a row says stage, step k of n, frames decoded and time left."""

import io
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from flows.config import RenderConfig
from flows.preflight import PlannedRow
from flows.progress import STAGES, RowClock, clock, open_reporter
from flows.results import RowResult
from tests.flows.conftest import Cells, WriteManifest, sorted_rows


@pytest.fixture
def planned(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> PlannedRow:
    return sorted_rows(write_manifest(good), config).planned[0]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.2, "0 s"), (59.6, "1:00"), (185, "3:05"), (3723, "1:02:03")]
)
def test_times_are_written_as_people_read_them(seconds: float, said: str) -> None:
    assert clock(seconds) == said


def test_a_row_moves_forward_through_its_stages(planned: PlannedRow) -> None:
    row, fractions = RowClock(planned), []
    for stage in STAGES:
        for done in range(3):
            row.update(stage, done, 2)
            fractions.append(row.fraction)
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == pytest.approx(1)


def test_the_time_left_follows_from_the_time_spent(planned: PlannedRow) -> None:
    row = RowClock(planned)
    assert row.time_left() == ""
    row.started = time.monotonic() - 100
    row.update("denoise", 5, 10)
    left = 100 * (1 - row.fraction) / row.fraction
    assert row.time_left() == f"about {clock(left)} left"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_both_reporters_say_what_happens(planned: PlannedRow, is_terminal: bool) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=120, legacy_windows=False)
    with open_reporter(console) as reporter:
        reporter.start(planned)
        reporter.advance("good", "denoise", 3, 14)
        time.sleep(0.3)  # a live display draws a few times a second
        reporter.finish(RowResult(1, "good", "done", video_s=3, wall_s=65, notes="a note"))
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue())
    assert "denoises, step 3 of 14, 0 of 37 frames decoded" in shown
    assert "good: done: 3.00 s of video in 1:05 (a note)" in shown


def test_plain_lines_do_not_flood(planned: PlannedRow) -> None:
    text = io.StringIO()
    with open_reporter(Console(file=text, width=40)) as reporter:
        reporter.start(planned)
        for step in range(1000):
            reporter.advance("good", "denoise", step, 1000)
    assert len(text.getvalue().splitlines()) == 2


def test_long_addresses_are_not_wrapped(tmp_path: Path, planned: PlannedRow) -> None:
    text = io.StringIO()
    error = f"{'long/' * 30}a.wav is missing"
    with open_reporter(Console(file=text, width=40)) as reporter:
        reporter.start(planned)
        reporter.finish(RowResult(1, "good", "failed", error=error, remedy="Mend it."))
    assert f"good: failed: {error}. Mend it.\n" in text.getvalue()
