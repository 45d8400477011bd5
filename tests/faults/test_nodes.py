"""Nodes that come when they are needed, and nodes that compute on another processor."""

import os
import sys
import time

import pytest

from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig
from tests.faults.machine import alone
from tests.faults.test_kills import two_nodes

pytestmark = [pytest.mark.ray, pytest.mark.faults]


def test_a_cluster_grows_to_what_the_rows_can_use() -> None:
    said = alone('"$@"', sys.executable, "-m", "tests.faults.growing", "3")
    assert "joined 3" in said.splitlines()


def test_a_head_that_is_started_again_ends_the_program_without_a_trace() -> None:
    status, *said = alone('"$@"', sys.executable, "-m", "tests.faults.headless").splitlines()
    assert status == "status 1"  # by the C++ of Ray; the supervisor says it in a sentence
    assert [line for line in said if ".cc:" in line or "Trace" in line] == []


class Mixed:
    """A worker without weights whose processor is another one on every node."""

    def __init__(self, models: ModelsConfig) -> None:
        pass

    def load(self) -> str:
        return f"kind {os.getppid()}"

    def kind(self) -> str:
        return self.load()


def test_a_node_with_another_processor_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    models = ModelsConfig(weights="none")
    with two_nodes() as (address, _):
        config = ClusterConfig(workers=2, address=address)
        with open_pool(config, models, make_worker=Mixed) as pool:
            until_s = time.monotonic() + 120
            while not caplog.messages and time.monotonic() < until_s:
                time.sleep(0.1)
            time.sleep(10)  # a worker that is asked for there again would have come
            jobs = [pool.submit("kind", affinity=(0, n), persistent=True)[0] for n in range(4)]
            assert len(set(pool.get(jobs))) == 1
    (said,) = caplog.messages
    assert "is not used: it computes on kind" in said
    assert "cluster.mixed_processors: true" in said
