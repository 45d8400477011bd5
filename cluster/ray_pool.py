"""The pool of Ray actors: the only module that speaks Ray, and the border of its exceptions."""

import math
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
from cluster.pool import Account, Near, Ref
from cluster.workers import RenderWorker
from sonic_ops.config import ModelsConfig
from sonic_ops.errors import (
    ConfigError,
    OutOfMemoryError,
    RenderError,
    SonicError,
    WorkerLostError,
)

_LOST = (ActorDiedError, ActorUnavailableError, ObjectLostError, GetTimeoutError)
_AGAIN = "Run the same command again; only the missing work is done."


class RayPool:
    """Actors that hold weights; a lost one is started again and its jobs run again."""

    def __init__(self, config: ClusterConfig, models: ModelsConfig, num_workers: int) -> None:
        actor = ray.remote(RenderWorker).options(
            num_cpus=config.cpus_per_worker,
            num_gpus=config.gpus_per_worker,
            max_restarts=-1,
            max_task_retries=config.max_retries,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(config.threads_per_worker)}},
        )
        self.num_workers = num_workers
        self._actors = [actor.remote(models) for _ in range(num_workers)]

    def load(self, timeout_s: float) -> None:
        """Wait until every worker has its weights. Raises ConfigError."""
        refs = [self.submit("load", near=(0, worker))[0] for worker in range(self.num_workers)]
        waiting = ray.wait(refs, num_returns=len(refs), timeout=timeout_s)[1]
        if waiting:
            raise ConfigError(
                f"{len(waiting)} of {len(refs)} workers did not start within {timeout_s:g} s; "
                f"free in the cluster: {ray.available_resources().get('CPU', 0):g} CPUs, "
                f"{ray.available_resources().get('GPU', 0):g} GPUs",
                remedy="Wait for the cluster, lower `cluster.workers`, or raise the time.",
            )
        self.get(refs)

    def close(self) -> None:
        """End the workers."""
        for actor in self._actors:
            ray.kill(actor)

    def submit(
        self,
        method: str,
        *arguments: Any,
        near: Near = (0, 0),
        num_returns: int = 1,
        lasting: bool = False,
    ) -> tuple[Ref, ...]:
        actor = self._actors[sum(near) % self.num_workers]
        remote = getattr(actor, method).options(num_returns=num_returns)
        refs = remote.remote(*arguments)
        return (refs,) if num_returns == 1 else tuple(refs)

    def get(self, refs: Sequence[Ref]) -> list[Any]:
        with _translated():
            return list(ray.get(list(refs)))

    def wait(self, refs: Sequence[Ref]) -> None:
        ray.wait(list(refs), num_returns=len(refs), fetch_local=False)

    def drop(self, order: int) -> None:
        pass

    def settle(self, order: int) -> Account:
        return Account()


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
def open_ray_pool(
    config: ClusterConfig, models: ModelsConfig, most: int | None
) -> Iterator[RayPool]:
    """Join the cluster that the configuration names, or start one on this machine."""
    started = not ray.is_initialized()
    if started:
        _start(config)
    try:
        pool = RayPool(config, models, _num_workers(config, most))
        try:
            pool.load(config.start_timeout_s)
            yield pool
        finally:
            pool.close()
    finally:
        if started:
            ray.shutdown()


def _start(config: ClusterConfig) -> None:
    common = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if config.address:
        try:
            ray.init(address=config.address, **common)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"no Ray cluster answers at {config.address}: {error}",
                remedy="Start it, or correct `cluster.address` in the preset.",
            ) from error
        return
    # Ray counts CPUs to place actors; threads decide what they really use.
    wanted = math.ceil((config.workers or 0) * config.cpus_per_worker)
    num_cpus = max(wanted, len(os.sched_getaffinity(0)))
    ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **common)


def _num_workers(config: ClusterConfig, most: int | None) -> int:
    """Workers that fit into the cluster. Raises ConfigError if there is no room for them."""
    total = ray.cluster_resources()
    fit = int(total.get("CPU", 0) / config.cpus_per_worker)
    if config.gpus_per_worker:
        fit = min(fit, int(total.get("GPU", 0) / config.gpus_per_worker))
    wanted = config.workers or 1
    if fit < wanted:
        raise ConfigError(
            f"{wanted} workers of {config.cpus_per_worker:g} CPUs and {config.gpus_per_worker:g} "
            f"GPUs do not fit into {total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs",
            remedy="Lower `cluster.workers` or what a worker needs, or use a larger machine.",
        )
    return config.workers or max(1, min(fit, most or fit))
