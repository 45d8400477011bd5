"""The pool of Ray actors: the only module that speaks Ray, and the border of its exceptions."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    GetTimeoutError,
    ObjectLostError,
    RayError,
    RayTaskError,
)
from ray.exceptions import OutOfMemoryError as RayOutOfMemoryError

from cluster.config import ClusterConfig
from cluster.pool import Placement, Ref, num_local_workers
from cluster.workers import RenderWorker
from sonic_ops.config import ModelsConfig
from sonic_ops.errors import OutOfMemoryError, RenderError, SonicError, WorkerLostError

_LOST = (ActorDiedError, ActorUnavailableError, ObjectLostError, GetTimeoutError)
_AGAIN = "Run the same command again; only the missing work is done."


class RayPool:
    """Actors that hold weights; a lost one is started again and its jobs run again."""

    def __init__(self, config: ClusterConfig, models: ModelsConfig, num_workers: int) -> None:
        actor = ray.remote(RenderWorker).options(
            num_cpus=config.cpus_per_worker,
            num_gpus=config.gpus_per_worker,
            max_restarts=config.max_restarts,
            max_task_retries=config.max_restarts,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(config.threads_per_worker)}},
        )
        self.num_workers = num_workers
        self.place = Placement(num_workers)
        self._actors = [actor.remote(models, config.threads_per_worker) for _ in range(num_workers)]

    def submit(
        self, worker: int, method: str, *arguments: Any, num_returns: int = 1
    ) -> tuple[Ref, ...]:
        remote = getattr(self._actors[worker], method).options(num_returns=num_returns)
        refs = remote.remote(*arguments)
        return (refs,) if num_returns == 1 else tuple(refs)

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        with _translated():
            return list(ray.get(list(refs)))


@contextmanager
def _translated() -> Iterator[None]:
    """Turn Ray's exceptions into ours; nobody above knows Ray's."""
    try:
        yield
    except RayTaskError as error:
        raise _cause_of(error) from error
    except RayOutOfMemoryError as error:
        raise OutOfMemoryError(
            "a worker ran out of memory",
            remedy="Lower `resolution` or `segment_frames`, or use workers with more memory.",
        ) from error
    except _LOST as error:
        raise WorkerLostError(
            f"a worker was lost ({type(error).__name__})", remedy=_AGAIN
        ) from error
    except RayError as error:
        raise RenderError(f"Ray failed: {type(error).__name__}: {error}", remedy=_AGAIN) from error


def _cause_of(error: RayTaskError) -> SonicError:
    cause = error.cause
    if isinstance(cause, SonicError):
        return cause
    if isinstance(cause, MemoryError) or type(cause).__name__ == "OutOfMemoryError":
        return OutOfMemoryError(
            "a worker ran out of memory",
            remedy="Lower `resolution` or `segment_frames`, or use workers with more memory.",
        )
    return RenderError(f"a worker failed: {type(cause).__name__}: {cause}", remedy=_AGAIN)


@contextmanager
def open_ray_pool(config: ClusterConfig, models: ModelsConfig) -> Iterator[RayPool]:
    """Join the cluster that the configuration names, or start one on this machine."""
    started = not ray.is_initialized()
    if started:
        _start(config)
    pool = RayPool(config, models, _num_workers(config))
    try:
        yield pool
    finally:
        for actor in pool._actors:
            ray.kill(actor)
        if started:
            ray.shutdown()


def _start(config: ClusterConfig) -> None:
    common = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if config.address:
        ray.init(address=config.address, **common)
        return
    # Ray counts CPUs to place actors; threads decide what they really use.
    wanted = num_local_workers(config) * config.cpus_per_worker
    ray.init(
        address="local",
        num_cpus=max(int(wanted + 0.999), os.cpu_count() or 1),
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        **common,
    )


def _num_workers(config: ClusterConfig) -> int:
    if config.workers is not None or not config.address:
        return num_local_workers(config)
    total = ray.cluster_resources()
    by_cpu = int(total.get("CPU", 1) / config.cpus_per_worker)
    if config.gpus_per_worker:
        return max(1, int(total.get("GPU", 0) / config.gpus_per_worker))
    return max(1, by_cpu)
