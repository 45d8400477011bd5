"""The drift curve: every figure over the minutes of a video, all renders in one picture.

Grey is where a figure must stay: within its bar, or within 3 % of what the first render began with.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.report.views import ENTRY
from tests.bench.drift import KEPT, MAX_CHANGE_PCT, MAX_COLOUR, MAX_LAG_MS, MEASURED, Seen

DRAWN: Final = tuple(name for name in MEASURED if name != "chance_sync")

_BARS: Final = {"lip_lag_ms": (-MAX_LAG_MS, MAX_LAG_MS), "colour_drift": (0.0, MAX_COLOUR)}
_COLUMNS: Final = 3
_WIDTH_INCHES, _ROW_INCHES, _LEGEND_INCHES = 9.0, 1.5, 0.5
_COLOURS: Final = ("#0b6e4f", "#c1440e", "#7a5195", "#2f6db5", "#222222", "#b8860b")
_STYLE: Final = {
    "svg.fonttype": "none", "svg.hashsalt": "sonic", "font.size": 8, "axes.titlesize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2,
}  # fmt: skip


def draw(all_seen: Sequence[Seen], target: Path) -> None:
    """Write the curve as SVG; equal figures give equal bytes."""
    num_rows = -(-len(DRAWN) // _COLUMNS)
    with rc_context(_STYLE):
        size = (_WIDTH_INCHES, _ROW_INCHES * num_rows + _LEGEND_INCHES)
        figure = Figure(size, layout="constrained")
        axes = figure.subplots(num_rows, _COLUMNS, sharex=True)
        for name, each in zip(DRAWN, axes.reshape(-1), strict=False):
            _draw_figure(each, name, all_seen)
        for each in axes[-1]:
            each.set_xlabel("minutes")
        lines, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=_COLUMNS, frameon=False)
        figure.savefig(target, format="svg", metadata={"Date": None})


def _draw_figure(axes: Axes, name: str, all_seen: Sequence[Seen]) -> None:
    axes.set_title(f"{ENTRY[name].label}, {ENTRY[name].unit}", loc="left")
    if bar := _bar(name, all_seen):
        axes.axhspan(*bar, color="#000000", alpha=0.07, linewidth=0)
    for seen, colour in zip(all_seen, _COLOURS, strict=False):
        known = [window for window in seen.windows if window[name] is not None]
        minutes = [(window["start_s"] + window["stop_s"]) / 120 for window in known]
        values = [window[name] for window in known]
        axes.plot(minutes, values, color=colour, label=seen.render.label)
    if name not in (*KEPT, "lip_lag_ms"):
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))


def _bar(name: str, all_seen: Sequence[Seen]) -> tuple[float, float] | None:
    if name not in KEPT:
        return _BARS.get(name)
    first = all_seen[0].windows[0][name] or 0.0
    low, high = (first * (1 + sign * MAX_CHANGE_PCT / 100) for sign in (-1, 1))
    return low, high
