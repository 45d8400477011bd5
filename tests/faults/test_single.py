"""One video that is stopped, or loses a worker: the same bits afterwards, and nothing is left."""

import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.terminal import CTRL_C, Terminal, terminal
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.faults

STEPS = {"steps": 12, "window_frames": 6, "shift_frames": 2}


def command(bench: Bench, output: Path) -> list[str]:
    preset = bench.preset("single", cluster={"workers": 2}, sampling=STEPS)
    options = ["--end", "2", "--preset", preset, "--json-lines", "-o", str(output)]
    return [sys.executable, "-m", "flows", "render", str(FACE), str(SPEECH), *options]


def parent_of(pid: int) -> int:
    """The parent of a process; the server that workers are forked from has the same words."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def denoises(run: Terminal) -> bool:
    return '"stage": "denoise"' in run.text


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("undisturbed") / "a.mp4"
    with terminal(*command(bench, output)) as run:
        assert run.wait() == 0, run.text
        assert run.text.startswith('{"event": "message", "text": "checking ')
    return sha256(output)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ctrl_c_ends_it_and_the_same_command_continues(
    bench: Bench, tmp_path: Path, undisturbed: str
) -> None:
    with terminal(*command(bench, tmp_path / "a.mp4")) as run:
        run.wait_until(denoises)
        run.press(CTRL_C)
        assert run.wait(10) == 130
        assert "Stopped: 1 row unfinished. Run the same command to continue." in run.text
        assert run.processes() == {}
    assert not (tmp_path / "a.mp4").exists()
    with terminal(*command(bench, tmp_path / "a.mp4")) as run:
        assert run.wait() == 0, run.text
    assert sha256(tmp_path / "a.mp4") == undisturbed


def test_a_worker_that_is_killed_is_replaced(
    bench: Bench, tmp_path: Path, undisturbed: str
) -> None:
    with terminal(*command(bench, tmp_path / "a.mp4")) as run:
        run.wait_until(denoises)
        forked = {pid for pid, line in run.processes().items() if "forkserver" in line}
        workers = sorted(pid for pid in forked if parent_of(pid) in forked)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        assert run.wait() == 0, run.text
    assert sha256(tmp_path / "a.mp4") == undisturbed
