"""Facts of the ten-minute proof: what it hears, how it is read, what its tables and curve say."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from flows.report.writing import write_report
from flows.state.results import results_of, write_results
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.quality.measures import WINDOW_S, Measures
from sonic_ops.quality.seams import Seams
from tests.bench.drift import Seen, ablation_table, drift_table, see, summary_table
from tests.bench.drift_curve import draw
from tests.bench.renders import MODES, Render, config_of, manifest_of, prepare
from tests.bench.speech import in_windows
from tests.bench.tables import RESULTS, replaced
from tests.flows.report.reporting import done, make_video

GOOD = Measures(
    lip_sync=0.7, lip_lag_ms=5.0, chance_sync=0.0, mouth_motion=9.0, silence=0.1,
    sharpness_pct=98.0, colour_drift=0.2, likeness=0.9, head_motion=2.0, expression=1.0,
    flicker=0.1, smoothness=0.3, seam_ratio=1.2,
)  # fmt: skip


def seen(*windows: Measures, mode: str = "shift", ratio: float = 1.0) -> Seen:
    """A render of which these windows were measured."""
    spans = ({"start_s": 30.0 * n, "stop_s": 30.0 * n + 30} for n in range(len(windows)))
    lines = [span | asdict(each) for span, each in zip(spans, windows, strict=True)]
    nearby = Seams(ratio, ratio - 0.1, ratio + 0.1, 0.5)
    return Seen(Render("real", mode, 600), lines, nearby, None)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_window_says_the_same_and_the_last_one_what_the_first_one_says() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(n * SAMPLE_RATE_HZ).astype(np.float32) for n in (3, 5, 7, 9, 29)]
    windows = in_windows(parts, 4).reshape(4, WINDOW_S * SAMPLE_RATE_HZ)
    assert np.array_equal(windows[0], windows[3])
    assert not np.array_equal(windows[0], windows[1])
    for window in windows:
        starts = {int(np.flatnonzero(window == part[0])[0]): part for part in parts[:4]}
        for start, part in starts.items():
            assert np.array_equal(window[start : start + len(part)], part)
    assert len(in_windows(parts, 1)) == WINDOW_S * SAMPLE_RATE_HZ


def test_what_misses_its_bar_is_bold() -> None:
    late = replace(GOOD, lip_lag_ms=-41.0)
    dull = replace(GOOD, sharpness_pct=98 * 0.96, head_motion=2 * 1.02, colour_drift=1.1)
    _, _, _, good, bad = map(
        cells, summary_table([seen(GOOD, GOOD), seen(GOOD, late, dull, mode="apart", ratio=1.06)])
    )
    assert not [cell for cell in good if "**" in cell]
    assert good[0] == MODES["shift"].label
    assert bad[2:5] == ["**-41 to +5**", "**-4.0 %**", "+0.0 %"]
    assert bad[5] == "+2.0 %"
    assert bad[7:] == ["**1.10**", "**1.06** (0.96 to 1.16), AUC 0.50", "-"]


def test_a_trend_is_that_of_all_windows_and_not_of_two() -> None:
    rng = np.random.default_rng(0)
    wandering = [replace(GOOD, expression=1 + rng.normal(0, 0.1)) for _ in range(20)]
    falling = [replace(GOOD, head_motion=2 - 0.02 * n) for n in range(20)]
    trend, error = trend_of(seen(*wandering), "expression")
    assert abs(trend) < error < 20
    trend, error = trend_of(seen(*falling), "head_motion")
    assert trend == pytest.approx(-100 * 0.38 / 1.81)
    assert error == pytest.approx(0, abs=1e-6)
    assert seen(*falling[:4]).trend_pct("head_motion") is None
    assert cells(summary_table([seen(*falling)])[-1])[5] == "**-19.0 %**, trend -21.0 ± 0.0"


def trend_of(one: Seen, name: str) -> tuple[float, float]:
    found = one.trend_pct(name)
    assert found is not None
    return found


def test_borders_before_the_encoder_are_those_of_the_exact_render_in_the_same_mode() -> None:
    lossy = [seen(GOOD, mode=mode, ratio=1.3) for mode in ("shift", "apart")]
    exact = [seen(GOOD, mode="apart", ratio=1.01)]
    _, _, _, ours, apart = map(cells, summary_table(lossy, exact))
    assert ours[-2:] == ["**1.30** (1.20 to 1.40), AUC 0.50", "-"]
    assert apart[-1] == "1.01 (0.91 to 1.11), AUC 0.50"


def test_a_figure_that_is_missing_is_a_dash() -> None:
    nothing = replace(GOOD, lip_sync=None, lip_lag_ms=None, silence=None, seam_ratio=None)
    one = replace(seen(nothing, nothing), nearby=None)
    assert cells(summary_table([one])[-1])[1:3] == ["-", "-"]
    assert "| lip sync, r | - |" in drift_table([one])
    assert cells(ablation_table([one])[-1])[1] == "-"
    assert (
        cells(ablation_table([seen(GOOD, replace(GOOD, lip_sync=0.8))])[-1])[1] == "0.750 ± 0.050"
    )


def test_the_curve_has_every_render_and_equal_bytes(tmp_path: Path) -> None:
    both = [seen(GOOD, replace(GOOD, lip_lag_ms=None)), seen(GOOD, GOOD, mode="apart")]
    for name in ("one.svg", "two.svg"):
        draw(both, tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text("utf-8")
    assert drawn == (tmp_path / "two.svg").read_text("utf-8")
    for said in ("Lip sync, r", "Seam ratio", MODES["shift"].label, MODES["apart"].label):
        assert said in drawn


def test_what_a_render_left_is_read(tmp_path: Path) -> None:
    render = Render("real", "fused", 3)
    prepare(replace(render, is_exact=True), tmp_path, 2)
    assert config_of(render, tmp_path).media.crf == 0
    prepare(render, tmp_path, 2)
    assert config_of(render, tmp_path).media.crf == 18
    assert config_of(render, tmp_path).fusion == "at_end"
    video = make_video(manifest_of(render, tmp_path).with_name("ada.mp4"), 80)
    results = results_of(str(manifest_of(render, tmp_path)), None)
    write_results(results, lambda: [(done(1, video), {})])
    write_report(results, print)
    found = see(render, tmp_path)
    assert [window["stop_s"] for window in found.windows] == [pytest.approx(80 / 25)]
    assert found.values("sharpness_pct")[0] == pytest.approx(100, abs=5)
    assert found.nearby is None  # no segment begins in it


@pytest.mark.parametrize(
    "name", ["ten-minutes", "drift", "ablation", "speed", "fast", "rehearsal", "chaos", "soak"]
)
def test_results_have_a_place_for_every_table(name: str) -> None:
    text = RESULTS.read_text("utf-8")
    assert "| new |" in replaced(text, name, ["| new |"], "RESULTS.md")
