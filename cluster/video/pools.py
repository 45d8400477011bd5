"""Open the pool that a configuration asks for: this process, processes of it, or Ray actors."""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool, Pool
from cluster.pool.calls import MakeWorker, Watch
from cluster.pool.costs import STARTING
from cluster.pool.processes import num_fitting, open_process_pool
from sonic_ops.core.config import ModelsConfig


def new_worker(models: ModelsConfig) -> object:
    """Make a worker; what its networks need is imported in its process alone, and takes seconds."""
    from cluster.video.worker import RenderWorker

    return RenderWorker(models)


@contextmanager
def open_pool(
    config: ClusterConfig,
    models: ModelsConfig,
    *,
    most: int | None = None,
    make_worker: MakeWorker = new_worker,
    watch: Watch = lambda *_: nullcontext(),
) -> Iterator[Pool]:
    """Open the pool that the configuration asks for, and close it at the end.

    If the configuration leaves the number of workers open, there are at most `most`: as many as
    have something to do; for one on this machine, Ray is not started. `watch` is told of processes
    without which the pool is lost. Raises ConfigError if the weights are wrong or the workers do
    not fit.
    """
    if config.workers == 0:
        pool = LocalPool(config, make_worker(models))
        pool.submit("load", affinity=(STARTING, 0))
        yield pool
        return
    if _is_one(config, models, most):
        with open_process_pool(config, models, make_worker, 1) as one:
            yield one
        return
    _prepare_ray(local=config.address is None)
    # Ray takes seconds to import, and a run in this process does not need it.
    from cluster.pool.ray import open_ray_pool

    with open_ray_pool(config, models, most, make_worker, watch) as ray_pool:
        yield ray_pool


@contextmanager
def open_pool_here(config: ClusterConfig, models: ModelsConfig, *, most: int) -> Iterator[Pool]:
    """Open a pool on this machine without Ray: processes on its CPUs, or this process on a GPU.

    There are at most `most` workers, and `cluster.address` does not count.
    """
    if config.workers == 0 or models.device != "cpu":
        with open_pool(config.model_copy(update={"workers": 0}), models) as pool:
            yield pool
        return
    num_workers = min(config.workers or num_fitting(config), most)
    with open_process_pool(config, models, new_worker, num_workers) as pool:
        yield pool


def _is_one(config: ClusterConfig, models: ModelsConfig, most: int | None) -> bool:
    """Tell whether one process of this machine will do all the work, and nobody asked for Ray."""
    is_free = config.may_be_alone(models.device)
    return is_free and min(num_fitting(config), most or num_fitting(config)) == 1


def _prepare_ray(*, local: bool) -> None:
    """Set what Ray reads when it is imported; what the user has set stays."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # the dispatcher handles them
    # Ray prints a page on standard output for each worker that dies; the supervisor says it.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "(?s).")
    if local and "ray" not in sys.modules:
        # Ray listens on the address of the network card unless it is told that there is no cluster,
        # and keeps its token in the home folder unless it is given one.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Nobody asks Ray what its tasks and dead workers were, and it keeps thousands in memory.
        os.environ.setdefault("RAY_task_events_report_interval_ms", "0")
        os.environ.setdefault("RAY_maximum_gcs_destroyed_actor_cached_count", "8")
        os.environ.setdefault("RAY_maximum_gcs_dead_worker_cached_count", "8")
