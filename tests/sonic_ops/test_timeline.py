"""Facts about windows and segments, over random videos."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from sonic_ops.timeline import cut_pieces, cut_segments, num_output_frames_of, window_grid

LENGTHS = st.integers(1, 400)
STEPS = st.integers(0, 60)


@given(LENGTHS, STEPS, st.integers(1, 30), st.integers(0, 12), st.data())
def test_every_frame_is_in_a_window_at_every_step(
    num_frames: int, step: int, size: int, shift: int, data: st.DataObject
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    grid = window_grid(num_frames, step, size=size, overlap=overlap, shift=shift)
    assert {f for w in grid for f in w.frames(num_frames)} == set(range(num_frames))


@given(st.integers(1, 16).map(lambda n: 25 * n), STEPS)
def test_a_whole_number_of_windows_covers_each_frame_once(num_frames: int, step: int) -> None:
    frames = [f for w in window_grid(num_frames, step) for f in w.frames(num_frames)]
    assert sorted(frames) == list(range(num_frames))


def test_the_grid_moves_to_the_left_on_the_ring() -> None:
    starts = [[w.start for w in window_grid(50, step)] for step in range(3)]
    assert starts == [[0, 25], [43, 18], [36, 11]]


@given(LENGTHS, st.integers(1, 130))
def test_segments_tile_the_video(num_frames: int, size: int) -> None:
    segments = cut_segments(num_frames, size)
    assert [f for s in segments for f in range(s.start, s.stop)] == list(range(num_frames))
    assert [s.index for s in segments] == list(range(len(segments)))


@given(st.integers(1280, 400_000), st.integers(1, 60))
def test_output_frames_of_segments_last_as_long_as_the_audio(num_samples: int, size: int) -> None:
    num_frames = num_samples // 1280
    total = num_output_frames_of(num_samples)
    parts = [s.output_frames(num_frames, total) for s in cut_segments(num_frames, size)]
    assert [k for part in parts for k in part] == list(range(total))
    assert abs(640 * total - num_samples) <= 320  # half an output frame


@given(st.integers(1, 2_000_000))
def test_pieces_tile_the_audio(num_samples: int) -> None:
    pieces = list(cut_pieces(num_samples, 480_000))
    assert pieces[0].start == 0
    assert pieces[-1].stop == num_samples
    assert all(a.stop == b.start for a, b in itertools.pairwise(pieces))
