"""Kill what a render leans on: it goes on within 15 s in a sentence, and gives the same bits."""

import itertools
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.terminal import Terminal, terminal
from tests.faults.test_signals import STEPS as MANY_STEPS
from tests.faults.test_signals import digests, process, rows, said, sonic

SAID_S = 15.0
HELPERS = {
    "Prefect's temporary server": "prefect.server",
    "raylet": "raylet/raylet",
    "GCS": "gcs_server",
}
KILLS_OF_EACH = 10
STEPS = {"steps": 12, "window_frames": 6, "shift_frames": 2}
GOES_ON = "stopped unexpectedly; the program continues where it was"
GIVES_UP = "stopped unexpectedly 4 times; finished rows are kept. Run the same command to continue."
MOMENTS = ("random numbers", '"row-started"', '"done": [4-9]', '"stage": "finish"', '"row-ended"')
"""What the program has said at a moment at which a helper is killed."""


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The videos of a run that loses nothing."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert bench.run(rows(bench, folder), bench.preset("slow", sampling=STEPS)).status == 0
    return digests(folder)


def kill(run: Terminal, name: str) -> float:
    """Kill a helper as soon as there is one; when that was."""
    while True:
        run.wait_until(process(HELPERS[name]))
        time.sleep(0.2)  # until then nobody knows it
        with suppress(ValueError, ProcessLookupError):  # it ends just now: the next one, then
            os.kill(run.process(HELPERS[name]), signal.SIGKILL)
            return time.monotonic()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def wait_for_server(url: str) -> None:
    """Wait until a server answers."""
    until_s = time.monotonic() + 300
    while time.monotonic() < until_s:
        with suppress(OSError), urlopen(url):
            return
        time.sleep(0.2)
    raise AssertionError(url)


def statuses(folder: Path) -> list[str]:
    """What the results table says of the rows."""
    column: list[str] = pq.read_table(folder / "m.results.parquet").column("status").to_pylist()
    return column


def assert_whole(run: Terminal, folder: Path, undisturbed: dict[str, str]) -> None:
    """The command has ended well, and its videos are what they would be."""
    assert run.wait() == 0, run.text
    assert not run.processes()
    assert "Traceback" not in run.text
    assert set(statuses(folder)) <= {"done", "skipped"}
    assert digests(folder) == undisturbed


@pytest.mark.flow
@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "workers"),
    [
        ("Prefect's temporary server", 0),
        pytest.param("GCS", 2, marks=pytest.mark.ray),
        pytest.param("raylet", 2, marks=pytest.mark.ray),
    ],
)
def test_a_render_goes_on_without_a_helper(
    bench: Bench, tmp_path: Path, undisturbed: dict[str, str], name: str, workers: int
) -> None:
    preset = bench.preset(f"slow{workers}", sampling=STEPS, cluster={"workers": workers})
    command = sonic("render", rows(bench, tmp_path), "--preset", preset, "--no-report")
    with terminal(*command) as run:
        run.wait_until(said("denoising, step [1-9]"))
        killed_s = kill(run, name)
        run.wait_until(said(GOES_ON))
        assert time.monotonic() - killed_s < SAID_S
        assert_whole(run, tmp_path, undisturbed)
    assert len(re.findall("stopped unexpectedly", run.text)) == 1


@pytest.mark.ray
@pytest.mark.flow
@pytest.mark.faults
@pytest.mark.repeat
def test_each_helper_is_killed_ten_times_at_any_moment(
    bench: Bench, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    """A command survives one kill after the other; when its rows are finished, another begins."""
    chance = random.Random(14)
    kills = [name for name in HELPERS for _ in range(KILLS_OF_EACH)]
    chance.shuffle(kills)
    preset = bench.preset("two", sampling=STEPS, cluster={"workers": 2})
    for number in itertools.count():
        if not kills:
            break
        manifest = rows(bench, tmp_path / str(number))
        command = sonic("render", manifest, "--preset", preset, "--json-lines", "--no-report")
        with terminal(*command) as run:
            _kill_one_after_the_other(run, kills, chance)
            assert_whole(run, tmp_path / str(number), undisturbed)


def _kill_one_after_the_other(run: Terminal, kills: list[str], chance: random.Random) -> None:
    """Until all are killed, or the rows are finished; at most 3 before a row is finished."""
    begin = num_in_vain = 0
    while kills:
        moment = chance.choice(MOMENTS) if num_in_vain < 2 else MOMENTS[-1]
        run.wait_until(said_or_ended(moment, begin))
        time.sleep(0.3 + chance.random())
        run.wait_until(lambda run: run.status is not None or process(HELPERS[kills[-1]])(run))
        if run.status is not None:
            return
        num_in_vain = 0 if MOMENTS[-1] in run.text[begin:] else num_in_vain + 1
        killed_s = kill(run, kills[-1])
        run.wait_until(said_or_ended(GOES_ON, begin))
        if GOES_ON in run.text[begin:]:  # it did not need the helper any more otherwise
            took_s = time.monotonic() - killed_s
            assert took_s < SAID_S
            print(f"{kills.pop()} killed at {moment}: said after {took_s:.2f} s")
            begin = run.text.rindex(GOES_ON) + len(GOES_ON)


def said_or_ended(words: str, begin: int) -> Callable[[Terminal], bool]:
    """Whether the command has said this since then, or has ended."""
    return lambda run: run.status is not None or bool(re.search(words, run.text[begin:]))


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
    local = bench.preset("slow", sampling=MANY_STEPS)
    command = sonic("render", rows(bench, tmp_path), "--preset", local, "--json-lines")
    with terminal(*command) as run:
        run.wait_until(said('"stage": "denoise", "done": [1-9]'))
        os.kill(min(set(run.processes()) - {run.pid}), signal.SIGKILL)
        assert run.wait() == 1
        assert not run.processes()
    assert "was ended by SIGKILL, perhaps because the machine ran out of memory" in run.text
    assert statuses(tmp_path) == ["waiting", "waiting"]


@pytest.mark.flow
@pytest.mark.faults
def test_a_server_of_the_user_that_dies_is_named_and_no_row_has_failed(
    bench: Bench, tmp_path: Path
) -> None:
    port, home = free_port(), str(tmp_path / "home")
    url = f"http://127.0.0.1:{port}/api"
    app = ["--factory", "prefect.server.api.server:create_app", "--log-level", "error"]
    start = [sys.executable, "-m", "uvicorn", *app, "--port", str(port)]
    with subprocess.Popen(start, env=os.environ | {"PREFECT_HOME": home}) as server:
        wait_for_server(f"{url}/health")
        settings = {"PREFECT_API_URL": url, "PREFECT_CLIENT_MAX_RETRIES": "1"}
        local = bench.preset("slow", sampling=STEPS, rows_in_flight=1)
        command = sonic("render", rows(bench, tmp_path), "--preset", local, "--no-report")
        with terminal("env", *(f"{k}={v}" for k, v in settings.items()), *command) as run:
            run.wait_until(said("denoising, step [1-9]"))
            server.kill()
            assert run.wait() == 2
    assert "Prefect cannot be reached" in run.text
    assert "Start the server at PREFECT_API_URL" in run.text
    assert "Traceback" not in run.text
    assert "failed" not in statuses(tmp_path)
