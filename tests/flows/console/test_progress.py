"""What the user reads of rows in flight, in every form."""

import io
import json
import re
import time
from dataclasses import replace

import pytest
from rich.console import Console

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool
from flows.console.live import MOST_ROWS, LiveReporter, Tally, open_reporter
from flows.console.progress import STAGES, RowClock
from flows.console.terminal import Form, Terminal
from flows.console.units import clock
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.state.results import RowResult
from tests.flows.conftest import Cells, WriteManifest, sorted_rows

POOL = LocalPool(ClusterConfig(workers=0), object())
DONE = RowResult(1, "good", "done", video_s=3, wall_s=65, notes="a note")
FAILED = RowResult(1, "good", "failed", error="it is missing", remedy="Mend it.")


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


def said(planned: PlannedRow, form: Form, *ends: RowResult, width: int = 120) -> str:
    """What is written while a row is in step 3 of 14, and when it has ended, some times over."""
    text = io.StringIO()
    live = form == "live"
    console = Console(file=text, force_terminal=live, width=width, legacy_windows=False)
    with open_reporter(Terminal(console, form), Tally.of([planned.plan]), POOL) as reporter:
        for end in ends:
            reporter.start(planned)
            reporter.advance("good", "denoise", 3, 14)
            time.sleep(1.2 if live else 0)
            reporter.finish(end)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue())


@pytest.mark.parametrize("form", ["live", "lines"])
def test_both_forms_for_people_say_what_happens(planned: PlannedRow, form: Form) -> None:
    shown = said(planned, form, DONE)
    assert "denoising, step 3 of 14, 0 of 37 frames decoded" in shown
    assert "good: done: 3.00 s of video in 1:05 (a note)" in shown
    summary = "0 of 1 rows have ended, 0.0 of 1 workers busy, about "
    assert (summary in shown) == (form == "live")


def test_quiet_says_what_is_wrong_and_nothing_else(planned: PlannedRow) -> None:
    assert said(planned, "quiet", DONE, FAILED) == "good: failed: it is missing. Mend it.\n"


def test_every_line_for_programs_is_an_object(planned: PlannedRow) -> None:
    events = [json.loads(line) for line in said(planned, "json-lines", DONE, FAILED).splitlines()]
    names = ["row-started", "row", "row-ended"]
    assert [event["event"] for event in events] == 2 * names
    assert events[0]["plan"]["num_frames"] == 37
    assert (events[1]["stage"], events[1]["done"], events[1]["total"]) == ("denoise", 3, 14)
    assert [event["status"] for event in events if "status" in event] == ["done", "failed"]


def test_lines_do_not_flood(planned: PlannedRow) -> None:
    text = io.StringIO()
    terminal = Terminal(Console(file=text, width=40), "lines")
    with open_reporter(terminal, Tally(), POOL) as reporter:
        reporter.start(planned)
        for step in range(1000):
            reporter.advance("good", "denoise", step, 1000)
    assert len(text.getvalue().splitlines()) == 2


def test_long_urls_are_not_wrapped(planned: PlannedRow) -> None:
    error = f"{'long/' * 30}a.wav is missing"
    end = RowResult(1, "good", "failed", error=error, remedy="Mend it.")
    assert f"good: failed: {error}. Mend it.\n" in said(planned, "lines", end, width=40)


def test_the_table_stays_small_and_cheap_with_very_many_rows(planned: PlannedRow) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=50)
    reporter = LiveReporter(Terminal(console, "live"), Tally(100_000, 1e9), POOL)
    for number in range(2000):
        row = replace(planned.row, id=f"row [bold]{number}")
        reporter.start(replace(planned, row=row))
    started_s = time.process_time()
    for _ in range(5):
        console.print(reporter.drawn())
    spent_s = (time.process_time() - started_s) / 5
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())  # type: ignore[attr-defined]
    assert len(shown.splitlines()) == 5 * (MOST_ROWS + 2)
    assert "row [bold]0 " in shown
    assert "and 1,984 more rows in flight" in shown
    assert spent_s < 0.1  # of a second, once a second; the log of the bench has the real figure


@pytest.mark.parametrize("evil", ["\x1b[2J", "a\nben: done", "a\u202eb", ":x:", "[red]a"])
def test_the_table_shows_ids_as_text(planned: PlannedRow, evil: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=100, height=30)
    reporter = LiveReporter(Terminal(console, "live"), Tally(1, 1.0), POOL)
    reporter.start(replace(planned, row=replace(planned.row, id=evil)))
    with console.capture() as captured:
        console.print(reporter.drawn())
    lines = captured.get().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert ascii(evil).strip("'") in lines[0]


def test_frames_are_out_of_as_many_as_are_decoded(planned: PlannedRow) -> None:
    """The plan of a film only guesses in how many frames there is a face."""
    row = RowClock(planned)
    assert "0 of 37 frames decoded" in row.text()
    row.update("decode", 40, 50)
    assert "40 of 50 frames decoded" in row.text()
