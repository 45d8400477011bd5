"""Facts about windows and segments, over random videos."""

import itertools
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sonic_ops.core.timeline import (
    PaddingMode,
    Ring,
    Window,
    cut_audio_chunks,
    cut_segments,
    num_output_frames_of,
    pad_segments,
    ramp,
    window_grid,
)

LENGTHS = st.integers(1, 400)
STEPS = st.integers(0, 60)


EDGES: st.SearchStrategy[PaddingMode] = st.sampled_from(["circular", "reflect"])


@given(LENGTHS, STEPS, st.integers(1, 30), st.integers(0, 12), EDGES, st.data())
def test_every_frame_is_in_a_window_at_every_step(
    num_frames: int,
    step: int,
    size: int,
    shift: int,
    padding_mode: PaddingMode,
    data: st.DataObject,
) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    grid = window_grid(
        num_frames, step, size=size, overlap=overlap, shift=shift, padding_mode=padding_mode
    )
    ring = Ring(0, num_frames, padding_mode)
    assert {frame for w in grid for _, frame in ring.parts(w)} == set(range(num_frames))
    assert all(next(ring.parts(w), None) for w in grid)


@given(st.integers(1, 16).map(lambda n: 25 * n), STEPS)
def test_a_whole_number_of_windows_covers_each_frame_once(num_frames: int, step: int) -> None:
    ring = Ring(0, num_frames)
    frames = [f for w in window_grid(num_frames, step) for f in ring.frames(w)]
    assert sorted(frames) == list(range(num_frames))


@given(LENGTHS, STEPS)
def test_between_mirrors_each_frame_is_made_once(num_frames: int, step: int) -> None:
    ring = Ring(0, num_frames, "reflect")
    grid = window_grid(num_frames, step, padding_mode="reflect")
    assert [f for w in grid for _, f in ring.parts(w)] == list(range(num_frames))
    assert len(grid) <= -(-num_frames // 25) + 1


@given(st.integers(0, 50), st.integers(1, 40), st.integers(-30, 40))
def test_a_mirror_shows_the_frames_again(first: int, num_frames: int, start: int) -> None:
    window = Window(0, min(start, num_frames - 1), 25)
    seen = np.pad(np.arange(num_frames), 200, mode="reflect") + first
    expected = seen[window.start + 200 :][:25]
    assert Ring(first, num_frames, "reflect").frames(window) == tuple(expected)


def test_the_grid_moves_to_the_left_on_the_ring() -> None:
    starts = [[w.start for w in window_grid(50, step)] for step in range(3)]
    assert starts == [[0, 25], [43, 18], [36, 11]]
    starts = [[w.start for w in window_grid(50, step, padding_mode="reflect")] for step in range(5)]
    assert starts == [[0, 25], [-7, 18, 43], [-14, 11, 36], [-21, 4, 29], [-3, 22, 47]]


@given(LENGTHS, st.integers(1, 130))
def test_segments_tile_the_video(num_frames: int, size: int) -> None:
    segments = cut_segments(num_frames, size)
    assert [f for s in segments for f in range(s.start, s.stop)] == list(range(num_frames))
    assert [s.index for s in segments] == list(range(len(segments)))


@given(LENGTHS, st.integers(1, 100), st.integers(0, 49), st.data())
def test_borders_stay_within_the_tolerance(
    num_frames: int, size: int, tolerance: int, data: st.DataObject
) -> None:
    tolerance = min(tolerance, (size - 1) // 2)
    spans = st.tuples(st.integers(0, 400), st.integers(1, 20))
    pauses = [range(start, start + length) for start, length in data.draw(st.lists(spans))]
    segments = cut_segments(num_frames, size, pauses=pauses, tolerance=tolerance)
    assert [f for s in segments for f in range(s.start, s.stop)] == list(range(num_frames))
    for segment in segments[1:]:
        assert abs(segment.start - segment.index * size) <= tolerance


def test_a_border_moves_to_the_middle_of_a_pause() -> None:
    pauses = [range(20, 22), range(42, 50), range(70, 71)]
    segments = cut_segments(100, 25, pauses=pauses, tolerance=5)
    assert [s.start for s in segments] == [0, 21, 46, 70 + 5]
    assert [s.start for s in cut_segments(100, 25, pauses=pauses)] == [0, 25, 50, 75]


OVERLAPS = st.integers(0, 40)


@given(st.integers(1, 90), st.integers(3, 100), OVERLAPS)
def test_a_stretch_holds_its_overlaps_and_a_window(
    num_frames: int, size: int, overlap: int
) -> None:
    segments = cut_segments(num_frames, size)
    for segment, stretch in zip(segments, pad_segments(segments, overlap, 25), strict=True):
        assert 0 <= stretch.start <= max(0, segment.start - overlap // 2)
        assert min(segment.stop + overlap - overlap // 2, num_frames) <= stretch.stop <= num_frames
        assert len(stretch) >= min(25, num_frames)
        weighed = [f for f in range(num_frames) if ramp(segment, f, num_frames, overlap)]
        assert set(range(segment.start, segment.stop)) <= set(weighed)
        assert set(weighed) <= set(range(stretch.start, stretch.stop))


@given(st.integers(1, 8), st.integers(1, 60), OVERLAPS)
def test_ramps_across_an_overlap_have_the_sum_1(count: int, size: int, overlap: int) -> None:
    size = max(size, overlap)
    segments = cut_segments(count * size, size)
    for frame in range(count * size):
        weights = [ramp(segment, frame, count * size, overlap) for segment in segments]
        assert abs(sum(weights) - 1) < 1e-9


@given(st.integers(0, 50), LENGTHS, st.integers(0, 60), st.integers(1, 90))
def test_frames_around_a_ring_are_those_of_its_windows(
    first: int, num_frames: int, start: int, length: int
) -> None:
    ring, start = Ring(first, num_frames), start % num_frames
    around = ring.around(first + start, first + start + length)
    assert around == tuple(sorted({first + (start + i) % num_frames for i in range(length)}))


@given(st.integers(1280, 400_000), st.integers(1, 60))
def test_output_frames_of_segments_last_as_long_as_the_audio(num_samples: int, size: int) -> None:
    num_frames = num_samples // 1280
    total = num_output_frames_of(num_samples)
    parts = [s.output_frames(num_frames, total) for s in cut_segments(num_frames, size)]
    assert [k for part in parts for k in part] == list(range(total))
    assert abs(640 * total - num_samples) <= 320  # half an output frame


@given(st.integers(1280, 400_000), st.integers(1, 60), st.fractions(20, 120, max_denominator=1001))
def test_segments_share_the_output_frames_of_any_rate(
    num_samples: int, size: int, fps: Fraction
) -> None:
    num_frames, total = num_samples // 1280, num_output_frames_of(num_samples, fps)
    segments = cut_segments(num_frames, size)
    parts = [segment.output_frames(num_frames, total, fps) for segment in segments]
    assert all(parts)
    assert [k for part in parts for k in part] == list(range(total))
    assert abs(total / fps - Fraction(num_samples, 16_000)) <= 1 / fps / 2
    for segment, part in zip(segments[:-1], parts[:-1], strict=True):
        assert all(n * Fraction(25, 2) / fps // 1 in segment for n in (part[0], part[-1]))


@given(st.integers(1, 2_000_000))
def test_pieces_tile_the_audio(num_samples: int) -> None:
    chunks = cut_audio_chunks(num_samples, 480_000)
    assert chunks[0].start == 0
    assert chunks[-1].stop == num_samples
    assert all(a.stop == b.start for a, b in itertools.pairwise(chunks))
    for token in {0, 1499, 1500, 3000, num_samples // 320 - 1} & set(range(num_samples // 320)):
        assert [chunk.share(token) for chunk in chunks].index(1.0) == token // 1500


@given(st.integers(1, 2_000_000), st.integers(1, 700).map(lambda n: 320 * n))
def test_pieces_that_overlap_hear_as_much_and_share_every_token(
    num_samples: int, overlap: int
) -> None:
    chunks = cut_audio_chunks(num_samples, 480_000, overlap)
    assert (chunks[0].start, chunks[-1].stop) == (0, num_samples)
    assert all(chunk.start % 320 == 0 for chunk in chunks)
    if len(chunks) > 1:
        assert all(480_000 - 320 < chunk.stop - chunk.start <= 480_000 for chunk in chunks)
        assert all(a.stop - b.start >= overlap for a, b in itertools.pairwise(chunks))
    for chunk in chunks:  # what it adds, it has heard
        assert chunk.first_token <= chunk.rise.start
        assert 320 * (chunk.fall.stop - 1) < chunk.stop
    around = {t for chunk in chunks for t in (*chunk.rise[:2], *chunk.fall[-2:], chunk.fall.start)}
    for token in around & set(range(-(-num_samples // 320))):
        assert abs(sum(chunk.share(token) for chunk in chunks) - 1) < 1e-9


def test_up_to_one_piece_overlaps_change_nothing() -> None:
    for num_samples in (1, 1280, 479_999, 480_000):
        assert cut_audio_chunks(num_samples, 480_000, 80_000) == cut_audio_chunks(
            num_samples, 480_000
        )
    first, second = cut_audio_chunks(480_001, 480_000, 80_000)
    assert (first.stop, second.start) == (480_000, 320)
    assert first.fall == second.rise == range(725, 775)
