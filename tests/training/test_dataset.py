"""Shards of pictures: who is in them, how strongly they move, and what is known about them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.altering import altered
from training.data.dataset import (
    MOST_GAIN,
    Pictures,
    Speech,
    draw_gains,
    draw_reference,
    read_pictures,
    training_seeds,
    window_frames,
    write_pictures,
)
from training.people import styles
from training.people.motion import BLINK, BROW, NUM_CHANNELS, YAW
from training.people.mouth import JAW
from training.people.people import draw_identity, is_held_out


@pytest.fixture(scope="module")
def speech() -> Speech:
    rng = np.random.default_rng(0)
    return Speech(
        features=torch.zeros(0),
        tracks=rng.uniform(0, 0.5, (260, NUM_CHANNELS)).astype(np.float32),
        starts=np.array([20, 150]),
        lengths=np.array([100, 100]),
        amplitudes=np.array([[0.2, 0.5], [0.4, 0.3]], np.float32),
    )


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory, speech: Speech) -> Path:
    target = tmp_path_factory.mktemp("run") / "windows-0"
    write_pictures(target, speech, window_frames(speech, 3), shard=7, num_people=12)
    return target


def test_no_shard_has_a_held_out_person_or_style() -> None:
    seeds = training_seeds(3, 500)
    assert len(seeds) == 500
    assert not any(map(is_held_out, seeds))
    assert styles.HELD_OUT not in {draw_identity(seed).style for seed in seeds}


def test_a_clips_poses_have_its_amplitudes(speech: Speech) -> None:
    rows = np.array([20, 119, 150, 249])
    assert speech.amplitudes_at(rows)[:, 0].tolist() == pytest.approx([0.2, 0.2, 0.4, 0.4])
    poses, doubled = speech.poses(rows), speech.poses(rows, (2.0, 1.0))
    assert poses[:, YAW] == pytest.approx(speech.tracks[rows, YAW] * [0.2, 0.2, 0.4, 0.4])
    assert doubled[:, YAW] == pytest.approx(2 * poses[:, YAW])
    assert np.array_equal(doubled[:, BROW], poses[:, BROW])
    assert poses[:2, JAW] == pytest.approx(speech.tracks[rows[:2], JAW])


def test_gains_reach_from_stillness_to_double_and_are_independent() -> None:
    rng = np.random.default_rng(0)
    gains = np.array([draw_gains(rng) for _ in range(4000)])
    assert gains.min() < 0.05
    assert gains.max() > 2.2
    assert gains.max() <= MOST_GAIN
    assert abs(np.corrcoef(gains.T)[0, 1]) < 0.05


def test_a_shard_knows_the_amplitudes_it_was_painted_with(shard: Path, speech: Speech) -> None:
    known: Pictures = read_pictures([shard])
    assert known.pictures.shape == (12, 4, 128, 128, 3)
    assert known.amplitudes.shape == (12, 3, 2)
    gains = known.amplitudes / speech.amplitudes_at(known.rows)
    assert gains[:, 0] == pytest.approx(gains[:, 2])
    assert np.ptp(gains[:, 0, 0]) > 0.5


def test_heads_sit_for_windows_too(tmp_path: Path, speech: Speech) -> None:
    target = tmp_path / "heads-0"
    write_pictures(target, speech, window_frames(speech, 2), shard=7, num_people=2, world="heads")
    known = read_pictures([target])
    assert known.pictures.shape == (2, 3, 128, 128, 3)
    left, top, right, bottom = known.boxes.T[..., None]
    x, y = known.mouths[..., 0], known.mouths[..., 1]
    assert ((left < x) & (x < right) & ((top + bottom) / 2 < y) & (y < bottom)).all()


def test_altered_people_keep_their_places() -> None:
    picture = np.full((1, 3, 128, 128, 3), 90, np.uint8)
    picture[:, :, 78:83, 48:53] = 255
    mouths = np.full((1, 3, 2), (50, 80), np.float32)
    boxes = np.array([[30, 40, 90, 110]], np.float32)
    pictures = Pictures(picture, mouths, boxes, np.zeros((1, 2), int), np.ones((1, 2, 2)))
    places = set()
    for seed in range(6):
        other = altered(pictures, np.random.default_rng(seed))
        x, y = other.mouths[0, 2].round().astype(int)
        places.add((x, y))
        assert other.pictures[0, 2, y, x].min() > 150
        left, top, right, bottom = other.boxes[0]
        assert left < x < right
        assert top < y < bottom
    assert len(places) > 3
    assert np.array_equal(pictures.pictures, picture)


def test_a_reference_looks_at_us_with_open_eyes() -> None:
    rng = np.random.default_rng(0)
    pose = np.ones(NUM_CHANNELS, np.float32)
    drawn = np.array([draw_reference(pose, rng) for _ in range(500)])
    assert (drawn[:, BLINK] > 0).mean() < 0.05
    assert (drawn[:, JAW] == 0).mean() > 0.55
    assert (drawn[:, YAW] == 0.5).all()
