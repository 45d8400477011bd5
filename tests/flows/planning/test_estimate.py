"""Estimates follow from the plan of a row and from what was measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.planning.calibration import (
    Calibration,
    Costs,
    calibration_path,
    guess,
    load_calibration,
    save_calibration,
)
from flows.planning.estimate import (
    STILL,
    RowEstimate,
    RunEstimate,
    Sizes,
    busiest_share,
    estimate_row,
    num_branches,
)
from flows.rows.config import RenderConfig, load_preset
from flows.rows.plan import plan_row
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.formats import CODECS
from sonic_ops.core.timeline import cut_segments
from tests.cluster.video.test_scheduling import CONFIG as VIDEO
from tests.cluster.video.test_scheduling import cost_s, render
from tests.cluster.virtual import VirtualPool

SIDE = 64 * 64
ONES = Costs(SIDE, 1, 1, 1, 1, 1, 1, 1, 1, dict.fromkeys(CODECS, 1.0), 1, 1)
CALIBRATION = Calibration(
    ONES, 10, 9, 100, {"denoise": 300, "decode": 500}, 7, 11, is_measured=True
)
CONFIG = RenderConfig.model_validate(
    {"models": {"weights": "package:sketch"}, "sampling": {"steps": 3}, "segment_frames": 50}
)
ROW = RowEstimate({"encode audio": 1, "denoise": 6, "decode": 2, "encode": 1}, 2, 4, {}, 100, 10)


def costing(**costs: float) -> Calibration:
    """A calibration in which only this costs something."""
    encode_s: dict[str, float] = dict.fromkeys(CODECS, costs.pop("encode_s", 0.0))
    nothing = Costs(SIDE, 0, 0, 0, 0, 0, 0, 0, 0, encode_s, 0, 0)
    return replace(CALIBRATION, costs=replace(nothing, **costs))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cost", "units"),
    [
        ("piece_s", 3),  # 70 s of audio
        ("frame_s", 875),
        ("portrait_s", 1),
        ("branch_s", 35 * 3 * 3),  # windows, steps, branches
        ("step_frame_s", 875 * 3),
        ("decode_s", 875),
        ("middle_s", 875),
        ("encode_s", 1750),
    ],
)
def test_every_cost_counts_by_its_unit(cost: str, units: int) -> None:
    plan = plan_row(70, CONFIG.sampling)
    estimate = estimate_row(plan, CONFIG, Sizes(SIDE, SIDE), costing(**{cost: 0.5}))
    assert estimate.worker_s == pytest.approx(units / 2)
    assert estimate.num_segments == 17.5


def test_frames_whose_tint_is_measured_are_decoded_twice() -> None:
    media = CONFIG.media.model_copy(update={"colour_correction": True})
    config = CONFIG.model_copy(update={"media": media})
    plan = plan_row(70, config.sampling)
    estimate = estimate_row(plan, config, Sizes(SIDE, SIDE), costing(decode_s=1.0))
    assert estimate.worker_s == pytest.approx(875 + 875 / 25)


def test_images_cost_by_their_pixels_and_audio_does_not() -> None:
    plan = plan_row(10, CONFIG.sampling)
    small, large = (
        estimate_row(plan, CONFIG, Sizes(area, area), CALIBRATION) for area in (SIDE, 4 * SIDE)
    )
    for stage in ("denoise", "decode", "encode"):
        assert large.stages_s[stage] == pytest.approx(4 * small.stages_s[stage])
    assert large.stages_s["encode audio"] == small.stages_s["encode audio"]
    assert small.memory_bytes == {"denoise": 300, "decode": 500}
    assert large.memory_bytes == {"denoise": 900, "decode": 1700}
    assert large.peak_bytes == 1700


def test_what_stands_still_is_cheap_and_what_is_pasted_costs() -> None:
    plan = plan_row(70, CONFIG.sampling)
    sizes = Sizes(SIDE, 10 * SIDE, 2 * SIDE, moving=0.2)
    encoding = estimate_row(plan, CONFIG, sizes, costing(encode_s=1.0))
    assert encoding.worker_s == pytest.approx(1750 * (2 + 8 * STILL))
    pasting = estimate_row(plan, CONFIG, sizes, costing(paste_s=1.0))
    assert pasting.worker_s == pytest.approx(1750 * 2)


def test_branches_without_weight_cost_nothing() -> None:
    one = SamplingConfig(steps=5, image_guidance=(1, 1), audio_guidance=(1, 1))
    assert num_branches(one) == 5
    assert num_branches(SamplingConfig(steps=5)) == 15
    assert num_branches(SamplingConfig(steps=5, guidance_interval=(0.2, 0.6))) == 2 * 3 + 3


def test_a_row_alone_is_held_up_by_its_segments_and_many_rows_are_not() -> None:
    one, many = RunEstimate.of([ROW]), RunEstimate.of([ROW] * 8)
    assert one.wall_s(1, 10) == pytest.approx(10 + 12)
    assert one.wall_s(4, 0) == pytest.approx(10 / 4 + 2)
    assert one.wall_s(100, 0) == one.wall_s(4, 0)
    assert many.wall_s(8, 0) == pytest.approx(8 * 12 / 8)
    short_end = replace(ROW, num_segments=2.5)
    assert RunEstimate.of([short_end, ROW]).wall_s(100, 0) == pytest.approx(10 / 2.5 + 2)
    assert RunEstimate.of([]).wall_s(3, 10) == 0


@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
@pytest.mark.parametrize("num_frames", [7, 50, 125, 200, 749])
def test_the_busiest_worker_has_whole_segments(num_frames: int, num_workers: int) -> None:
    loads = [0] * num_workers
    for segment in cut_segments(num_frames, 50):
        loads[loads.index(min(loads))] += segment.stop - segment.start
    share = busiest_share(num_frames / 50, num_workers)
    assert share == pytest.approx(max(loads) / num_frames)


@pytest.mark.parametrize("num_workers", [2, 4, 8])
@pytest.mark.parametrize("seconds", [10.0, 60.0])
def test_a_row_takes_as_long_as_the_dispatcher_needs_for_it(
    tmp_path: Path, seconds: float, num_workers: int
) -> None:
    pool = VirtualPool([1.0] * num_workers, cost_s)
    render(pool, tmp_path, [seconds])
    num_segments = 12.5 * seconds / VIDEO.segment_frames
    planned_s = pool.worked_s * busiest_share(num_segments, num_workers)
    assert planned_s == pytest.approx(pool.now_s, rel=0.06)


@pytest.mark.parametrize(("seconds", "num_tokens"), [(1, 50), (70, 3500)])
def test_what_is_heard_takes_the_disk_of_its_tokens(seconds: int, num_tokens: int) -> None:
    sizes, plan = Sizes(SIDE, SIDE), plan_row(seconds, CONFIG.sampling)
    with_tokens, without = (
        estimate_row(plan, CONFIG, sizes, replace(CALIBRATION, work_token_bytes=each)).work_bytes
        for each in (7, 0)
    )
    assert with_tokens - without == 7 * num_tokens


def test_disk_is_what_stays_and_the_work_of_rows_in_flight() -> None:
    run = RunEstimate.of([ROW, replace(ROW, work_bytes=900)])
    assert run.output_bytes == 20
    assert run.work_bytes(rows_in_flight=8) == 2 * 900
    assert run.work_bytes(rows_in_flight=1) == 900


def test_a_calibration_is_kept_and_found_by_its_preset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = calibration_path(CONFIG)
    assert path is not None
    assert not load_calibration(CONFIG).is_measured
    save_calibration(CALIBRATION, path)
    assert load_calibration(CONFIG) == CALIBRATION
    larger = CONFIG.portrait.model_copy(update={"resolution": 256})
    assert not load_calibration(CONFIG.model_copy(update={"portrait": larger})).is_measured
    assert load_calibration(CONFIG.model_copy(update={"seed": 5})).is_measured
    for section, settings in (
        ("media", {"encoder": "nvenc"}),
        ("media", {"interpolation": "blend"}),
        ("sampling", {"cache_interval": 2}),
    ):
        other = {section: getattr(CONFIG, section).model_copy(update=settings)}
        assert not load_calibration(CONFIG.model_copy(update=other)).is_measured
    path.write_text("{")
    assert not load_calibration(CONFIG).is_measured


def test_a_calibration_that_is_named_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load_calibration(CONFIG, str(tmp_path / "none.json"))
    assert "--calibrate" in caught.value.remedy
    (tmp_path / "a file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_calibration(CALIBRATION, tmp_path / "a file" / "c.json")


def test_a_guess_grows_with_the_preset() -> None:
    sketch = load_preset("sketch")
    larger = sketch.portrait.model_copy(update={"resolution": 512})
    small, large = guess(sketch), guess(sketch.model_copy(update={"portrait": larger}))
    assert large.costs.branch_s == pytest.approx(16 * small.costs.branch_s)
    assert large.peak_bytes["decode"] > small.peak_bytes["decode"]
