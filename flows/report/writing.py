"""From a results table to its report: analyse new videos, then write the page."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from flows import urls
from flows.console.units import clock, hours
from flows.preflight.outputs import require_own_tables
from flows.report.analysis_cache import (
    analyse,
    cached_analysis,
    can_be_analysed,
    is_complete,
    open_scorer,
    store_analysis,
    truth_of,
)
from flows.report.figures import Figures, FigureTable, open_table
from flows.report.judging import unmeasurable, verdict_of
from flows.report.page import Summary, Tile, write_page
from flows.report.timings import stages_of, timeline_of
from flows.report.views import ENTRY, IN_TABLE, STATES, RowView, shown, state_of, view_of
from flows.state.receipts import received_timings
from flows.state.results import (
    BATCH_ROWS,
    FINISHED,
    NOT_MARKED,
    RowResult,
    measures_url,
    report_url,
    result_from,
)
from sonic_ops.core.constants import VERDICTS
from sonic_ops.core.errors import ManifestError
from sonic_ops.core.files import exists, fetched, storage_fault, written
from sonic_ops.quality.analysis import VideoAnalysis
from sonic_ops.quality.syncnet import SyncNetScorer
from sonic_ops.quality.verdict import Verdict

SAY_EVERY_S: Final = 10.0
MAX_DETAILED: Final = 1000
"""Rows with images and curves: a browser should not have to hold more."""

MADE_WITH: Final = ("preset", "model", "seed", "version", "machine")
MAX_NAMED: Final = 3
"""Values of these that are named; the details of a row have its own."""

Say = Callable[[str], None]
Lines = Iterator[tuple[RowResult, dict[str, object]]]


def write_report(
    results: str, say: Say, syncnet: str | None = None, *, overwrite: bool = False
) -> str:
    """Write the report of a results table and the figures of its videos; return its URL.

    Videos are gone through once; what was seen is kept beside them. With the weights of `syncnet`
    its figures are added to what is kept. Raises ManifestError if there are no results,
    ConfigError if the weights do not fit or something else is in its place, RenderError if the
    report cannot be written.
    """
    if not exists(results):
        raise _no_results(results)
    target = report_url(results)
    folder = urls.folder_of(target)
    try:
        require_own_tables(target, measures_url(results), overwrite=overwrite)
        with fetched(results) as table:
            gallery = Gallery(say, None if syncnet is None else open_scorer(syncnet))
            with written(measures_url(results)) as path, open_table(path) as figures:
                total = _summed(_lines(results, table), gallery, figures, folder)
            rows = _rows(lambda: _lines(results, table), total, gallery, folder)
            with written(target) as path:
                write_page(path, _summary(results, total), rows)
    except OSError as error:
        raise storage_fault(error) from error
    return target


@dataclass(slots=True)
class Gallery:
    """Looks at videos; what cannot be kept beside them stays in memory."""

    say: Say
    scorer: SyncNetScorer | None = None
    analyses: dict[str, VideoAnalysis] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    num_new: int = 0
    said_s: float = field(default_factory=time.monotonic)

    def analyse_video(self, result: RowResult) -> VideoAnalysis | None:
        """Return the analysis of a row's video; None if there is none."""
        output = result.output
        if not can_be_analysed(result) or output is None or output in self.problems:
            return None
        try:
            known = self.analyses.get(_key(result)) or cached_analysis(result)
            if known is not None and is_complete(known, self.scorer):
                return known
            return self._new(result, known)
        except Exception as error:  # the report of the other rows is worth more than a stop
            self.problems[output] = unmeasurable(result, error)
            return None

    def problem_of(self, result: RowResult | None) -> str | None:
        """Return why the video of a row could not be measured, if so."""
        return None if result is None else self.problems.get(result.output or "")

    def _new(self, result: RowResult, known: VideoAnalysis | None) -> VideoAnalysis:
        analysis = analyse(result, known, self.scorer)
        self.num_new += 1
        try:
            store_analysis(result, analysis)
        except OSError:
            self.analyses[_key(result)] = analysis
        if time.monotonic() - self.said_s > SAY_EVERY_S:
            self.said_s = time.monotonic()
            self.say(f"report: {self.num_new} videos measured")
        return analysis


def _key(result: RowResult) -> str:
    """Return what an analysis depends on: one truth may be measured against several portraits."""
    return f"{result.output} {result.fingerprint}"


@dataclass(slots=True)
class _Total:
    states: Counter[str] = field(default_factory=Counter)
    verdicts: list[Verdict | None] = field(default_factory=list)
    """Of all rows, in their order."""
    made_with: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in MADE_WITH}
    )
    num_finished: int = 0
    num_marked: int = 0
    video_s: float = 0.0
    worker_s: float = 0.0
    figures: Figures = field(default_factory=Figures)


def _lines(results: str, table: Path) -> Lines:
    """Yield the results of a table with their other columns."""
    try:
        with table.open("rb") as file:  # by its name, Arrow takes only UTF-8
            for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS):
                for content in batch.to_pylist():
                    result = result_from(content)
                    yield result, {k: v for k, v in content.items() if not hasattr(result, k)}
    except (FileNotFoundError, pa.ArrowException, TypeError) as error:
        raise _no_results(results) from error


def _no_results(results: str) -> ManifestError:
    return ManifestError(
        f"{results} holds no results that can be read",
        remedy="Render the manifest first, or give the path of its results.",
    )


def _summed(lines: Lines, gallery: Gallery, figures: FigureTable, folder: str) -> _Total:
    total = _Total()
    for result, extras in lines:
        for name in MADE_WITH:
            if (value := getattr(result, name)) is not None:
                total.made_with[name][str(value)] += 1
        if result.status in FINISHED:
            total.num_finished += 1
            total.num_marked += result.provenance not in (None, NOT_MARKED)
            total.video_s += result.video_s or 0.0
            total.worker_s += result.worker_s or 0.0
        analysis = gallery.analyse_video(result)
        verdict = verdict_of(result, analysis, gallery.problem_of(result) or "")
        total.verdicts.append(verdict)
        total.states[state_of(result, verdict)] += 1
        if analysis:
            truth = truth_of(result, extras, folder)
            seen = None if truth is None else gallery.analyse_video(truth)
            figures.add(result, analysis, seen)
            total.figures.add(analysis, seen)
    return total


def _rows(
    lines: Callable[[], Lines], total: _Total, gallery: Gallery, folder: str
) -> Iterator[RowView]:
    """Yield what the page shows of each row: failures first, then what to look at."""
    num_detailed = 0
    for verdict, (result, extras) in _worst_first(lines, total.verdicts):
        analysis, timings = None, _timings(result)
        if num_detailed < MAX_DETAILED:
            analysis = gallery.analyse_video(result)
            num_detailed += analysis is not None
        yield view_of(
            result,
            extras,
            folder,
            verdict=verdict,
            analysis=analysis,
            problem=gallery.problem_of(truth_of(result, extras, folder)),
            stages=stages_of(timings),
            timeline=timeline_of(timings),
        )


def _worst_first(
    lines: Callable[[], Lines], verdicts: Sequence[Verdict | None]
) -> Iterator[tuple[Verdict | None, tuple[RowResult, dict[str, object]]]]:
    """Go through the table once for every kind of verdict; rows that wait come last."""
    for kind in (*VERDICTS, None):
        for verdict, line in zip(verdicts, lines(), strict=True):
            if (verdict.kind if verdict else None) == kind:
                yield verdict, line


def _timings(result: RowResult) -> Mapping[str, Any]:
    if result.status in FINISHED and result.output:
        with suppress(OSError):
            return received_timings(result.output)
    return {}


def _named(values: Counter[str]) -> str:
    """Name the commonest values, and how many others there are."""
    shown_values = ", ".join(value for value, _ in values.most_common(MAX_NAMED))
    more = len(values) - MAX_NAMED
    return f"{shown_values} and {more} more" if more > 0 else shown_values


def _summary(results: str, total: _Total) -> Summary:
    per_s = total.worker_s / total.video_s if total.video_s else None
    medians = (
        Tile(
            f"{ENTRY[name].label}, median, {ENTRY[name].unit}",
            shown(statistics.median(values), ENTRY[name].digits),
        )
        for name, values in total.figures.of_videos().items()
        if name in IN_TABLE
    )
    return Summary(
        title=PurePosixPath(results).name.removesuffix("results.parquet")[:-1],
        results=results,
        made_at=time.strftime("%Y-%m-%d %H:%M"),
        made_with=[(name, _named(values)) for name, values in total.made_with.items() if values],
        tiles=(
            *(Tile(s, f"{total.states[s]:,}", s) for s in STATES if total.states[s]),
            Tile("rows", f"{total.states.total():,}"),
            Tile("of video", clock(total.video_s)),
            Tile("marked as made with AI", f"{total.num_marked:,} of {total.num_finished:,}"),
            Tile("of workers", hours(total.worker_s)),
            Tile("worker seconds per second of video", shown(per_s, 1)),
            *medians,
        ),
        counts=[(state, total.states[state]) for state in STATES if total.states[state]],
        compared=total.figures.compared(),
    )
