"""Kill, stop or fill what you like: the video is finished with the same bits, little is redone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.storage.artifacts import read_tensors
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video, encode_video
from sonic_ops.core.config import ModelsConfig
from tests.bare import SYSTEM_PATH
from tests.cluster.conftest import Prepare
from tests.faults.machine import ADDRESS, BAD_CABLE, alone
from tests.faults.mortal import Death, MortalWorker, SilentlyStoringWorker
from tests.faults.rendering import CHECKPOINT_EVERY, CONFIG

NUM_FRAMES = 20
NUM_SEGMENTS = 4
KILLED_AT = 5

Finished = tuple[dict[str, Tensor], dict[str, bytes]]
"""Latents and encoded segments by the names of their files."""


def content(request: VideoRequest) -> Finished:
    """What is in the work folder."""
    work = Path(request.work)
    latents = {
        path.name: read_tensors(str(path))["latents"] for path in (work / "latents").iterdir()
    }
    encoded = {path.name: path.read_bytes() for path in (work / "segments").iterdir()}
    assert len(latents) == len(encoded) == NUM_SEGMENTS
    return latents, encoded


def render(pool: Pool, request: VideoRequest) -> None:
    denoise_video(pool, request, CONFIG, lambda progress: None)
    encode_video(pool, request, CONFIG, lambda progress: None)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, prepare: Prepare, local_pool: Pool
) -> Finished:
    request = prepare(NUM_FRAMES, tmp_path_factory.mktemp("undisturbed") / "work")
    render(local_pool, request)
    return content(request)


def assert_same_bits(request: VideoRequest, undisturbed: Finished) -> None:
    latents, encoded = content(request)
    assert encoded == undisturbed[1]
    assert latents.keys() == undisturbed[0].keys()
    assert all(torch.equal(latents[name], undisturbed[0][name]) for name in latents)


@contextmanager
def mortal_pool(
    models: ModelsConfig, folder: Path, *deaths: Death, **settings: Any
) -> Iterator[Any]:
    """Two workers, one of which dies at each of these moments."""
    folder.mkdir()
    make = partial(MortalWorker, deaths, str(folder))
    with open_pool(ClusterConfig(workers=2, **settings), models, make_worker=make) as pool:
        yield pool


@pytest.mark.ray
@pytest.mark.parametrize(
    "deaths",
    [
        (Death("denoise", KILLED_AT),),
        pytest.param(
            (Death("denoise", KILLED_AT), Death("decode"), Death("encode")),
            marks=pytest.mark.faults,
        ),
    ],
    ids=len,
)
def test_killed_workers_are_replaced(
    tmp_path: Path,
    prepare: Prepare,
    models: ModelsConfig,
    undisturbed: Finished,
    deaths: tuple[Death, ...],
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    with mortal_pool(models, tmp_path / "deaths", *deaths) as pool:
        render(pool, request)
        retries = pool.pop_costs(request.order).retries
    assert_same_bits(request, undisturbed)
    assert retries == {death.method: 1 for death in deaths}


@pytest.mark.ray
@pytest.mark.faults
def test_a_worker_that_is_stopped_counts_as_lost(
    tmp_path: Path, prepare: Prepare, models: ModelsConfig, undisturbed: Finished
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    death = Death("denoise", KILLED_AT, signal.SIGSTOP)
    with mortal_pool(models, tmp_path / "deaths", death, worker_timeout_s=10) as pool:
        render(pool, request)
        retries = pool.pop_costs(request.order).retries
    assert_same_bits(request, undisturbed)
    assert retries["denoise"] >= 1  # on a busy machine the other worker may be late as well


@pytest.mark.ray
@pytest.mark.faults
@pytest.mark.parametrize("step", [0, KILLED_AT])
def test_a_worker_that_hangs_in_a_job_counts_as_lost(
    tmp_path: Path,
    prepare: Prepare,
    models: ModelsConfig,
    undisturbed: Finished,
    step: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    hangs = Death("denoise", step, signal=None)
    times = {"worker_timeout_s": 10, "job_timeout_s": 60}
    with mortal_pool(models, tmp_path / "deaths", hangs, **times) as pool:
        render(pool, request)
        retries = pool.pop_costs(request.order).retries
    assert_same_bits(request, undisturbed)
    assert retries["denoise"] >= 1  # on a busy machine the other worker may be late as well
    assert any(
        "denoise of segment" in said and "not end within" in said for said in caplog.messages
    )


@pytest.mark.ray
@pytest.mark.faults
@pytest.mark.parametrize("folder", ["latents", "segments"])
def test_a_worker_whose_store_never_answers_counts_as_lost(
    tmp_path: Path, prepare: Prepare, models: ModelsConfig, undisturbed: Finished, folder: str
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    make = partial(SilentlyStoringWorker, f"/{folder}/", str(tmp_path / "silent"))
    cluster = ClusterConfig(workers=2, worker_timeout_s=10, job_timeout_s=60)
    with open_pool(cluster, models, make_worker=make) as pool:
        render(pool, replace(request, work=f"silent://{request.work}"))
        retries = pool.pop_costs(request.order).retries
    assert (tmp_path / "silent").exists()
    assert retries["store" if folder == "latents" else "encode"] >= 1
    assert_same_bits(request, undisturbed)


def command(
    request: VideoRequest,
    models: ModelsConfig,
    workers: int,
    until: tuple[str, int] | None = None,
    **settings: Any,
) -> list[str]:
    told = {
        "request": asdict(request),
        "weights": models.weights,
        "cluster": {"workers": workers, **settings},
        "until": until,
    }
    return [sys.executable, "-m", "tests.faults.rendering", json.dumps(told)]


@pytest.mark.parametrize(
    "workers", [0, pytest.param(2, marks=[pytest.mark.ray, pytest.mark.faults])]
)
@pytest.mark.parametrize(
    ("stage", "done"),
    [("denoise", KILLED_AT), pytest.param("decode", 10, marks=pytest.mark.faults)],
)
def test_a_driver_that_is_killed_goes_on_where_it_was(
    tmp_path: Path,
    prepare: Prepare,
    models: ModelsConfig,
    undisturbed: Finished,
    workers: int,
    stage: str,
    done: int,
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    killed = subprocess.run(command(request, models, workers, (stage, done)), check=False)
    assert killed.returncode == -signal.SIGKILL
    again = subprocess.run(
        command(request, models, workers), stdout=subprocess.PIPE, text=True, check=True
    )
    assert_same_bits(request, undisturbed)
    told = [line.split() for line in again.stdout.splitlines()]
    # The last workers may have ended their work before they knew: then nothing is left to tell.
    assert told or (stage, workers) == ("decode", 2)
    for first_stage, first_done in told[:1]:
        assert first_stage == stage
        assert int(first_done) > done - (CHECKPOINT_EVERY if stage == "denoise" else 1)


@pytest.mark.ray
@pytest.mark.faults
def test_a_node_of_two_is_killed(
    tmp_path: Path, prepare: Prepare, models: ModelsConfig, undisturbed: Finished
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    with two_nodes() as (address, raylet):
        death = Death("denoise", KILLED_AT, raylet=raylet)
        with mortal_pool(models, tmp_path / "deaths", death, address=address) as pool:
            while len(pool.processes) < 2:
                time.sleep(0.1)
            render(pool, request)
            retries = pool.pop_costs(request.order).retries
    assert list((tmp_path / "deaths").iterdir())
    assert_same_bits(request, undisturbed)
    assert 1 <= retries["denoise"] <= CHECKPOINT_EVERY * NUM_SEGMENTS


@contextmanager
def two_nodes() -> Iterator[tuple[str, int]]:
    """Two nodes with room for a worker each: their address, and the raylet of the second one."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(num_cpus=1)
        (raylet,) = second.all_processes["raylet"]
        yield cluster.address, raylet.process.pid
    finally:
        cluster.shutdown()


@pytest.mark.ray
@pytest.mark.faults
def test_a_network_that_loses_packets_changes_no_bit(
    tmp_path: Path, prepare: Prepare, models: ModelsConfig, undisturbed: Finished
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    said = alone(BAD_CABLE, *command(request, models, workers=2, address=ADDRESS))
    assert said.splitlines().count("cut") > 3
    assert_same_bits(request, undisturbed)


# In a mount namespace of its own: a small disk that is almost full, and the same command twice.
FULL_DISK = """
set -euo pipefail
work=$1 result=$2; shift 2
cp -rL "$work" "$result"
mount -t tmpfs -o size=8m sonic-test "$work"
cp -r "$result/." "$work"
available=$(df --output=avail --block-size=1 "$work" | tail -n 1)
head -c $((available - 64 * 1024)) /dev/zero > "$work/ballast"
if "$@"; then echo "there was room"; exit 9; fi
rm "$work/ballast"
"$@"
cp -r "$work/." "$result"
"""


@pytest.mark.faults
def test_a_full_disk_is_said_and_rendering_goes_on_when_there_is_room(
    tmp_path: Path, prepare: Prepare, models: ModelsConfig, undisturbed: Finished
) -> None:
    request = prepare(NUM_FRAMES, tmp_path / "work")
    alone = ["unshare", "--mount", *(["--map-root-user"] if os.getuid() else [])]
    script = ["bash", "-c", FULL_DISK, "full", request.work, str(tmp_path / "result")]
    run = command(request, models, workers=0)
    ran = subprocess.run(
        [*alone, *script, *run],
        env=os.environ | {"PATH": SYSTEM_PATH},  # util-linux, to mount a disk
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = [line for line in ran.stdout.splitlines() if "Error" in line]
    assert len(said) == 1
    assert said[0].startswith("RenderError: A file could not be written")
    assert "No space left" in said[0]
    assert "Free space" in said[0]
    assert_same_bits(replace(request, work=str(tmp_path / "result")), undisturbed)
