"""What Ray adds: processes that die, hang, are killed for their memory, or find no room."""

import os
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError, OutOfMemoryError, RenderError, WorkerLostError
from tests.cluster.pool.counter import LARGE, Counter

if TYPE_CHECKING:  # Ray must not be imported before the pool has told it where to listen
    from cluster.pool.ray import RayPool

pytestmark = pytest.mark.ray

TIMEOUT_S = 4.0
"""After it a worker that does not answer counts as lost; longer than a busy machine takes."""


@pytest.fixture(scope="module")
def pool(ray_here: None) -> "Iterator[RayPool]":
    config = ClusterConfig(
        workers=2, cpus_per_worker=0.1, worker_timeout_s=TIMEOUT_S, max_retries=1
    )
    with open_pool(config, ModelsConfig(weights="none"), make_worker=Counter) as opened:
        yield cast("RayPool", opened)


def all_there(pool: "RayPool") -> None:
    """Wait until as many workers are there as are wanted."""
    while len(pool.processes) < 2:
        time.sleep(0.05)


def ended(pool: "RayPool", number: signal.Signals) -> tuple[int, int]:
    """Compute a sum while its worker gets a signal: the sum, and the process that got it."""
    all_there(pool)
    part, other = (pool.submit("numbers", first, affinity=(0, first))[0] for first in range(2))
    both = pool.submit("slowly", pool.submit("add", part, other)[0], 1.0)[0]
    total = pool.submit("total", both, affinity=(0, 1), persistent=True)
    while not (busy := [p for p in pool.processes if p.job and p.job.method == "slowly"]):
        time.sleep(0.01)
    os.kill(busy[0].pid, number)
    return int(pool.get(total)[0]), busy[0].pid


EXPECTED = LARGE * LARGE  # the sum of 2 i + 1


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)]
)
def test_the_job_of_a_worker_that_dies_or_hangs_is_done_again_and_who_joins_gets_jobs(
    pool: "RayPool", number: signal.Signals
) -> None:
    total, lost = ended(pool, number)
    assert total == EXPECTED
    assert pool.pop_costs(0).retries == {"slowly": 1}
    all_there(pool)
    assert lost not in {process.pid for process in pool.processes}
    (part,) = pool.submit("numbers", 0)
    pool.wait([pool.submit("slowly", part, 0.3, affinity=(0, n))[0] for n in range(2, 6)])
    assert all(process.num_jobs for process in pool.processes)
    pool.pop_costs(0)


def test_a_job_that_kills_every_worker_ends_and_other_rows_go_on(pool: "RayPool") -> None:
    deadly = pool.submit("die", affinity=(0, 3), persistent=True)
    good = pool.submit(
        "total", pool.submit("numbers", 0, affinity=(1, 0))[0], affinity=(1, 0), persistent=True
    )
    with pytest.raises(WorkerLostError, match="die of segment 3 has lost its worker 2 times"):
        pool.get(deadly)
    assert pool.get(good) == [LARGE * (LARGE - 1) // 2]


def test_a_job_that_does_not_fit_takes_the_low_memory_form_then_is_said(pool: "RayPool") -> None:
    ways = [
        pool.get(pool.submit("hungry", need, affinity=(2, 5), persistent=True))
        for need in (1, 5, 1)
    ]
    assert ways == [["much memory"], ["little memory"], ["little memory"]]
    with pytest.raises(OutOfMemoryError, match="out of memory in hungry") as caught:
        pool.get(pool.submit("hungry", 50, affinity=(2, 6), persistent=True))
    assert "resolution" in caught.value.remedy
    pool.pop_costs(2)


def test_what_goes_wrong_in_a_worker_arrives_as_our_error(pool: "RayPool") -> None:
    with pytest.raises(RenderError, match="ValueError: this never works") as caught:
        pool.get(pool.submit("wrong"))
    assert "in wrong\n" in "".join(caught.value.__notes__)


def test_a_worker_has_the_threads_that_it_is_given(pool: "RayPool") -> None:
    assert pool.get(pool.submit("threads", persistent=True)) == [(1, 1)]


def test_what_cannot_travel_is_said(pool: "RayPool") -> None:
    with pytest.raises(RenderError, match="cannot"):
        pool.get(pool.submit("total", (number for number in range(3))))


def test_ray_listens_on_this_machine_alone(pool: Pool) -> None:
    import ray  # the pool has told it first where to listen

    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}


@pytest.mark.parametrize("need", ["gpus_per_worker", "memory_per_worker_gb"])
def test_workers_that_do_not_fit_are_said(pool: Pool, models: ModelsConfig, need: str) -> None:
    config = ClusterConfig.model_validate({"workers": 1, need: 100_000})
    with pytest.raises(ConfigError, match="do not fit"), open_pool(config, models):
        pass


def test_workers_that_find_no_room_are_said(pool: Pool, models: ModelsConfig) -> None:
    import ray

    all_cpus = ray.cluster_resources()["CPU"]  # of which the pool has some
    config = ClusterConfig(workers=1, cpus_per_worker=all_cpus, start_timeout_s=2)
    with (
        pytest.raises(ConfigError, match="no worker started within 2 s"),
        open_pool(config, models),
    ):
        pass


def test_wrong_weights_are_said_before_a_job_runs(pool: Pool) -> None:
    config, models = ClusterConfig(workers=1, cpus_per_worker=0.01), ModelsConfig(weights="wrong")
    with (
        pytest.raises(ConfigError, match="these weights are wrong"),
        open_pool(config, models, make_worker=Counter),
    ):
        pass
