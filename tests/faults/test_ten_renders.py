"""Ten commands render one manifest, some are killed: every row is rendered once.

`tests/flows/state/test_ten_commands.py` does the same with 200 rows and pauses in place of renders.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.test_helpers import free_port, statuses, wait_for_server
from tests.faults.test_signals import digests, sonic
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

pytestmark = [pytest.mark.flow, pytest.mark.faults, pytest.mark.repeat]

NUM_COMMANDS, NUM_ROWS, NUM_KILLS = 10, 40, 6
LEASE_S = 60.0
"""Longer than a busy machine stops a command for."""
PATIENCE_S = 1800.0


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[str]:
    """One server of Prefect for all commands: the machine has no room for ten."""
    port, home = free_port(), str(tmp_path / "home")
    app = ["--factory", "prefect.server.api.server:create_app", "--log-level", "error"]
    start = [sys.executable, "-m", "uvicorn", *app, "--port", str(port)]
    with subprocess.Popen(start, env=os.environ | {"PREFECT_HOME": home}) as server:
        wait_for_server(f"http://127.0.0.1:{port}/api/health")
        yield f"http://127.0.0.1:{port}/api"
        server.kill()


class Renders:
    """The commands, each begun again until it finds nothing to do."""

    def __init__(self, command: list[str], folder: Path, url: str) -> None:
        self._command, self._folder = command, folder
        self._env = os.environ | {"PREFECT_API_URL": url}
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.num_runs = 0
        for number in range(NUM_COMMANDS):
            self._start(number)

    def _start(self, number: int) -> None:
        self.num_runs += 1
        with (self._folder / f"{number}-{self.num_runs}.log").open("wb") as log:
            self._running[number] = subprocess.Popen(
                self._command, stdout=log, stderr=log, cwd=REPOSITORY, env=self._env
            )

    def look(self) -> bool:
        """Begin those again that have ended, unless all is done; whether some still run."""
        for number, process in [*self._running.items()]:
            if process.poll() == 0:
                del self._running[number]
            elif process.poll() is not None:
                self._start(number)
        return bool(self._running)

    def kill(self, chance: random.Random) -> None:
        """Kill a command, and with it everything of it."""
        process = self._running[chance.choice([*self._running])]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def ended(self) -> list[dict[str, object]]:
        """What the commands have said of rows that ended."""
        lines = [
            json.loads(line)
            for path in self._folder.glob("*.log")
            for line in path.read_text("utf-8").splitlines()
            if line.startswith('{"event": "row-ended"')
        ]
        assert lines
        return lines


def test_every_row_is_rendered_once(bench: Bench, tmp_path: Path, prefect: str) -> None:
    base: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH), "end": 0.4}
    rows = [base | {"id": f"{n}", "seed": n, "output": f"{n}.mp4"} for n in range(NUM_ROWS)]
    manifest = bench.manifest(rows, tmp_path / "rows")
    preset = bench.preset("shared", lease_s=LEASE_S)
    (tmp_path / "logs").mkdir()
    command = sonic("render", manifest, "--preset", preset, "--json-lines", "--no-report")
    renders, chance = Renders(command, tmp_path / "logs", prefect), random.Random(20)
    kills_at = sorted(chance.sample(range(1, NUM_ROWS - 5), NUM_KILLS))  # finished rows
    until_s = time.monotonic() + PATIENCE_S
    while renders.look():
        assert time.monotonic() < until_s
        if kills_at and len(digests(tmp_path / "rows")) >= kills_at[0]:
            kills_at.pop(0)
            renders.kill(chance)
        time.sleep(0.2)
    assert not kills_at
    ended = renders.ended()
    assert not [line for line in ended if line["status"] == "failed"]
    rendered = Counter(line["id"] for line in ended if line["status"] == "done")
    assert set(rendered.values()) == {1}
    # One that was killed may have published a row before it could say so.
    assert len(rendered) >= NUM_ROWS - NUM_KILLS
    assert len(set(digests(tmp_path / "rows").values())) == NUM_ROWS
    assert set(statuses(tmp_path / "rows")) <= {"done", "skipped"}
    print(f"{renders.num_runs} runs, {len(rendered)} rows rendered once, {len(ended)} ended")
