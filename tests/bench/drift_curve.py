"""The drift curve: every figure over the minutes of a video, all renders in one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.report.views import ENTRY
from tests.bench.drift import MAX_COLOUR, MAX_LAG_MS, SEAMS, Seen

BARS: Final = {"lip_lag_ms": (-MAX_LAG_MS, MAX_LAG_MS), "colour_drift": (0, MAX_COLOUR)} | {
    "seam_ratio": SEAMS
}
"""What a figure must stay in, drawn behind it."""

_COLUMNS: Final = 3
_WIDTH_INCHES, _ROW_INCHES = 9.0, 1.5
_COLOURS: Final = ("#0b6e4f", "#c1440e", "#7a5195", "#2f6db5", "#222222", "#b8860b")
_STYLE: Final = {
    "svg.fonttype": "none", "svg.hashsalt": "sonic", "font.size": 8, "axes.titlesize": 8,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2,
}  # fmt: skip


def draw(all_seen: Sequence[Seen], target: Path) -> None:
    """Write the curve as SVG; equal figures give equal bytes."""
    num_rows = -(-len(ENTRY) // _COLUMNS)
    with rc_context(_STYLE):
        figure = Figure((_WIDTH_INCHES, _ROW_INCHES * num_rows + 0.5), layout="constrained")
        axes = figure.subplots(num_rows, _COLUMNS, sharex=True).reshape(-1)
        for name, each in zip(ENTRY, axes, strict=False):
            _draw_figure(each, name, all_seen)
        for each in axes[len(ENTRY) :]:
            each.set_visible(False)
        lines, labels = axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=_COLUMNS, frameon=False)
        figure.supxlabel("minutes, every 30 s", fontsize=8)
        figure.savefig(target, format="svg", metadata={"Date": None})


def _draw_figure(axes: Axes, name: str, all_seen: Sequence[Seen]) -> None:
    axes.set_title(f"{ENTRY[name].label}, {ENTRY[name].unit}", loc="left")
    if name in BARS:
        axes.axhspan(*BARS[name], color="#000000", alpha=0.06, linewidth=0)
    for seen, colour in zip(all_seen, _COLOURS, strict=False):
        known = [window for window in seen.windows if window[name] is not None]
        minutes = [(window["start_s"] + window["stop_s"]) / 120 for window in known]
        axes.plot(minutes, [window[name] for window in known], color=colour, marker=".",
                  markersize=3, label=seen.render.label)  # fmt: skip
