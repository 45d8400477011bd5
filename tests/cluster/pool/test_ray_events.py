"""Ray on this machine keeps no record of finished jobs: a night has hundreds of thousands."""

import subprocess
import sys

import pytest

from tests.security.measure import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CODE = """
import time
from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig
from tests.cluster.pool.counter import Counter

models = ModelsConfig(weights="none")
with open_pool(ClusterConfig(workers=2), models, make_worker=Counter) as pool:
    from ray._private.state import state
    jobs = [pool.submit("load", affinity=(0, n), persistent=True)[0] for n in range(10)]
    pool.get(jobs)
    time.sleep(3)  # Ray sends its records every second
    print("records:", len(state._get_all_task_events()))
"""


def test_ray_keeps_no_record_of_jobs() -> None:
    command = [sys.executable, "-c", CODE]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.stdout.splitlines()[-1:] == ["records: 0"], ran.stderr
