"""Facts of verdicts in a run: every row has one, and none that is not ready is only counted."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from flows.console.progress import outcome_in_words, say_verdicts
from flows.console.terminal import Form, open_terminal
from flows.pipeline.artifacts import worst_first
from flows.report.analysis_cache import cache_path
from flows.report.judging import judged
from flows.report.writing import write_report
from flows.state.results import RowResult, read_results
from sonic_ops.core.constants import FAILED, LOOK, READY
from tests.flows.report.reporting import ERROR, done, make_video, write_table


def row(number: int, verdict: str | None, **known: object) -> RowResult:
    result = RowResult(number, f"row-{number}", "done", verdict=verdict, reason=f"because {number}")
    return RowResult(**{name: getattr(result, name) for name in result.__slots__} | known)


def said(results: list[RowResult], form: Form = "lines") -> list[str]:
    text = StringIO()
    say_verdicts(lambda: iter(results), open_terminal(form, Console(file=text, width=80)))
    return text.getvalue().splitlines()


def test_a_finished_row_is_measured_once_for_verdict_and_report(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4")
    result = judged(done(1, video))
    assert result.verdict == FAILED
    assert "the mouth does not follow the speech" in (result.reason or "")
    kept = Path(cache_path(str(video)))
    measured = kept.stat().st_mtime_ns
    table = write_table(tmp_path, [result])
    assert list(read_results(table)) == [result]
    write_report(table, print)
    assert kept.stat().st_mtime_ns == measured


def test_what_cannot_be_measured_is_looked_at_by_a_person(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video")
    animation = judged(done(1, tmp_path / "face.gif"))
    assert (animation.verdict, animation.reason) == (LOOK, "animations are not measured")
    result = judged(done(1, damaged))
    assert result.verdict == LOOK
    assert (result.reason or "").startswith("The video damaged.mp4 could not be measured")


def test_a_video_that_is_measured_is_judged_although_nothing_can_be_kept(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4")
    (tmp_path / ".sonic").write_text("a file where a folder should be")
    assert judged(done(1, video)).verdict == FAILED


def test_rows_that_have_not_ended_have_no_verdict() -> None:
    for status in ("waiting", "locked"):
        assert judged(row(1, None, status=status)).verdict is None


@pytest.mark.parametrize("form", ["lines", "quiet"])
def test_the_end_of_a_run_repeats_every_failure_with_its_remedy(form: Form) -> None:
    failed = [row(n, FAILED, status="failed", remedy=f"Mend {n}.") for n in range(300)]
    lines = said([row(1000, READY), *failed, row(2000, LOOK)], form)
    for number in range(300):
        assert f"  row-{number}: failed: because {number}. Mend {number}." in lines
    assert ("  row-2000: look at it: because 2000" in lines) == (form == "lines")
    assert not [line for line in lines if "row-1000" in line]


def test_the_line_of_a_row_says_its_verdict() -> None:
    ended = {"video_s": 3.0, "wall_s": 50.0}
    words = outcome_in_words(row(1, LOOK, **ended))
    assert words == "row-1: done: 3.00 s of video in 50 s; look at it: because 1"
    assert outcome_in_words(row(1, READY, **ended)).endswith("in 50 s; ready")
    assert outcome_in_words(row(1, None, **ended)).endswith("in 50 s")


def test_prefect_shows_what_failed_first_also_of_more_rows_than_it_shows() -> None:
    rows = [row(n, READY) for n in range(600)] + [row(600, LOOK), row(601, FAILED)]
    shown = worst_first(lambda: iter(rows))
    assert [result.row for result in shown[:3]] == [601, 600, 0]
    assert len(shown) == 500


def test_the_page_shows_what_failed_first(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4")
    failed = RowResult(3, "broken", "failed", output=str(tmp_path / "none.mp4"), **ERROR)
    rows = [row(1, None, status="waiting"), done(2, tmp_path / "a.gif"), done(4, video), failed]
    table = write_table(tmp_path, rows)
    page = Path(write_report(table, print)).read_text("utf-8")
    ids = ("row-004", "broken", "row-002", "row-1<")
    places = [page.index(f">{name}") for name in ids]
    assert places == sorted(places)
