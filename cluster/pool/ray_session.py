"""Start Ray on this machine or join a cluster, and see whether the workers fit into it."""

import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path

import ray

from cluster.config import ClusterConfig
from cluster.pool.calls import Watch
from sonic_ops.core.errors import ConfigError, RenderError
from sonic_ops.core.scratch import removed_after_a_kill

_GONE_S = 5.0


@contextmanager
def ray_running(config: ClusterConfig, watch: Watch) -> Iterator[None]:
    """Start or join Ray, unless this process has already, and leave it."""
    if ray.is_initialized():
        yield
        return
    programs = () if config.address else ("gcs/gcs_server ", "raylet/raylet ")
    try:
        with ExitStack() as stack, watch("Ray", *programs):
            _start_ray(config)
            if session := _session(config):
                stack.enter_context(removed_after_a_kill(session))
            stack.callback(_leave, session)
            yield
    except KeyboardInterrupt:  # to leave takes seconds: Ray does so itself when the process ends
        raise
    except BaseException:
        ray.shutdown()
        raise
    ray.shutdown()


def _session(config: ClusterConfig) -> Path | None:
    """Return the folder of sockets and logs of a Ray that was started here."""
    node = ray._private.worker._global_node
    return None if config.address or node is None else Path(node.get_session_dir_path())


def _leave(session: Path | None) -> None:
    """Leave Ray and remove its folder, which Ray never does."""
    ray.shutdown()
    until_s = time.monotonic() + _GONE_S
    while session and session.exists() and time.monotonic() < until_s:
        shutil.rmtree(session, ignore_errors=True)
        time.sleep(0.1)  # its agents end after it, and write their last words


def _start_ray(config: ClusterConfig) -> None:
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what matters of its errors is raised
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
    try:
        with _in_utf8():
            ray.init(address="local", num_cpus=num_cpus, include_dashboard=False, **common)
    except Exception as error:  # no other class if the machine is so busy that Ray gives up
        ray.shutdown()
        raise RenderError(
            f"Ray could not be started: {error}",
            remedy="Run the same command again when the machine is less busy.",
        ) from error


@contextmanager
def _in_utf8() -> Iterator[None]:
    """Change to another folder if the name of this one is not UTF-8: Ray accepts only that."""
    here = Path.cwd()
    try:
        str(here).encode()
    except UnicodeEncodeError:
        with chdir(tempfile.gettempdir()):
            yield
    else:
        yield


def num_fit(config: ClusterConfig) -> int:
    """Count the workers that fit into the cluster as it is now."""
    total = ray.cluster_resources()
    needs = {
        "CPU": config.cpus_per_worker,
        "GPU": config.gpus_per_worker,
        "memory": config.memory_bytes,
    }
    return min(int(total.get(name, 0) / need) for name, need in needs.items() if need)


def demand_room(config: ClusterConfig) -> None:
    """Raise ConfigError if the workers do not fit; a cluster that is joined may still grow."""
    wanted = config.workers or 1
    if config.address is None and num_fit(config) < wanted:
        total = ray.cluster_resources()
        raise ConfigError(
            f"{wanted} workers of {config.cpus_per_worker:g} CPUs and {config.gpus_per_worker:g} "
            f"GPUs do not fit into {total.get('CPU', 0):g} CPUs and {total.get('GPU', 0):g} GPUs"
            f" with {total.get('memory', 0) / 1e9:.3g} GB of memory for workers",
            remedy="Lower `cluster.workers` or the resources per worker, or use a larger machine.",
        )
