"""What long renders show: the figures of every 30 s, and tables made of them.

The figures are those that `sonic render` leaves beside its report; nothing is measured here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from flows.report.analysis_cache import cached_analysis
from flows.report.figures import VIDEO
from flows.report.views import ENTRY, shown
from flows.state.results import measures_url, result_from, results_of
from sonic_ops.core.constants import OUTPUT_FRAMES_PER_FRAME
from sonic_ops.quality.seams import KeyChange, Seams, against_nearby, against_others
from tests.bench.renders import Render, config_of, manifest_of

KEPT: Final = ("sharpness_pct", "likeness", "head_motion", "expression")
"""Figures whose last 30 s are compared with the first 30 s."""
MAX_CHANGE_PCT, MAX_LAG_MS, MAX_COLOUR = 3.0, 40.0, 1.0
MIN_WINDOWS: Final = 5
"""A trend needs so many windows of 30 s."""
SEAMS: Final = (0.95, 1.05)
ABLATED: Final = (
    "lip_sync", "lip_lag_ms", "mouth_motion", "silence", "sharpness_pct", "colour_drift",
    "head_motion", "expression", "flicker", "smoothness",
)  # fmt: skip
MEASURED: Final = tuple(name for name, entry in ENTRY.items() if not entry.needs)
"""Figures that every video has; the proof is given no weights for the others."""
BORDERS: Final = ("borders, nearby", "borders, key frames")
FILE_AND_MODEL: Final = ("borders in the file", "borders before the encoder")


@dataclass(frozen=True, slots=True)
class Seen:
    """The figures of a finished render: one dictionary per window of 30 s of each video."""

    render: Render
    windows: Sequence[dict[str, Any]]
    nearby: Seams | None
    """Borders of segments against the frames near them."""
    others: Seams | None
    """Borders of segments against other key frames."""

    def values(self, name: str) -> list[float]:
        """A figure in all windows that have it."""
        return [window[name] for window in self.windows if window[name] is not None]

    def change_pct(self, name: str) -> float | None:
        """By how much the last window differs from the first one."""
        first, last = (self.windows[place][name] for place in (0, -1))
        return 100 * (last / first - 1) if first and last is not None else None

    def trend_pct(self, name: str) -> tuple[float, float] | None:
        """The straight line through all windows: its change from the first to the last window in
        percent of the mean, and two standard errors of that; none with too few windows.
        """
        known = [(w["start_s"], w[name]) for w in self.windows if w[name] is not None]
        if len(known) < MIN_WINDOWS:
            return None
        starts, values = np.asarray(known, float).T
        places = (starts - starts[0]) / (starts[-1] - starts[0])
        (slope, _), covariance = np.polyfit(places, values, 1, cov=True)
        percent = 100 / values.mean()
        return slope * percent, 2 * float(np.sqrt(covariance[0, 0])) * percent


def see(render: Render, work: Path) -> Seen:
    """Read what was measured of a finished render."""
    results = results_of(str(manifest_of(render, work)), None)
    lines = pq.read_table(measures_url(results)).to_pylist()
    windows = [line for line in lines if line["of"] == VIDEO and not line["is_whole"]]
    windows.sort(key=lambda line: (line["row"], line["start_s"]))
    segment_frames = OUTPUT_FRAMES_PER_FRAME * config_of(render, work).segment_frames
    changes = list(_changes(results))
    borders = [change for change in changes if change.frame % segment_frames == 0]
    others = [change for change in changes if change.frame % segment_frames]
    return Seen(render, windows, against_nearby(borders), against_others(borders, others))


def summary_table(all_seen: Sequence[Seen], exact: Sequence[Seen] = ()) -> list[str]:
    """A line for every render: what must not drift, and the bar of each figure.

    `exact` are short renders in the same modes, whose encoder loses nothing: their borders are the
    model's alone.
    """
    kept = [ENTRY[name].label.lower() for name in KEPT]
    head = ["", "lip sync, r", "lag, ms", *kept, "colour, dE", *FILE_AND_MODEL]
    bars = [
        "bar", "", f"within {MAX_LAG_MS:.0f}", *[f"within {MAX_CHANGE_PCT:.0f} %"] * len(KEPT),
        f"{MAX_COLOUR:.1f}", *[f"{SEAMS[0]} to {SEAMS[1]}"] * len(FILE_AND_MODEL),
    ]  # fmt: skip
    borders = {seen.render.mode: seen.nearby for seen in exact}
    lines = (_summary(seen, borders.get(seen.render.mode)) for seen in all_seen)
    return _table(head, [bars, *lines])


def _summary(seen: Seen, exact: Seams | None) -> list[str]:
    sync, lags = seen.values("lip_sync"), seen.values("lip_lag_ms")
    outside = any(abs(lag) > MAX_LAG_MS for lag in lags)
    lag = f"{min(lags):+.0f} to {max(lags):+.0f}" if lags else "-"
    colour = seen.windows[-1]["colour_drift"]
    return [
        seen.render.label,
        f"{np.mean(sync):.2f}, {min(sync):.2f} to {max(sync):.2f}" if sync else "-",
        _marked(lag, missed=outside),
        *(_changed(seen, name) for name in KEPT),
        _marked(f"{colour:.2f}", missed=colour > MAX_COLOUR),
        _seams(seen.nearby),
        _seams(exact),
    ]


def _changed(seen: Seen, name: str) -> str:
    change_pct, trend = seen.change_pct(name), seen.trend_pct(name)
    if change_pct is None:
        return "-"
    marked = _marked(f"{change_pct:+.1f} %", missed=abs(change_pct) > MAX_CHANGE_PCT)
    return marked if trend is None else f"{marked}, trend {trend[0]:+.1f} ± {trend[1]:.1f}"


def _borders(seen: Seen) -> list[str]:
    return [_seams(seen.nearby), _seams(seen.others)]


def _seams(seams: Seams | None) -> str:
    if seams is None:
        return "-"
    missed = not SEAMS[0] <= seams.ratio <= SEAMS[1]
    ratio = _marked(f"{seams.ratio:.2f}", missed=missed)
    return f"{ratio} ({seams.low:.2f} to {seams.high:.2f}), AUC {seams.auc:.2f}"


def drift_table(all_seen: Sequence[Seen]) -> list[str]:
    """All figures: the first and the last 30 s, and the lowest and highest of all windows."""
    head = ["figure", *(seen.render.label for seen in all_seen)]
    lines = [[_titled(name), *(_course(seen, name) for seen in all_seen)] for name in MEASURED]
    return _table(head, lines)


def _course(seen: Seen, name: str) -> str:
    digits, values = ENTRY[name].digits + 1, seen.values(name)
    if not values:
        return "-"
    first, last = (shown(seen.windows[place][name], digits) for place in (0, -1))
    return f"{first}, {last} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ablation_table(all_seen: Sequence[Seen]) -> list[str]:
    """A line for every render: means over windows of 30 s, and their standard deviations."""
    head = ["", *(_titled(name) for name in ABLATED), *BORDERS]
    lines = ([seen.render.label, *_means(seen), *_borders(seen)] for seen in all_seen)
    return _table(head, lines)


def _means(seen: Seen) -> Iterable[str]:
    for name in ABLATED:
        values, digits = seen.values(name), ENTRY[name].digits + 1
        spread = f" ± {np.std(values):.{digits}f}" if values else ""
        yield f"{shown(float(np.mean(values)) if values else None, digits)}{spread}"


def _changes(results: str) -> Iterable[KeyChange]:
    """The changes at the key frames of all videos of a results table."""
    for content in pq.read_table(results).to_pylist():
        analysis = cached_analysis(result_from(content))
        assert analysis is not None, f"{content['output']} has not been measured: run it again"
        yield from analysis.keys


def _titled(name: str) -> str:
    return f"{ENTRY[name].label.lower()}, {ENTRY[name].unit}"


def _marked(text: str, *, missed: bool) -> str:
    return f"**{text}**" if missed else text


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    rows = [head, ["---"] * len(head), *lines]
    return [f"| {' | '.join(row)} |" for row in rows]
