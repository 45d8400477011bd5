"""Facts about what segments hand to each other."""

from collections import Counter
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from sonic_ops.core.timeline import PaddingMode, cut_segments, window_grid
from sonic_ops.sampling.halo import StepPlan, fusion_order, plan_step

EDGES: tuple[PaddingMode, ...] = ("circular", "reflect")
PLANS = st.builds(
    lambda num_frames, size, step, window, padding_mode: plan_step(
        cut_segments(num_frames, size),
        partial(window_grid, step=step, size=window, padding_mode=padding_mode),
        padding_mode,
    ),
    st.integers(1, 150),
    st.integers(1, 60),
    st.integers(0, 30),
    st.integers(1, 30),
    st.sampled_from(EDGES),
)


@given(PLANS)
def test_every_part_of_every_window_reaches_the_owner_of_its_frame(plan: StepPlan) -> None:
    sent = Counter(
        (part.window, part.position)
        for writer, owners in enumerate(plan.targets)
        for owner in owners
        for part in plan.parts(writer, owner)
    )
    windows = [w for part in plan.windows for w in part]
    assert sent == Counter((w.index, j) for w in windows for j, _ in plan.rings[0].parts(w))


@given(PLANS)
def test_a_segment_reads_just_the_frames_of_its_windows(plan: StepPlan) -> None:
    for reader, windows in enumerate(plan.windows):
        read = [f for owner in plan.sources[reader] for f in plan.reads(reader, owner)]
        assert sorted(read) == sorted({f for w in windows for f in plan.rings[reader].frames(w)})


@given(PLANS)
def test_nobody_is_handed_nothing(plan: StepPlan) -> None:
    pairs = [(w, owner) for w, owners in enumerate(plan.targets) for owner in owners]
    assert all(plan.parts(*pair) for pair in pairs)
    assert sorted(pairs) == sorted((w, s) for s, ws in enumerate(plan.writers) for w in ws)
    pairs = [(reader, owner) for reader, owners in enumerate(plan.sources) for owner in owners]
    assert all(plan.reads(*pair) for pair in pairs)
    assert sorted(pairs) == sorted((r, s) for s, rs in enumerate(plan.readers) for r in rs)


@given(PLANS)
def test_what_a_segment_hears_holds_what_its_windows_read(plan: StepPlan) -> None:
    for segment, ring, windows in zip(plan.segments, plan.rings, plan.windows, strict=True):
        for window in windows:
            heard = ring.around(segment.start, segment.stop + window.size - 1)
            assert set(ring.frames(window)) <= set(heard)


@given(PLANS)
def test_parts_are_fused_in_the_order_of_one_worker(plan: StepPlan) -> None:
    for segment in plan.segments:
        parcels = [plan.parts(w, segment.index) for w in plan.writers[segment.index]]
        parts = [part for parcel in parcels for part in parcel]
        keys = [(parts[i].window, parts[i].position) for i in fusion_order(parcels)]
        assert keys == sorted(keys)
        assert {part.frame for part in parts} == set(range(segment.start, segment.stop))
