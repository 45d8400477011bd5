"""Measures give the known answer on tracks and pictures that were made for it."""

import math

import numpy as np
import pytest

from training.evaluation import measures

WAVE = np.sin(np.arange(60) / 4)


def test_correlation_knows_the_same_the_opposite_and_standing_still() -> None:
    assert measures.correlation(WAVE, 3 * WAVE + 1) == pytest.approx(1)
    assert measures.correlation(WAVE, -WAVE) == pytest.approx(-1)
    assert measures.correlation(WAVE, np.zeros(60)) == 0


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_the_peak_says_how_many_frames_a_track_comes_late(late: int) -> None:
    correlations = measures.lagged_correlation(np.roll(WAVE, late)[5:-5], WAVE[5:-5], max_lag=4)
    assert len(correlations) == 9
    assert measures.peak_lag(correlations) == late
    assert correlations.max() == pytest.approx(1)


def test_a_closure_shows_in_the_most_shut_frame_beside_its_middle() -> None:
    opening = np.array([0.5, 0.04, 0.0, 0.6, 0.6, 0.6, 0.02])
    frames = measures.closure_frames(opening, [1.2, 4.0, 9.0], shut=0.08)
    assert frames.tolist() == [2]  # the second shows in no frame, the third is after the end


def test_two_closures_in_one_frame_count_once() -> None:
    assert measures.closure_frames(np.zeros(3), [0.9, 1.1], shut=0.1).tolist() == [0]


def test_head_motion_is_the_way_from_the_mean_place() -> None:
    pose = np.array([[0.1, 5.0], [0.3, 5.0]])
    assert measures.head_motion(pose, np.array([10.0, 7.0])) == pytest.approx(1.0)


def test_a_blink_is_a_lid_that_comes_down() -> None:
    assert measures.count_blinks(np.array([0, 0.9, 1, 0.2, 0.1, 0.7, 0])) == 2
    assert measures.count_blinks(np.array([1.0, 1, 0, 0])) == 0
    assert measures.count_blinks(np.full(4, 0.4)) == 0


def test_flicker_counts_only_what_the_mask_shows() -> None:
    pictures = np.zeros((3, 4, 4, 3), np.uint8)
    pictures[1, :2] = 10
    pictures[:, 3] = np.array([0, 200, 0])[:, None, None]
    upper = np.zeros((4, 4), bool)
    upper[:2] = True
    assert measures.flicker(pictures, upper) == pytest.approx(10)


def test_psnr_of_a_known_error() -> None:
    a = np.full((2, 4, 4, 3), 100, np.uint8)
    b = a.copy()
    b[:, 2:] += 51  # a fifth of the range, in half of the picture
    assert measures.psnr_db(a, b) == pytest.approx(10 * math.log10(2 * 25), abs=1e-3)
    upper = np.zeros((4, 4))
    upper[:2] = 1
    assert measures.psnr_db(a, b, upper) == 99.0
    assert measures.psnr_db(a, b, 1 - upper) == pytest.approx(10 * math.log10(25), abs=1e-3)


def test_still_pixels_are_those_that_never_leave_the_portrait() -> None:
    portrait = np.full((2, 2, 3), 250, np.uint8)
    pictures = np.stack([portrait, portrait])
    pictures[1, 0, 0, 2] = 3
    pictures[0, 1, 1] = 248
    assert measures.still_pixels(pictures, portrait).tolist() == [[False, True], [True, True]]


def test_the_interval_holds_the_mean_of_most_samples() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        sample = rng.normal(2.0, 1.0, (30, 1))
        value, low, high = measures.interval(sample, measures.mean, seed=seed, draws=400)
        assert low <= value <= high
        hits += low <= 2.0 <= high
    assert 0.88 < hits / 200 < 0.99


def test_a_clip_that_has_nothing_to_say_is_left_out() -> None:
    figures = np.array([[1.0, 2.0], [np.nan, 5.0], [3.0, 2.0]])
    value, low, high = measures.interval(figures, measures.ratio)
    assert value == pytest.approx(1.0)
    assert (low, high) == (0.5, 1.5)
    assert all(map(math.isnan, measures.interval(figures[1:2], measures.mean)))
