"""What Ray adds: workers that die, workers that do not fit, and who may listen."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cluster.config import ClusterConfig, VideoConfig
from cluster.pool import Pool, open_pool
from sonic_ops.config import ModelsConfig
from sonic_ops.errors import ConfigError, RenderError
from tests.cluster.conftest import Prepare
from tests.cluster.test_exact import render

pytestmark = [pytest.mark.ray, pytest.mark.parametrize("ray_pool", [3], indirect=True)]


def test_a_worker_that_dies_is_replaced_and_no_bit_changes(
    tmp_path: Path, prepare: Prepare, video: VideoConfig, ray_pool: Any, local_pool: Pool
) -> None:
    import ray  # the pool has told it first where to listen

    here = render(local_pool, prepare(9, tmp_path / "here"), video, 1)
    ray.kill(ray_pool._actors[0], no_restart=False)
    there = render(ray_pool, prepare(9, tmp_path / "ray"), video, 2)
    assert torch.equal(here, there)


def test_ray_listens_on_this_machine_alone(ray_pool: Pool) -> None:
    import ray

    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}


def test_workers_that_do_not_fit_are_said(ray_pool: Pool, models: ModelsConfig) -> None:
    config = ClusterConfig(workers=1, gpus_per_worker=1000)
    with pytest.raises(ConfigError, match="do not fit"), open_pool(config, models):
        pass


def test_workers_that_find_no_room_are_said(ray_pool: Pool, models: ModelsConfig) -> None:
    config = ClusterConfig(workers=1, cpus_per_worker=1, start_timeout_s=2)
    with pytest.raises(ConfigError, match="did not start within 2 s"), open_pool(config, models):
        pass


def test_wrong_weights_are_said_before_a_job_runs(ray_pool: Pool, tmp_path: Path) -> None:
    models = ModelsConfig(weights=str(tmp_path))
    with (
        pytest.raises(ConfigError, match="no weights"),
        open_pool(ClusterConfig(workers=1, cpus_per_worker=0.01), models),
    ):
        pass


def test_what_goes_wrong_in_a_worker_arrives_as_our_error(ray_pool: Pool) -> None:
    refs = ray_pool.submit("condition_portrait", "/there/is/no/portrait", 0, 0.0)
    with pytest.raises(RenderError, match="no/portrait"):
        ray_pool.get(refs)
