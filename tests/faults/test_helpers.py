"""Kill what a render leans on: it goes on within 15 s in a sentence, and gives the same bits."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.terminal import Terminal, terminal
from tests.faults.test_signals import digests, process, rows, said, sonic

SAID_S = 15.0
HELPERS = {
    "Prefect's temporary server": "prefect.server",
    "raylet": "raylet/raylet",
    "GCS": "gcs_server",
}
NUM_KILLS = 10
STEPS = {"steps": 12, "window_frames": 6, "shift_frames": 2}
GOES_ON = "stopped unexpectedly; the program continues where it was"
GIVES_UP = "stopped unexpectedly 4 times; finished rows are kept. Run the same command to continue."
ONCE_MORE = [pytest.mark.faults, pytest.mark.repeat]
CASES = [
    pytest.param(name, number, marks=ONCE_MORE if number > 1 else pytest.mark.faults)
    for name in HELPERS
    for number in range(NUM_KILLS)
]
PHASES = [
    said("random numbers"),
    said('"row-started"'),
    said('"stage": "denoise"'),
    said('"stage": "denoise", "done": [4-9]'),
    said('"row-ended"'),
]


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The videos of a run that loses nothing."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert bench.run(rows(bench, folder), bench.preset("slow", sampling=STEPS)).status == 0
    return digests(folder)


def kill(run: Terminal, name: str) -> float:
    """Kill a helper as soon as there is one; when that was."""
    run.wait_until(process(HELPERS[name]))
    os.kill(run.process(HELPERS[name]), signal.SIGKILL)
    return time.monotonic()


def statuses(folder: Path) -> list[str]:
    """What the results table says of the rows."""
    column: list[str] = pq.read_table(folder / "m.results.parquet").column("status").to_pylist()
    return column


def preset(bench: Bench) -> str:
    return bench.preset("two", sampling=STEPS, cluster={"workers": 2})


@pytest.mark.ray
@pytest.mark.flow
@pytest.mark.parametrize(("name", "number"), CASES)
def test_a_render_goes_on_without_a_helper(
    bench: Bench, tmp_path: Path, undisturbed: dict[str, str], name: str, number: int
) -> None:
    chance = random.Random(f"{name} {number}")
    command = sonic("render", rows(bench, tmp_path), "--preset", preset(bench))
    with terminal(*command, "--json-lines", "--no-report") as run:
        run.wait_until(chance.choice(PHASES))
        time.sleep(chance.random())
        killed_s = kill(run, name)
        run.wait_until(said(GOES_ON))
        assert time.monotonic() - killed_s < SAID_S
        assert run.wait() == 0
        assert not run.processes()
    assert len(re.findall("stopped unexpectedly", run.text)) == 1
    assert "Traceback" not in run.text
    assert set(statuses(tmp_path)) <= {"done", "skipped"}
    assert digests(tmp_path) == undisturbed


@pytest.mark.flow
@pytest.mark.faults
def test_a_helper_that_dies_again_and_again_ends_the_run_in_a_sentence(
    bench: Bench, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    local = bench.preset("slow", sampling=STEPS)
    with terminal(*sonic("render", rows(bench, tmp_path), "--preset", local, "--quiet")) as run:
        for _ in range(4):
            kill(run, "Prefect's temporary server")
            run.wait_until(lambda run: not process("prefect.server")(run))
        assert run.wait() == 1
    assert len(re.findall(re.escape(GOES_ON), run.text)) == 3
    assert GIVES_UP in run.text
    assert statuses(tmp_path) == ["waiting", "waiting"]
    assert bench.run(rows(bench, tmp_path), local).status == 0
    assert digests(tmp_path) == undisturbed


@pytest.mark.flow
@pytest.mark.faults
def test_a_program_that_is_killed_ends_in_a_sentence_with_its_table(
    bench: Bench, tmp_path: Path
) -> None:
    local = bench.preset("slow", sampling=STEPS)
    command = sonic("render", rows(bench, tmp_path), "--preset", local, "--json-lines")
    with terminal(*command) as run:
        run.wait_until(said('"stage": "denoise", "done": [1-9]'))
        os.kill(min(set(run.processes()) - {run.pid}), signal.SIGKILL)
        assert run.wait() == 1
        assert not run.processes()
    assert "was ended by SIGKILL, perhaps because the machine ran out of memory" in run.text
    assert statuses(tmp_path) == ["waiting", "waiting"]
