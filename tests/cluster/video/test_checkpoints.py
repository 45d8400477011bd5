"""What is stopped and begun again gives the bits of the undisturbed run, and does little twice."""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cluster.pool.base import Pool, Ref, RowCosts
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.render import denoise_video, encode_audio
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.errors import DamagedFileError
from sonic_ops.core.presets import VideoConfig
from tests.cluster.conftest import Prepare
from tests.cluster.video.test_exact import latents_of, quiet

NUM_FRAMES = 11
NUM_WINDOWS = 2
STEPS = 5
VIDEO = VideoConfig(
    sampling=SamplingConfig(steps=STEPS, window_frames=6, shift_frames=2),
    segment_frames=1000,
    checkpoint_every=2,
)


class Watched:
    """A pool that counts its jobs, and in which no job runs after so many of one method."""

    def __init__(self, pool: Pool, method: str = "", lives: int = 0) -> None:
        self.num_workers = pool.num_workers
        self.jobs: Counter[str] = Counter()
        self._pool, self._method, self._lives = pool, method, lives

    @property
    def num_busy(self) -> int:
        return self._pool.num_busy

    def submit(self, method: str, *arguments: Any, **options: Any) -> tuple[Ref, ...]:
        if self._method and self.jobs[self._method] == self._lives:
            raise StoppedError
        self.jobs[method] += 1
        return self._pool.submit(method, *arguments, **options)

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        return self._pool.get(refs)

    def wait(self, refs: Sequence[Ref]) -> None:
        self._pool.wait(refs)

    def cancel_row(self, order: int) -> None:
        self._pool.cancel_row(order)

    def pop_costs(self, order: int) -> RowCosts:
        return self._pool.pop_costs(order)


class StoppedError(Exception):
    """The end of a run in its middle."""


@pytest.fixture
def video() -> VideoConfig:
    return VIDEO


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, local_pool: Pool
) -> tuple[Tensor, int]:
    """The latents, and how many jobs it takes to denoise them in segments of 3."""
    pool = Watched(local_pool)
    request = prepare(NUM_FRAMES, tmp_path_factory.mktemp("undisturbed") / "work")
    latents = render(pool, request, VIDEO.model_copy(update={"segment_frames": 3}))
    return latents, pool.jobs["denoise"]


def render(pool: Pool, request: VideoRequest, video: VideoConfig) -> Tensor:
    return latents_of(denoise_video(pool, request, video, quiet))


def stopped(pool: Pool, request: VideoRequest, video: VideoConfig, lives: int) -> Watched:
    watched = Watched(pool, "denoise", lives)
    with pytest.raises(StoppedError):
        render(watched, request, video)
    return watched


def steps_kept(request: VideoRequest) -> list[int]:
    return sorted(map(int, artifacts.names_in(request.checkpoints())))


def damage(path: Path) -> None:
    """Change one byte in the middle of the content."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("segment_frames", "every"),
    [(11, 2), *(pytest.param(*cut, marks=pytest.mark.slow) for cut in ((6, 2), (3, 1), (3, 3)))],
)
def test_stopped_anywhere_it_ends_with_the_same_bits_and_redoes_a_few_steps(
    segment_frames: int,
    every: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    undisturbed: tuple[Tensor, int],
) -> None:
    config = {"segment_frames": segment_frames, "checkpoint_every": every}
    video = video.model_copy(update=config)
    whole = Watched(local_pool)
    render(whole, prepare(NUM_FRAMES, tmp_path / "whole"), video)
    num_jobs = whole.jobs["denoise"]
    for lives in range(num_jobs):
        request = prepare(NUM_FRAMES, tmp_path / f"{lives}")
        stopped(local_pool, request, video, lives)
        again = Watched(local_pool)
        assert torch.equal(render(again, request, video), undisturbed[0])
        retries = lives + again.jobs["denoise"] - num_jobs
        assert 0 <= retries <= every * min(NUM_WINDOWS, -(-NUM_FRAMES // segment_frames))


def test_a_run_without_checkpoints_begins_at_the_noise(
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    undisturbed: tuple[Tensor, int],
) -> None:
    config = video.model_copy(update={"segment_frames": 3, "checkpoint_every": 0})
    latents, num_jobs = undisturbed
    request = prepare(NUM_FRAMES, tmp_path / "work")
    stopped(local_pool, request, config, num_jobs - 1)
    again = Watched(local_pool)
    assert torch.equal(render(again, request, config), latents)
    assert again.jobs["denoise"] == num_jobs


@pytest.mark.parametrize("changed", [{"segment_frames": 4}, {"checkpoint_every": 3}])
def test_a_run_with_another_cut_or_rule_ends_with_the_same_bits(
    tmp_path: Path,
    changed: dict[str, int],
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    undisturbed: tuple[Tensor, int],
) -> None:
    video = video.model_copy(update={"segment_frames": 3})
    latents, num_jobs = undisturbed
    request = prepare(NUM_FRAMES, tmp_path / "work")
    stopped(local_pool, request, video, num_jobs // 2)
    assert steps_kept(request) == [2]
    assert torch.equal(render(local_pool, request, video.model_copy(update=changed)), latents)


def test_the_two_newest_steps_are_kept(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, local_pool: Pool
) -> None:
    video = video.model_copy(update={"segment_frames": 6, "checkpoint_every": 1})
    request = prepare(NUM_FRAMES, tmp_path)
    seen = []
    denoise_video(local_pool, request, video, lambda progress: seen.append(steps_kept(request)))
    assert max(map(len, seen)) <= 4  # two of them are on their way
    assert steps_kept(request) == [STEPS - 1]  # and the latents


@pytest.mark.parametrize("step", [2, 4])
def test_a_damaged_checkpoint_is_said_and_made_again(
    step: int,
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    undisturbed: tuple[Tensor, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    video = video.model_copy(update={"segment_frames": 3})
    latents, num_jobs = undisturbed
    request = prepare(NUM_FRAMES, tmp_path / "work")
    stopped(local_pool, request, video, num_jobs - 1)
    damaged = next(Path(request.checkpoints(step)).iterdir())
    damage(damaged)
    again = Watched(local_pool)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(
            artifacts.retry_on_corrupt(partial(render, again, request, video)), latents
        )
    assert (str(damaged) in caplog.text) == (step == 4)  # nobody has to read the older one
    assert again.jobs["denoise"] <= num_jobs / 2


def test_damaged_tokens_are_said_and_made_again(
    tmp_path: Path,
    prepare: Prepare,
    video: VideoConfig,
    local_pool: Pool,
    undisturbed: tuple[Tensor, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    tokens = Path(request.chunks[0].target)
    (kept,) = tmp_path.glob("work/tokens")
    content = tokens.read_bytes()
    kept.unlink()  # it leads to files that other tests read
    kept.mkdir()
    tokens.write_bytes(content)
    damage(tokens)

    def row() -> Tensor:
        encode_audio(local_pool, request, quiet)
        return render(local_pool, request, video)

    assert torch.equal(artifacts.retry_on_corrupt(row), undisturbed[0])
    assert str(tokens) in caplog.text
    assert tokens.read_bytes() == content


def test_a_file_that_is_damaged_again_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "tensors"

    def broken() -> dict[str, Tensor]:
        artifacts.write_tensors(str(file), lambda: {"a": torch.ones(100)})
        damage(file)
        return artifacts.read_tensors(str(file))

    with pytest.raises(DamagedFileError, match="tensors is damaged"):
        artifacts.retry_on_corrupt(broken)
