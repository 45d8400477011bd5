"""Two commands on one manifest: no row is rendered twice, and what a killed one leaves is used.

The first command is a process of its own, stopped and then killed while it renders its second row.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.state.journal import folder_of, journaled
from flows.supervisor.processes import descendants, is_running, send
from sonic_ops.core.files import names_in
from sonic_ops.media.inspection import verify_video
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = [pytest.mark.flow, pytest.mark.slow]

PATIENCE_S = 600.0
BASE: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH), "seed": 1, "room": "B 1"}


def wait_for(is_true: Callable[[], object]) -> None:
    """Until it is true; a failure if that takes too long."""
    until = time.monotonic() + PATIENCE_S
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def manifest(bench: Bench, tmp_path: Path) -> str:
    ends = {"a": 0.4, "b": 2.9, "c": 0.4}
    rows = [BASE | {"id": name, "output": f"{name}.mp4", "end": end} for name, end in ends.items()]
    return bench.manifest(rows, tmp_path)


@pytest.fixture
def preset(bench: Bench) -> str:
    """A preset whose leases do not expire, however slow the machine is."""
    return bench.preset("patient", lease_s=3600)


@pytest.fixture
def first(preset: str, manifest: str) -> Iterator[subprocess.Popen[bytes]]:
    """`sonic render` of the manifest in a process of its own."""
    program = [sys.executable, "-m", "flows", "render", manifest, "--preset", preset]
    with subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def statuses(results: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: line["status"] for name, line in results.items()}


def test_a_row_is_in_one_pair_of_hands_and_survives_them(
    bench: Bench, manifest: str, preset: str, first: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    results = str(tmp_path / "m.results.parquet")
    leases = str(tmp_path / ".sonic" / "leases")
    wait_for(lambda: "b.mp4.1.lease" in names_in(leases) or first.poll() is not None)
    children = descendants(first.pid)
    program = children[0]  # it has started Prefect's temporary server; a watchdog ends each
    assert len(children) >= 4
    send(signal.SIGSTOP, [first.pid, program])

    beside = bench.run(manifest, preset)
    assert beside.status == 1
    assert statuses(beside.results) == {"a": "skipped", "b": "locked", "c": "done"}
    assert f"process {program} on " in beside.results["b"]["notes"]
    assert {result.id for result in journaled(results)} == {"a"}

    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    wait_for(lambda: not is_running(program))
    assert {result.id for result in journaled(results)} == {"a"}
    after = bench.run(manifest, preset)
    assert after.status == 0
    assert statuses(after.results) == {"a": "skipped", "b": "done", "c": "skipped"}
    assert after.results["b"]["room"] == "B 1"
    assert not Path(folder_of(results)).exists()
    verify_video(tmp_path / "b.mp4", num_output_frames=72, duration_s=2.9)
    left = {path.name for path in tmp_path.glob(".sonic/*")}
    assert left == {"leases", "receipts"}
    wait_for(lambda: not any(map(is_running, children)))
