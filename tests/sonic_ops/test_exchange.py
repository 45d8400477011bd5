"""Facts about what segments hand to each other."""

from collections import Counter
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from sonic_ops.exchange import fusion_order, plan_step
from sonic_ops.timeline import cut_segments, window_grid

PLANS = st.builds(
    lambda num_frames, size, step, window: plan_step(
        cut_segments(num_frames, size), partial(window_grid, step=step, size=window)
    ),
    st.integers(1, 150),
    st.integers(1, 60),
    st.integers(0, 30),
    st.integers(1, 30),
)


@given(PLANS)
def test_every_part_of_every_window_reaches_the_owner_of_its_frame(plan) -> None:  # type: ignore[no-untyped-def]
    sent = Counter(
        (part.window, part.position)
        for writer, owners in enumerate(plan.touched)
        for owner in owners
        for part in plan.parts(writer, owner)
    )
    windows = [w for part in plan.windows for w in part]
    assert sent == Counter((w.index, j) for w in windows for j in range(w.size))


@given(PLANS)
def test_a_segment_reads_just_the_frames_of_its_windows(plan) -> None:  # type: ignore[no-untyped-def]
    for reader, windows in enumerate(plan.windows):
        read = [f for owner in plan.touched[reader] for f in plan.reads(reader, owner)]
        assert sorted(read) == sorted({f for w in windows for f in plan.rings[reader].frames(w)})


@given(PLANS)
def test_parts_are_fused_in_the_order_of_one_worker(plan) -> None:  # type: ignore[no-untyped-def]
    for segment in plan.segments:
        parcels = [plan.parts(w, segment.index) for w in plan.touching[segment.index]]
        parts = [part for parcel in parcels for part in parcel]
        keys = [(parts[i].window, parts[i].position) for i in fusion_order(parcels)]
        assert keys == sorted(keys)
        assert {part.frame for part in parts} == set(range(segment.start, segment.stop))
