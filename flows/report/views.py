"""What the page says of a row: texts and numbers, ready to be shown.

Nothing here is HTML: the template escapes all of it.
"""

import base64
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final
from urllib.parse import quote

import numpy as np

from flows import urls
from flows.report.drawing import Chart, Line, bands, line, voiced_path, wave_path
from flows.report.timings import StageBar, Timeline
from flows.state.results import RowResult
from sonic_ops.core.constants import VERDICTS
from sonic_ops.quality.analysis import VideoAnalysis
from sonic_ops.quality.catalogue import ENTRIES, Entry
from sonic_ops.quality.dubs import Shot
from sonic_ops.quality.measures import Interval, Measures
from sonic_ops.quality.verdict import Verdict

IN_TABLE: Final = ("lip_sync", "lip_lag_ms", "sharpness_pct", "colour_drift", "seam_ratio")
"""Figures that have a column of their own."""
DRIFT: Final = (
    "lip_sync",
    "lip_lag_ms",
    "sharpness_pct",
    "colour_drift",
    "likeness",
    "head_motion",
    "syncnet_confidence",
)
STATES: Final = (*VERDICTS, "locked", "waiting")
"""What a row can be, the worst first."""
ANIMATIONS: Final = (".gif", ".webp")

ENTRY: Final = {entry.name: entry for entry in ENTRIES}
"""Figures by their names."""
_SAID_ELSEWHERE: Final = {
    "row", "id", "status", "verdict", "reason", "error_class", "error", "remedy", "output", "notes",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as it is shown and as it is sorted; nothing sorts last."""

    text: str
    value: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with what it means."""

    entry: Entry
    text: str


@dataclass(frozen=True, slots=True)
class ShotView:
    """A shot of a dubbed film: where it begins, and what stands in its line."""

    start_s: float
    label: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of the page."""

    result: RowResult
    verdict: Verdict | None
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    words: str
    """What the search looks through."""
    link: str | None
    is_animation: bool
    facts: tuple[tuple[str, str], ...]
    analysis: VideoAnalysis | None = None
    problem: str | None = None
    """Why there is no analysis."""
    figures: tuple[Figure, ...] = ()
    charts: tuple[Chart, ...] = ()
    drift: tuple[Chart, ...] = ()
    entries: tuple[Entry, ...] = ()
    """The figures that are shown."""
    parts: tuple[tuple[str, ...], ...] = ()
    shots: tuple[ShotView, ...] = ()
    """Of a dubbed film: seconds dubbed and not and why, mouth against both voices."""
    film: str | None = None
    """A link to the film that was dubbed, to be seen beside the video."""
    stages: tuple[StageBar, ...] = ()
    timeline: Timeline | None = None

    @property
    def state(self) -> str:
        return state_of(self.result, self.verdict)

    @property
    def images(self) -> dict[str, str]:
        """Return the data URLs of the images; none without an analysis."""
        if self.analysis is None:
            return {}
        return {
            name: "data:image/webp;base64,"
            + base64.b64encode(getattr(self.analysis, name)).decode()
            for name in ("thumb", "poster", "sheet")
        }


def state_of(result: RowResult, verdict: Verdict | None) -> str:
    """Return the verdict of a row, or its status while it has none."""
    return verdict.kind if verdict else result.status


def view_of(
    result: RowResult,
    extras: Mapping[str, object],
    folder: str,
    *,
    verdict: Verdict | None = None,
    analysis: VideoAnalysis | None = None,
    problem: str | None = None,
    stages: Sequence[StageBar] = (),
    timeline: Timeline | None = None,
) -> RowView:
    """Collect everything the page shows about a row; `folder` contains the page."""
    output = result.output or ""
    entries = () if analysis is None else _entries(analysis.measures)
    return RowView(
        result=result,
        verdict=verdict,
        notes=tuple(note for note in result.notes.split("; ") if note),
        cells=_cells(result, analysis),
        words=_words(result, verdict, extras),
        link=link_to(output, folder) if analysis or output.lower().endswith(ANIMATIONS) else None,
        is_animation=output.lower().endswith(ANIMATIONS),
        facts=_facts(result, extras),
        analysis=analysis,
        problem=problem,
        figures=() if analysis is None else _figures(analysis.measures, entries),
        charts=() if analysis is None else _charts(analysis),
        drift=() if analysis is None or len(analysis.parts) < 2 else _drift(analysis.parts),
        entries=entries,
        parts=()
        if analysis is None or len(analysis.parts) < 2
        else _parts(analysis.parts, entries),
        shots=() if analysis is None else _shots(analysis.shots),
        film=link_to(result.portrait, folder)
        if analysis is not None and analysis.shots and result.portrait
        else None,
        stages=tuple(stages),
        timeline=timeline,
    )


def _words(result: RowResult, verdict: Verdict | None, extras: Mapping[str, object]) -> str:
    judged = (verdict.kind, verdict.reason) if verdict else ()
    own = (result.id, result.status, result.output, result.notes, result.error_class, result.error)
    return " ".join(str(text) for text in (*own, *judged, *extras.values()) if text).lower()


def link_to(output: str, folder: str) -> str | None:
    """Return a link from `folder` to the output; None if a browser cannot reach it."""
    if output.startswith(("http://", "https://")):
        return output
    if urls.is_remote(output) != urls.is_remote(folder):
        return None
    scheme, there = _split(output)
    own_scheme, here = _split(folder)
    return quote(posixpath.relpath(there, here)) if scheme == own_scheme else None


def _split(url: str) -> tuple[str, str]:
    scheme, _, path_in_it = url.rpartition("://")
    return scheme, f"/{path_in_it.lstrip('/')}"


def shown(value: float | None, digits: int) -> str:
    """Format a number; a dash for None."""
    return "-" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"  # no -0


def _cells(result: RowResult, analysis: VideoAnalysis | None) -> tuple[Cell, ...]:
    per_s = None
    if result.worker_s is not None and result.video_s:
        per_s = result.worker_s / result.video_s
    measured = [
        Cell("not measurable", None)
        if name == "lip_lag_ms" and analysis is not None and value is None
        else Cell(shown(value, ENTRY[name].digits), value)
        for name in IN_TABLE
        for value in [None if analysis is None else getattr(analysis.measures, name)]
    ]
    return (
        Cell(shown(result.video_s, 1), result.video_s),
        *measured,
        Cell(shown(result.wall_s, 0), result.wall_s),
        Cell(shown(per_s, 1), per_s),
    )


def _facts(result: RowResult, extras: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    own = (
        (field.name, getattr(result, field.name))
        for field in fields(RowResult)
        if field.name not in _SAID_ELSEWHERE
    )
    return tuple(
        (name, f"{value:,.6g}" if isinstance(value, float) else str(value))
        for name, value in (*own, *extras.items())
        if value not in (None, "")
    )


def _entries(measures: Measures) -> tuple[Entry, ...]:
    """Return the catalogue entries, without those that need weights nobody gave."""
    return tuple(e for e in ENTRIES if not e.needs or getattr(measures, e.name) is not None)


def _figures(measures: Measures, entries: Sequence[Entry]) -> tuple[Figure, ...]:
    return tuple(
        Figure(entry, shown(getattr(measures, entry.name), entry.digits)) for entry in entries
    )


def _charts(analysis: VideoAnalysis) -> tuple[Chart, ...]:
    curves, silent = analysis.curves, bands(analysis.curves.pauses_s, analysis.duration_s)
    audio_charts = (
        Chart("Audio", (Line("wave", wave_path(curves.wave), "wave", "waveform"),), silent),
        Chart(
            "Pitch and loudness",
            (
                _pitch(curves.pitch_hz),
                line("loudness", curves.loudness_db, "two", "dB"),
            ),
            silent,
        ),
    )
    lips = (
        line("mouth", curves.mouth, "one", "greys"),
        line("voice", curves.voice_db, "two", "dB"),
    )
    return (
        *(audio_charts if curves.wave else ()),
        Chart("Mouth against voice", tuple(curve for curve in lips if curve.path), silent),
        Chart(
            "Head and expression",
            (
                line("head, sideways", curves.head_x, "one", "% of face", 2),
                line("head, up and down", curves.head_y, "two", "% of face", 2),
                line("eyes and brows", curves.eyes, "three", "greys", 2),
            ),
        ),
    )


def _pitch(pitch_hz: Sequence[float]) -> Line:
    voiced = [value for value in pitch_hz if value > 0]
    if not voiced:
        return Line("pitch", "", "one", "no voice")
    low, high = (float(np.percentile(voiced, share)) for share in (5, 95))
    # A single frame that was misheard must not press all others into a corner.
    drawn = voiced_path([min(max(v, low), high) if v > 0 else 0 for v in pitch_hz], low, high)
    return Line("pitch", drawn, "one", f"pitch {low:.0f} to {high:.0f} Hz")


def _drift(parts: Sequence[Interval]) -> tuple[Chart, ...]:
    """Draw a small chart of each figure that must not drift."""
    charts = []
    for name in DRIFT:
        values = [getattr(part.measures, name) for part in parts]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            entry = ENTRY[name]
            drawn = line(entry.label, known, "one", entry.unit, entry.digits)
            charts.append(Chart(entry.label, (drawn,)))
    return tuple(charts)


def _parts(parts: Sequence[Interval], entries: Sequence[Entry]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            f"{part.start_s:.0f} to {part.stop_s:.0f} s",
            *(shown(getattr(part.measures, e.name), e.digits) for e in entries),
        )
        for part in parts
    )


def _shots(shots: Sequence[Shot]) -> tuple[ShotView, ...]:
    return tuple(
        ShotView(
            round(shot.start_s, 3),
            f"{shot.start_s:.1f} to {shot.stop_s:.1f} s" + f", {shot.speaker}" * bool(shot.speaker),
            (
                f"{shot.dubbed_s:.1f}",
                f"{shot.kept_s:.1f}",
                ", ".join(f"{reason} {seconds:.1f} s" for reason, seconds in shot.kept) or "-",
                shown(shot.sync, 2),
                shown(shot.lag_ms, 0),
                shown(shot.old, 2),
                shown(shot.leak, 2),
            ),
        )
        for shot in shots
    )
