"""What is still to be made, and what is kept in memory meanwhile."""

import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.pool.base import Affinity, Ref, RowCosts
from cluster.video.denoising import BLOCK_SEGMENTS
from cluster.video.jobs import DenoiseJob, VideoRequest
from cluster.video.render import denoise_video
from cluster.video.resume import remaining_work
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import SAMPLES_PER_FRAME
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import cut_segments, window_grid
from sonic_ops.sampling.halo import StepPlan, plan_step
from tests.cluster.video.test_exact import quiet

STEPS = 8


class Handle:
    """Stands for what a job of this test would give."""


class PaperPool:
    """Runs nothing: it counts the handles that somebody still holds, as a store would."""

    num_workers = 2
    num_busy = 0

    def __init__(self) -> None:
        self.held: weakref.WeakSet[Handle] = weakref.WeakSet()
        self.most_held = 0
        self.jobs: list[tuple[str, Any]] = []

    def submit(
        self,
        method: str,
        *arguments: Any,
        num_returns: int = 1,
        persistent: bool = False,
        affinity: Affinity = (0, 0),
    ) -> tuple[Ref, ...]:
        self.jobs.append((method, arguments[0]))
        handles = tuple(Handle() for _ in range(num_returns))
        if not persistent:  # what lasts is an address
            self.held.update(handles)
        self.most_held = max(self.most_held, len(self.held))
        return handles

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        return [None for _ in refs]

    def wait(self, refs: Sequence[Ref]) -> None:
        pass

    def cancel_row(self, order: int) -> None:
        pass

    def pop_costs(self, order: int) -> RowCosts:
        return RowCosts()


def on_paper(num_segments: int, work: Path, **settings: object) -> PaperPool:
    config = VideoConfig.model_validate(
        {"sampling": SamplingConfig(steps=STEPS), "segment_frames": 25} | settings
    )
    pool = PaperPool()
    num_samples = 25 * num_segments * SAMPLES_PER_FRAME
    denoise_video(pool, VideoRequest("a", "p", num_samples, str(work)), config, quiet)
    return pool


@pytest.mark.parametrize("fusion", ["every_step", "at_end"])
def test_what_is_held_does_not_grow_with_the_video(tmp_path: Path, fusion: str) -> None:
    most = [on_paper(n, tmp_path, fusion=fusion).most_held for n in (40, 80, 160)]
    assert most[0] == most[1] == most[2]
    assert most[0] <= 2 * 3 * (BLOCK_SEGMENTS * PaperPool.num_workers + STEPS)


def test_every_window_is_denoised_once_in_every_step(tmp_path: Path) -> None:
    jobs = [job for _, job in on_paper(30, tmp_path).jobs if isinstance(job, DenoiseJob)]
    windows = [(job.step, window.index) for job in jobs for window in job.windows]
    assert sorted(windows) == [(step, index) for step in range(STEPS) for index in range(30)]


def plan(num_frames: int, size: int, step: int) -> StepPlan:
    return plan_step(cut_segments(num_frames, size), partial(window_grid, step=step))


@given(st.integers(1, 200), st.integers(5, 60), st.integers(1, 6), st.data())
def test_what_is_missing_is_made_from_what_is_kept(
    num_frames: int, size: int, num_steps: int, data: st.DataObject
) -> None:
    segments = range(len(cut_segments(num_frames, size)))
    some = st.frozensets(st.sampled_from(segments))
    kept = {step: data.draw(some) for step in range(1, num_steps + 1)}
    wanted = data.draw(some)
    needs = remaining_work(
        lambda step: plan(num_frames, size, step), num_steps, wanted, lambda step: kept[step]
    )
    assert needs.made[num_steps] == wanted - kept[num_steps]
    for step in range(num_steps):
        part = plan(num_frames, size, step)
        for owner in needs.made[step + 1]:
            assert set(part.writers[owner]) <= needs.writers[step]
        read = {owner for writer in needs.writers[step] for owner in part.sources[writer]}
        assert needs.made[step] == (read - kept[step] if step else frozenset())
        for writer in needs.writers[step]:
            assert needs.made[step + 1].intersection(part.targets[writer])
