"""Pictures that other processes make while one trains."""

import multiprocessing
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sonic_ops.core.errors import ConfigError, RenderError
from training.data import samples
from training.data.dataset import Speech, read_pictures, save_arrays
from training.data.features import AFTER, BEFORE
from training.data.shard_workers import Kind, are_working, make_shards, shard_workers
from training.fit import autoencoder
from training.fit.diffusion import Samples
from training.people.motion import NUM_CHANNELS

KIND = Kind("windows", first_seed=100_000, people=8, frames=3, whole_windows=True)
NUM_TOKENS = 40


@pytest.fixture(scope="module")
def speech() -> Speech:
    rows = BEFORE + NUM_TOKENS + AFTER
    return Speech(
        features=torch.zeros(rows, 1),
        tracks=np.random.default_rng(0).uniform(0, 0.5, (rows, NUM_CHANNELS)).astype(np.float32),
        starts=np.array([BEFORE]),
        lengths=np.array([NUM_TOKENS]),
        amplitudes=np.array([[0.4, 0.5]], np.float32),
    )


def test_a_shard_depends_on_its_number_alone(tmp_path: Path, speech: Speech) -> None:
    make_shards(tmp_path / "a", KIND, [0, 1], speech)
    make_shards(tmp_path / "b", KIND, [1], speech)
    one, same, other = (
        read_pictures([tmp_path / name]).pictures
        for name in ("a/windows-1", "b/windows-1", "a/windows-0")
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_later_shards_never_move_earlier_ones(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        (tmp_path / f"speech-{number}").mkdir()
    (tmp_path / "speech-3.draft").mkdir()
    found = [path.name for path in samples.finished(tmp_path, "speech")]
    assert found == ["speech-0", "speech-2", "speech-10"]


def test_latents_that_hardly_move_are_refused(tmp_path: Path) -> None:
    latents = np.random.default_rng(0).standard_normal((8, 4, 8, 16, 16)).astype(np.float16)
    still = np.repeat(latents[:, :1], 4, axis=1) + latents / 10
    save_arrays(tmp_path / "still", latents=still)
    with pytest.raises(ConfigError, match=r"spread by 0\.1"):
        samples.read_samples([tmp_path / "still"], torch.zeros(1), 1.4)


@pytest.mark.slow
def test_samples_grow_while_makers_work(tmp_path: Path, speech: Speech) -> None:
    vae = autoencoder.make_autoencoder().eval()
    tokens = torch.zeros(len(speech.tracks) + 1, 8, 64)
    growing = samples.GrowingSamples(
        tmp_path, KIND.name, vae, tokens, scale=None, more_may_come=partial(are_working, KIND)
    )
    growing.device = torch.device("cpu")
    shard = tmp_path / "speech-0"
    arrays = {field.name: np.asarray(getattr(speech, field.name)) for field in fields(speech)}
    save_arrays(shard, **arrays)
    with shard_workers(tmp_path, KIND, 1, [shard]):
        first = len(growing().latents)
        limit = time.monotonic() + 60
        while len(growing().latents) == first and time.monotonic() < limit:
            growing.looked = -100.0
    assert len(growing().latents) > first >= KIND.people
    known = growing()
    assert known.latents.shape[1:] == (KIND.frames + 1, 8, 16, 16)
    assert known.amplitudes.shape == (len(known.latents), KIND.frames, 2)
    encoded = samples.finished(tmp_path, samples.LATENTS + KIND.name)
    assert {path.name.removeprefix(samples.LATENTS) for path in encoded}.isdisjoint(
        path.name for path in samples.finished(tmp_path, KIND.name)
    )


def test_when_all_makers_have_died_nobody_waits_for_them(tmp_path: Path) -> None:
    vae = autoencoder.make_autoencoder().eval()
    growing = samples.GrowingSamples(
        tmp_path,
        KIND.name,
        vae,
        torch.zeros(1),
        scale=None,
        more_may_come=partial(are_working, KIND),
    )
    other = replace(KIND, name="images")
    with ThreadPoolExecutor(1) as threads, shard_workers(tmp_path, KIND, 2, []):
        assert (are_working(KIND), are_working(other)) == (True, False)
        for worker in multiprocessing.active_children():
            if worker.name.endswith(KIND.name):
                worker.kill()
        error = ended(growing, threads.submit(growing))
    assert isinstance(error, RenderError)
    assert "no windows to train on, and no process is left that paints any" in error.message


def ended(growing: samples.GrowingSamples, waiting: Future[Samples]) -> BaseException | None:
    """What it has raised; who still waits is let go."""
    try:
        return waiting.exception(timeout=60)
    finally:
        none = torch.zeros(1)
        growing.samples = growing.samples or Samples(none, none, none, none, none, none, 1.0)
