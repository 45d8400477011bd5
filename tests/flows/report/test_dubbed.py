"""A dubbed film in the report: its verdict is that of its shots, and its page shows them."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.report.analysis_cache import analyse, cached_analysis, store_analysis
from flows.report.writing import write_report
from sonic_ops.core.constants import FAILED, LOOK, READY
from sonic_ops.film.track import NO_FACE, PROFILE, REASONS
from sonic_ops.quality.analysis import VideoAnalysis
from sonic_ops.quality.dubs import Shot
from sonic_ops.quality.verdict import judge
from tests.flows.report.reporting import done, make_video, write_table

GOOD = Shot(0.0, 4.0, 4.0, (), sync=0.6, lag_ms=20.0, old=0.3, leak=0.05)
NOBODY = Shot(4.0, 6.0, 0.0, ((REASONS[NO_FACE], 2.0),))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("dubbed") / "video.mp4")


@pytest.fixture(scope="module")
def analysis(video: Path) -> VideoAnalysis:
    return replace(analyse(done(1, video)), shots=(GOOD, NOBODY))


@pytest.mark.parametrize(
    ("shot", "kind", "said"),
    [
        (GOOD, READY, "in every shot that was dubbed"),
        (replace(GOOD, sync=0.25), LOOK, "hardly follows the new voice in shot 1, at 0:00"),
        (replace(GOOD, sync=0.1), FAILED, "(r = 0.10)"),
        (replace(GOOD, lag_ms=120.0), FAILED, "120 ms after the audio in shot 1"),
        (replace(GOOD, leak=0.5), LOOK, "the film's own voice too in shot 1"),
        (replace(GOOD, kept=((REASONS[PROFILE], 1.0),)), LOOK, "1.0 s are not dubbed in shot 1"),
    ],
)
def test_the_verdict_is_that_of_the_shots(
    shot: Shot, kind: str, said: str, analysis: VideoAnalysis
) -> None:
    verdict = judge(replace(analysis, shots=(shot, NOBODY)))
    assert verdict.kind == kind
    assert said in verdict.reason


def test_the_page_has_a_table_of_shots(video: Path, analysis: VideoAnalysis) -> None:
    film = make_video(video.with_name("talk.mp4"))
    result = done(1, video, portrait=str(film))
    store_analysis(result, analysis)
    known = cached_analysis(result)
    assert known is not None
    assert known.shots == analysis.shots
    page = Path(write_report(write_table(video.parent, [result]), print)).read_text("utf-8")
    assert "Shots of the film" in page
    assert "<td>no face is seen 2.0 s</td>" in page
    assert "<td>0.60</td><td>20</td><td>0.30</td><td>0.05</td>" in page
    assert '<button type="button" class="seek" data-start="4.0">4.0 to 6.0 s</button>' in page
    assert '<video muted preload="none" playsinline src="talk.mp4"' in page


def test_people_are_told_apart(analysis: VideoAnalysis) -> None:
    both = (GOOD, NOBODY, replace(GOOD, speaker="ben"), replace(GOOD, sync=0.1, speaker="ben"))
    said = judge(replace(analysis, shots=both)).reason
    assert "in shot 2 of ben, at 0:00 (r = 0.10)" in said
