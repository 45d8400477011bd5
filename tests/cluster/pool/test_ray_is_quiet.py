"""Ray prints nothing where the program says what happens: a page for each worker that dies."""

import subprocess
import sys

import pytest

from tests.security.measure import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CODE = """
import os, signal, time
from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig
from tests.cluster.pool.counter import Counter

with open_pool(ClusterConfig(workers=1), ModelsConfig(weights="none"), make_worker=Counter) as pool:
    os.kill(pool.processes[0].pid, signal.SIGKILL)
    pool.get(pool.submit("load", affinity=(0, 0), persistent=True))
    time.sleep(3)  # the words of Ray come a moment later
    print("the job is done")
"""


def test_a_worker_that_dies_is_not_told_by_ray() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "the job is done\n"
    assert "is lost" in done.stderr
    assert "ray" not in done.stderr
