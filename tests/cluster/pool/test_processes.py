"""A pool without Ray: processes that die, hang, or cannot start."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from cluster.config import ClusterConfig
from cluster.pool.base import Pool, Ref
from cluster.pool.processes import ProcessPool, open_process_pool
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError, RenderError, WorkerLostError
from tests.cluster.pool.counter import LARGE, Counter

EXPECTED = LARGE * LARGE  # the sum of 2 i + 1
MODELS = ModelsConfig(weights="none")


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    config = ClusterConfig(max_retries=1, job_timeout_s=3600)
    with open_process_pool(config, MODELS, Counter, 2) as opened:
        yield opened


def started_sum(pool: Pool, pause_s: float) -> tuple[Ref, ...]:
    part, other = (pool.submit("numbers", first, affinity=(0, first))[0] for first in range(2))
    both = pool.submit("slowly", pool.submit("add", part, other)[0], pause_s)[0]
    return pool.submit("total", both, affinity=(0, 1), persistent=True)


def test_results_travel_between_processes_and_small_ones_to_the_caller(pool: ProcessPool) -> None:
    assert pool.get(started_sum(pool, 0.0)) == [EXPECTED]
    assert pool.get(pool.submit("threads", persistent=True)) == [(1, 1)]
    assert pool.get(pool.submit("hungry", 5, persistent=True)) == ["little memory"]
    assert pool.pop_costs(0).jobs >= 6


def test_an_error_of_a_job_is_that_of_whoever_waits(pool: ProcessPool) -> None:
    ref = pool.submit("slowly", pool.submit("wrong")[0], 0.0)
    with pytest.raises(RenderError, match="wrong failed: ValueError: this never works"):
        pool.wait(ref)


def test_the_job_of_a_process_that_dies_is_done_again(pool: ProcessPool) -> None:
    total = started_sum(pool, 1.0)
    while not (busy := [p for p in pool._processes if p.job and p.job.method == "slowly"]):
        time.sleep(0.01)
    os.kill(busy[0].pid, signal.SIGKILL)
    assert pool.get(total) == [EXPECTED]
    assert busy[0] not in pool._processes
    assert len(pool._processes) == 2
    with pytest.raises(WorkerLostError, match="die of segment 0 has lost its worker 2 times"):
        pool.wait(pool.submit("die"))


def test_a_job_that_hangs_is_ended() -> None:
    config = ClusterConfig(max_retries=0, job_timeout_s=0.5)
    with (
        open_process_pool(config, MODELS, Counter, 1) as pool,
        pytest.raises(WorkerLostError, match="slowly of segment 0 has lost its worker"),
    ):
        pool.wait(pool.submit("slowly", pool.submit("numbers", 0)[0], 600.0))


def test_wrong_weights_are_said() -> None:
    models = ModelsConfig(weights="wrong")
    with (
        open_process_pool(ClusterConfig(), models, Counter, 1) as pool,
        pytest.raises(ConfigError, match="these weights are wrong"),
    ):
        pool.wait(pool.submit("numbers", 0))


def test_one_worker_needs_no_ray_unless_it_is_asked_for() -> None:
    with open_pool(ClusterConfig(), MODELS, most=1, make_worker=Counter) as pool:
        assert isinstance(pool, ProcessPool)
        assert pool.num_workers == 1
        assert pool.get(started_sum(pool, 0.0)) == [EXPECTED]
