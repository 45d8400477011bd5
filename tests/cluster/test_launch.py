"""The files that start a cluster: what their formats demand, and what they say of our command."""

import os
import re
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
import yaml

from flows.cli import app
from flows.rows.config import load_preset
from tests.cluster.kuberay import RAY_JOB

REPOSITORY = Path(__file__).parent.parent.parent
LAUNCH = REPOSITORY / "cluster" / "launch"
SLURM = LAUNCH / "slurm.sh"


def read(name: str) -> Any:
    return yaml.safe_load((LAUNCH / name).read_text())


@pytest.fixture(scope="module")
def cloud() -> dict[str, Any]:
    """The file for `ray up` with everything that Ray adds to it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    config: dict[str, Any] = prepare_config(read("aws.yaml"))
    validate_config(config)
    return config


def test_ray_up_accepts_the_file_and_installs_nothing(cloud: dict[str, Any]) -> None:
    names = ("initialization_commands", "setup_commands")
    assert not any(cloud[name] for name in (*names, "head_setup_commands", "worker_setup_commands"))


def test_ray_up_starts_gpu_nodes_and_a_head_without_workers(cloud: dict[str, Any]) -> None:
    head, gpu = (cloud["available_node_types"][name] for name in ("head", "gpu"))
    assert set(head["resources"].values()) == {0}
    assert gpu["resources"]["GPU"] >= 1
    assert 0 < gpu["min_workers"] <= gpu["max_workers"] <= cloud["max_workers"]


def test_the_preset_of_the_launch_files_joins_a_cluster() -> None:
    preset = load_preset(str(LAUNCH / "preset.yaml"))
    assert (preset.cluster.address, preset.cluster.gpus_per_worker) == ("auto", 1)
    assert (preset.models.device, preset.cluster.workers) == ("cuda", None)


def test_the_preset_is_sonic_but_for_the_machines() -> None:
    ours, sonic = (load_preset(name) for name in (str(LAUNCH / "preset.yaml"), "sonic"))
    differing = {name: getattr(sonic, name) for name in ("cluster", "models")}
    assert ours.model_copy(update=differing) == sonic
    assert ours.models.notice == sonic.models.notice


def test_kuberay_knows_every_field() -> None:
    knows = jsonschema.Draft202012Validator(RAY_JOB).is_valid
    job = read("kuberay.yaml")
    assert knows(job)
    assert not knows(job | {"spec": job["spec"] | {"rayClusterSpecs": {}}})


def pods() -> list[dict[str, Any]]:
    cluster = read("kuberay.yaml")["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def test_pods_mount_what_they_name_and_limit_what_they_request() -> None:
    for pod in pods():
        volumes = {volume["name"] for volume in pod["volumes"]}
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_pods_of_the_group_have_gpus_and_the_head_holds_no_worker() -> None:
    head, gpu = pods()
    assert "nvidia.com/gpu" not in head["containers"][0]["resources"]["limits"]
    assert gpu["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    cluster = read("kuberay.yaml")["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}


def test_kuberay_runs_the_version_that_is_installed() -> None:
    cluster = read("kuberay.yaml")["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == version("ray")
    assert cluster["authOptions"] == {"mode": "token"}


def test_compose_gives_gpus_to_the_node_and_opens_no_port() -> None:
    services = read("compose.yaml")["services"]
    assert set(services) == {"head", "node"}
    (device,) = services["node"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    for service in services.values():
        assert "ports" not in service
        assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")


def test_the_image_copies_what_exists_and_every_package() -> None:
    text = (LAUNCH / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (.*)", text, re.M) for word in line.split()[:-1]]
    assert all((REPOSITORY / name).exists() for name in copied)
    assert {"sonic_ops", "cluster", "flows", "configs", "pyproject.toml"} <= set(copied)
    allowed = (LAUNCH / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in allowed if line.startswith("!")} == set(copied)


def command_of(name: str) -> str:
    """The command that a file runs, or tells its reader to run."""
    text = (LAUNCH / name).read_text()
    if name == "kuberay.yaml":
        return str(read(name)["spec"]["entrypoint"])
    if name == "slurm.sh":
        arguments = re.search(r"^# .* cluster/launch/slurm.sh (.*)$", text, re.MULTILINE)
        assert arguments
        assert '\nsonic render "$@"\n' in text
        return f"sonic render {arguments[1]}"
    told = re.search(r"^#\s+'?(sonic render [^'\n]*)", text, re.MULTILINE)
    assert told
    return told[1]


@pytest.mark.parametrize("name", ["aws.yaml", "compose.yaml", "kuberay.yaml", "slurm.sh"])
def test_every_command_is_one_that_sonic_knows(name: str) -> None:
    _, verb, *arguments = shlex.split(command_of(name))
    command = typer.main.get_group(app).commands[verb]
    assert command.make_context(verb, arguments).params["preset"].endswith("preset.yaml")


def test_shellcheck_finds_nothing_in_the_slurm_script() -> None:
    checked = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", SLURM],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.fixture
def slurm(tmp_path: Path) -> Any:
    """Runs the script where `ray`, `srun` and `sonic` write down how they were called."""
    for name in ("ray", "srun", "sonic"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> "{tmp_path}/calls"\n')
        program.chmod(0o755)
    (tmp_path / "sonic").write_text((tmp_path / "sonic").read_text() + "exit 3\n")
    (tmp_path / "hostname").write_text("#!/bin/sh\necho 10.0.0.1 10.0.0.2\n")
    (tmp_path / "hostname").chmod(0o755)

    def run(num_nodes: int, *arguments: str) -> tuple[int, list[str]]:
        path = f"{tmp_path}:{os.environ['PATH']}"
        told = {"PATH": path, "SLURM_JOB_NUM_NODES": str(num_nodes), "SLURMD_NODENAME": "first"}
        ran = subprocess.run([SLURM, *arguments], env=told, check=False, capture_output=True)
        return ran.returncode, called(ran.returncode != 2 and num_nodes > 1)

    def called(waits_for_srun: bool) -> list[str]:
        """Return the calls; `srun` runs beside the others, and may be the last to write."""
        calls = tmp_path / "calls"
        while waits_for_srun and "srun" not in calls.read_text():
            time.sleep(0.05)
        lines = calls.read_text().splitlines() if calls.exists() else []
        return sorted(lines, key=lambda line: line.startswith("srun"))

    return run


def test_slurm_starts_a_head_lets_the_others_join_and_hands_on_the_exit_status(slurm: Any) -> None:
    status, calls = slurm(4, "manifest.parquet", "--preset", "preset.yaml")
    assert status == 3
    (join,) = (call for call in calls if call.startswith("srun"))
    head, *_, stop = (call for call in calls if call != join)
    assert head.startswith("ray start --head --node-ip-address=10.0.0.1 ")
    assert head.endswith("--port=6379")
    assert stop.startswith("ray stop")
    assert "--nodes=3 --ntasks=3 --ntasks-per-node=1 --exclude=first" in join
    assert "sonic render manifest.parquet --preset preset.yaml" in calls


def test_slurm_on_one_node_asks_for_no_others(slurm: Any) -> None:
    _, calls = slurm(1, "manifest.parquet")
    assert not any(call.startswith("srun") for call in calls)


def test_slurm_without_a_manifest_starts_nothing(slurm: Any) -> None:
    assert slurm(4) == (2, [])
