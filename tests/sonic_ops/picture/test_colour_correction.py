"""Colours stay those of the portrait, nothing pumps, and no cut of the video shows.

Shape letters: C colours, H, W rows and columns.
"""

import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.core.constants import MODEL_FPS, OUTPUT_FPS
from sonic_ops.picture.colour_correction import (
    MAX_GAIN,
    REACH_S,
    STATS_FRAMES,
    ColourStats,
    Correction,
    correction_of,
    held,
    joined,
    measure_colour_stats,
    stats_frames,
)
from sonic_ops.quality.colour import ciede2000, lab_of
from tests.scene import draw_scene

SIDE = 128
NUM_FRAMES = 60 * STATS_FRAMES  # two minutes
LAST = 2 * NUM_FRAMES - 1
Pixels = NDArray[np.uint8]


def portrait() -> tuple[Tensor, Tensor]:
    """A face with all around it, in [0, 1], and where it is."""
    image = draw_scene(200).crop((200, 60, 320, 180)).resize((SIDE, SIDE), Image.Resampling.BOX)
    face_HW = torch.zeros(SIDE, SIDE)
    face_HW[24:104, 32:96] = 1
    return torch.from_numpy(np.asarray(image) / np.float32(255)).movedim(-1, 0), face_HW


PORTRAIT_CHW, FACE_HW = portrait()


def shown(frame: float) -> Tensor:
    """A frame of a video that fades and turns red, with a mouth that opens and shuts."""
    share = frame / NUM_FRAMES
    image_CHW = PORTRAIT_CHW * (1 - 0.1 * share) + share * torch.tensor([0.08, 0, 0])[:, None, None]
    image_CHW[:, 80:100, 48:80] *= 0.6 + 0.4 * np.sin(1.7 * frame)
    return image_CHW.clamp(0, 1)


def as_picture(image_CHW: Tensor) -> Pixels:
    return np.asarray((image_CHW * 255).round().to(torch.uint8).movedim(0, -1))


def tints_of(frames: Sequence[int], noise: float = 0.0) -> ColourStats:
    rng = np.random.default_rng(0)
    return measure_colour_stats(
        ((f, shown(f) + noise * float(rng.standard_normal())) for f in frames),
        PORTRAIT_CHW,
        FACE_HW,
    )


def distance(image_HWC: Pixels) -> float:
    """Median CIEDE2000 of the colours of cells from those of the portrait."""
    cells = (
        picture.reshape(8, 16, 8, 16, 3).mean((1, 3)).astype(np.uint8)
        for picture in (image_HWC, as_picture(PORTRAIT_CHW))
    )
    return float(np.median(ciede2000(*map(lab_of, cells))))


def test_a_drift_over_minutes_is_taken_back() -> None:
    correction = correction_of(tints_of(stats_frames(0, NUM_FRAMES, NUM_FRAMES)))
    for number in (0, LAST):
        drifted = as_picture(shown(number / 2))
        (found,) = held([drifted], correction, number, OUTPUT_FPS)
        assert distance(found) < 0.8
    assert distance(as_picture(shown(LAST / 2))) > 3


def test_nothing_pumps() -> None:
    """Tints that jump by 2.5 levels move neighbouring output frames by less than a tenth of one."""
    colour_stats = tints_of(stats_frames(0, NUM_FRAMES, NUM_FRAMES), noise=0.01)
    correction = correction_of(colour_stats)
    grey = np.full((1, 1, 3), 100, np.uint8)
    ramp = np.concatenate([grey, grey + 100])
    means = []
    for picture in held([np.tile(ramp, (1, 500, 1))] * 400, correction, 0, OUTPUT_FPS):
        means.append(picture.astype(float).mean(1))
    assert max(np.abs(b - a).max() for a, b in pairwise(means)) <= 1  # whole levels, one at a time
    changed = [float(np.abs(b - a).max()) for a, b in pairwise(means)]
    assert np.mean(changed) < 0.1


def test_the_mouth_has_no_say() -> None:
    shut = measure_colour_stats([(0, PORTRAIT_CHW)], PORTRAIT_CHW, FACE_HW)
    opened = PORTRAIT_CHW.clone()
    opened[:, 72:100, 40:88] = 0
    wide = measure_colour_stats([(0, opened)], PORTRAIT_CHW, FACE_HW)
    assert np.array_equal(shut.means_NC, wide.means_NC)
    assert np.array_equal(shut.means_NC[0], shut.portrait_mean_C)
    picture = as_picture(PORTRAIT_CHW)
    (same,) = held([picture], correction_of(shut), 7, OUTPUT_FPS)
    assert np.array_equal(same, picture)


def test_any_part_of_the_video_gets_what_the_whole_gets() -> None:
    correction = correction_of(tints_of(stats_frames(0, 100, 100)))
    pictures = [as_picture(shown(n / 2)) for n in range(40, 60)]
    whole = list(held(pictures, correction, 40, OUTPUT_FPS))
    assert np.array_equal(whole[7:], list(held(pictures[7:], correction, 47, OUTPUT_FPS)))
    parts = [tints_of(stats_frames(0, 31, 100)), tints_of(stats_frames(31, 100, 100))]
    colour_stats = ColourStats.from_tensors(joined(parts).tensors())
    again = Correction.from_tensors(correction_of(colour_stats).tensors())
    assert np.array_equal(whole, list(held(pictures, again, 40, OUTPUT_FPS)))


def random_tints(num: int) -> ColourStats:
    means_NC, deviations_NC = np.random.default_rng(0).uniform(0.25, 0.35, (2, num, 3))
    frames = tuple(range(12, 12 + num * STATS_FRAMES, STATS_FRAMES))
    return ColourStats(frames, means_NC, deviations_NC, np.full(3, 0.3), np.full(3, 0.3))


@pytest.mark.parametrize("num", [1, 2, 14, 40])
def test_tints_are_averaged_by_a_bell_curve(num: int) -> None:
    colour_stats = random_tints(num)
    times_s = np.array(colour_stats.frames) / float(MODEL_FPS)
    weights_NN = np.exp(-(((times_s[:, None] - times_s) / REACH_S) ** 2) / 2)
    weights_NN /= weights_NN.sum(1, keepdims=True)
    gains_NC = 0.3 / (weights_NN @ colour_stats.deviations_NC)
    offsets_NC = 0.3 - gains_NC * (weights_NN @ colour_stats.means_NC)
    correction = correction_of(colour_stats)
    assert gains_NC.max() < MAX_GAIN
    assert np.allclose(correction.gains_NC, gains_NC, atol=1e-5)
    assert np.allclose(correction.offsets_NC, offsets_NC, atol=1e-5)


def test_the_colours_of_three_hours_take_little_memory() -> None:
    colour_stats = random_tints(3 * 3600 // 2)
    tracemalloc.start()
    correction_of(colour_stats)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 4e6  # all with all would be 233e6


@settings(max_examples=40)
@given(st.integers(1, 400), st.data())
def test_the_grid_of_tints_does_not_depend_on_the_cut(num_frames: int, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, num_frames))
    whole = stats_frames(0, num_frames, num_frames)
    parts = (stats_frames(0, cut, num_frames), stats_frames(cut, num_frames, num_frames))
    assert whole == parts[0] + parts[1]
    assert whole
    assert all(b - a == STATS_FRAMES for a, b in pairwise(whole))


def test_a_face_that_fills_the_image_is_looked_at_whole() -> None:
    everywhere = measure_colour_stats([(0, PORTRAIT_CHW)], PORTRAIT_CHW, torch.ones(SIDE, SIDE))
    assert np.allclose(everywhere.means_NC[0], PORTRAIT_CHW.mean((1, 2)), atol=1e-6)


def test_a_segment_is_corrected_for_its_place_in_the_video() -> None:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(60, 180, (4, 4, 3), dtype=np.uint8) for _ in range(10)]
    gains = np.linspace([0.7, 0.8, 0.9], [1.3, 1.2, 1.1], 3)
    correction = Correction(np.array([0, 2, 4]), gains, np.zeros((3, 3)))
    whole = [*held(pictures, correction, 0, Fraction(25))]
    cut = [
        *held(pictures[:4], correction, 0, Fraction(25)),
        *held(pictures[4:], correction, 4, Fraction(25)),
    ]
    assert np.array_equal(whole, cut)
    assert not np.array_equal(whole[4:], [*held(pictures[4:], correction, 0, Fraction(25))])
