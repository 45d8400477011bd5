"""A Ray that a run has started leaves no folder of sockets and logs."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sonic_ops.core.scratch import remove_abandoned
from tests.security.measure import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CODE = """
import os, signal
from contextlib import nullcontext
from pathlib import Path
import ray
from cluster.config import ClusterConfig
from cluster.pool.ray_session import ray_running

with ray_running(ClusterConfig(workers=1), lambda *_: nullcontext()):
    folder = Path(ray._private.worker._global_node.get_session_dir_path())
    print(folder.exists())
    {}
print(folder.exists())
"""
KILL = "print(folder, flush=True); os.kill(os.getpid(), signal.SIGKILL)"


def ran(at_work: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that does something while it has a Ray."""
    command = [sys.executable, "-c", CODE.format(at_work)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_folder_of_ray_goes_with_the_run() -> None:
    done = ran("pass")
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_the_folder_of_a_run_that_was_killed_goes_with_the_next_one() -> None:
    done = ran(KILL)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = Path(done.stdout.split()[1])
    assert folder.exists()
    remove_abandoned()
    assert not folder.exists()
