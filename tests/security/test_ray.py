"""A Ray that a run has started leaves no folder of sockets and logs."""

import subprocess
import sys

import pytest

from tests.security.measure import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CODE = """
from contextlib import nullcontext
from pathlib import Path
import ray
from cluster.config import ClusterConfig
from cluster.pool.ray_session import ray_running

with ray_running(ClusterConfig(workers=1), lambda *_: nullcontext()):
    folder = Path(ray._private.worker._global_node.get_session_dir_path())
    print(folder.exists())
print(folder.exists())
"""


def test_the_folder_of_ray_goes_with_the_run() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["True", "False"], done.stderr
