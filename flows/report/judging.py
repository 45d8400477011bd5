"""Give every finished video a verdict, by what is measured of it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from itertools import chain

from flows import urls
from flows.report.analysis_cache import analyse, can_be_analysed, store_analysis
from flows.state.results import FINISHED, RowResult
from sonic_ops.core.constants import FAILED, LOOK
from sonic_ops.core.errors import RenderError, SonicError
from sonic_ops.core.files import fetched, reason_of
from sonic_ops.quality.analysis import VideoAnalysis
from sonic_ops.quality.dubs import Dub, measure_shots
from sonic_ops.quality.verdict import Verdict, judge


def judged(
    result: RowResult, dubs: AbstractContextManager[Sequence[Dub]] | None = None
) -> RowResult:
    """Measure the video of a finished row and add the verdict; the report reuses what is measured.

    Dubs are measured by their shots, while their work is there. A video that cannot be measured
    stays rendered: a person has to look at it.
    """
    analysis, problem = None, ""
    if can_be_analysed(result):
        try:
            analysis = analyse(result)
            if dubs is not None:
                analysis = _with_shots(result, analysis, dubs)
            with suppress(OSError, RenderError):  # the report measures the video again
                store_analysis(result, analysis)
        except Exception as error:  # whatever a decoder or a store says: the video is there
            problem = unmeasurable(result, error)
    verdict = verdict_of(result, analysis, problem)
    if verdict is None:
        return result
    return replace(result, verdict=verdict.kind, reason=verdict.reason)


def _with_shots(
    result: RowResult, analysis: VideoAnalysis, dubs: AbstractContextManager[Sequence[Dub]]
) -> VideoAnalysis:
    assert result.output is not None
    with fetched(result.output) as video, dubs as known:
        shots = chain.from_iterable(measure_shots(video, dub) for dub in known)
        return replace(analysis, shots=tuple(shots))


def verdict_of(
    result: RowResult, analysis: VideoAnalysis | None, problem: str = ""
) -> Verdict | None:
    """Judge a row by its status and the analysis of its video; None if it has not ended."""
    if result.status == "failed":
        return Verdict(FAILED, result.error or "")
    if result.status not in FINISHED:
        return None
    if analysis is not None:
        return judge(analysis)
    if not can_be_analysed(result):
        return Verdict(LOOK, "animations are not measured")
    return Verdict(LOOK, problem or "the video was not measured")


def unmeasurable(result: RowResult, error: Exception) -> str:
    """Say why the video of a row could not be measured."""
    said = reason_of(error) if isinstance(error, SonicError | OSError) else repr(error)
    return f"The video {urls.name_of(result.output or '')} could not be measured: {said}"
