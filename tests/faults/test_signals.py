"""Ctrl-C and SIGTERM at any moment: one line within 5 s, 130 or 143, nothing left, nothing lost.

The command has a terminal of its own, whose Ctrl-C reaches the whole foreground process group.
"""

import hashlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.terminal import CTRL_C, Terminal, terminal
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

LINE_S = 5.0
GONE_S = 10.0
STOPPED = re.compile(r"Stopped: (\d rows? unfinished|all rows have ended)[^\r\n]*command[^\r\n]*")
STEPS = {"steps": 180, "window_frames": 6, "shift_frames": 2}
"""More than 5 s of them: progress is said that often."""


def process(words: str) -> Callable[[Terminal], bool]:
    """Whether the command has such a process."""
    return lambda run: any(re.search(words, line) for line in run.processes().values())


def said(words: str) -> Callable[[Terminal], bool]:
    """Whether the command has said this."""
    return lambda run: bool(re.search(words, run.text))


def answers_signals(run: Terminal) -> bool:
    """Whether the command answers SIGHUP; until then a key reaches nobody, or Python alone."""
    status = Path(f"/proc/{run.pid}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGHUP - 1) & 1)


def has_started(run: Terminal) -> bool:
    """Whether the program has a session of its own; it goes on to import and to check."""
    return any(os.getsid(pid) == pid != run.pid for pid in run.processes())


PHASES = {
    "before the program": answers_signals,
    "importing": has_started,
    "starting Prefect": process("prefect.server"),
    "starting Ray": process("gcs_server"),
    "loading weights": process("ray::WorkerActor"),
    "denoising": said('"stage": "denoise", "done": [1-9]'),
    "finishing": said('"stage": "finish"'),
}
LOCAL = [name for name in PHASES if name not in ("starting Ray", "loading weights")]
CASES = [
    pytest.param("denoising", 0, 1, id="denoising"),
    *(
        pytest.param(phase, workers, presses, marks=pytest.mark.faults)
        for workers, phases in ((0, LOCAL), (2, [*PHASES]))
        for phase in phases
        for presses in (1, 2)
        if (phase, workers, presses) != ("denoising", 0, 1)
    ),
]


def rows(bench: Bench, folder: Path) -> str:
    base: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH), "seed": 1}
    listed = [base | {"id": name, "output": f"{name}.mp4", "end": 1.3} for name in "ab"]
    return bench.manifest(listed, folder)


def digests(folder: Path) -> dict[str, str]:
    """The content of the videos of a folder."""
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.mp4")}


@pytest.fixture(scope="module")
def undisturbed(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The videos that nobody has interrupted."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert bench.run(rows(bench, folder), bench.preset("slow", sampling=STEPS)).status == 0
    return digests(folder)


def sonic(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "flows", *arguments]


def assert_ends(run: Terminal, status: int, line: re.Pattern[str] = STOPPED) -> None:
    """The command ends in time, with its status, the line at the end, and no process left."""
    pressed_s = time.monotonic()
    before = len(run.text)
    assert run.wait(GONE_S) == status
    assert time.monotonic() - pressed_s < LINE_S
    assert not run.processes()
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]|\r|\^C", "", run.text[before:])
    assert line.search(shown.strip().splitlines()[-1]), run.text
    assert "Traceback" not in run.text
    assert "Aborted" not in run.text


@pytest.mark.flow
@pytest.mark.parametrize(("phase", "workers", "presses"), CASES)
def test_a_render_stops_in_every_phase_and_goes_on(
    bench: Bench,
    tmp_path: Path,
    undisturbed: dict[str, str],
    phase: str,
    workers: int,
    presses: int,
) -> None:
    manifest = rows(bench, tmp_path)
    settings = {"sampling": STEPS, "cluster": {"workers": workers}}
    preset = bench.preset(f"slow{workers}", **settings)
    command = sonic("render", manifest, "--preset", preset, "--json-lines", "--no-report")
    with terminal(*command) as run:
        run.wait_until(PHASES[phase])
        run.press(CTRL_C)
        if presses == 2:
            time.sleep(0.5)
            if run.status is None:
                run.press(CTRL_C)
        assert_ends(run, 130, re.compile(r"Stopped[.:]"))
    known = tmp_path / "m.results.parquet"
    if known.exists():
        assert "failed" not in pq.read_table(known).column("status").to_pylist()
    assert not [*tmp_path.glob(".sonic/leases/*.mp4*")] or presses == 2
    after = bench.run(manifest, bench.preset("slow", sampling=STEPS))
    assert after.status == 0
    assert digests(tmp_path) == undisturbed


@pytest.mark.flow
def test_what_a_person_sees(bench: Bench, tmp_path: Path) -> None:
    """The table is gone, the cursor is back, and the last line counts the rows."""
    preset = bench.preset("slow", sampling=STEPS)
    with terminal(*sonic("render", rows(bench, tmp_path), "--preset", preset)) as run:
        run.wait_until(said("denoising, step [1-9]"))
        run.press(CTRL_C)
        assert_ends(run, 130)
    *_, shown = run.text.split("\x1b[?25h")
    assert shown == "Stopped: 2 rows unfinished. Run the same command to continue.\r\n"


@pytest.mark.flow
@pytest.mark.faults
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_stop_it_too(
    bench: Bench, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    preset = bench.preset("slow", sampling=STEPS)
    with terminal(*sonic("render", rows(bench, tmp_path), "--preset", preset)) as run:
        run.wait_until(said("denoising, step [1-9]"))
        os.kill(run.pid, number)
        assert_ends(run, status)


@pytest.mark.flow
@pytest.mark.faults
def test_make_passes_it_on(bench: Bench, tmp_path: Path) -> None:
    preset = bench.preset("slow", sampling=STEPS)
    wanted = (f"INPUT={rows(bench, tmp_path)}", f"PRESET={preset}")
    with terminal("make", "-C", str(REPOSITORY), "render", *wanted) as run:
        run.wait_until(said("denoising, step [1-9]"))
        run.press(CTRL_C)
        assert_ends(run, 130, re.compile("make.*(130|Interrupt)"))
    assert STOPPED.search(run.text)


def long_commands(bench: Bench, folder: Path) -> dict[str, list[str]]:
    """Commands that have a second of work to do at least."""
    manifest, preset = rows(bench, folder), bench.preset()
    row: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH)}
    many = [row | {"id": f"{n}", "output": f"many/{n}.mp4"} for n in range(20_000)]
    return {
        "validate": ["validate", bench.manifest(many, folder / "many"), "--preset", preset],
        "plan": ["plan", manifest, "--preset", preset],
        "status": ["status", manifest, "--preset", preset],
        "report": ["report", manifest],
        "clean": ["clean", manifest],
        "mux": ["mux", str(FACE), "--audio", f"en={SPEECH}", "-o", str(folder / "both.mp4")],
        "doctor": ["doctor", "--preset", preset],
    }


@pytest.mark.parametrize(
    "name",
    [
        "validate",
        *(
            pytest.param(name, marks=pytest.mark.faults)
            for name in ("plan", "status", "report", "clean", "mux", "doctor")
        ),
    ],
)
def test_every_command_stops(bench: Bench, tmp_path: Path, name: str) -> None:
    with terminal(*sonic(*long_commands(bench, tmp_path)[name])) as run:
        run.wait_until(has_started)
        run.press(CTRL_C)
        assert_ends(run, 130, re.compile(r"^Stopped\. Run the same command to continue\.$"))


@pytest.mark.flow
@pytest.mark.faults
def test_ctrl_z_stops_everything_and_fg_continues(bench: Bench, tmp_path: Path) -> None:
    preset = bench.preset("slow", sampling=STEPS)
    with terminal(*sonic("render", rows(bench, tmp_path), "--preset", preset)) as run:
        run.wait_until(said("denoising, step [1-9]"))
        os.kill(run.pid, signal.SIGTSTP)
        run.wait_until(lambda run: set(run.states().values()) == {"T"})
        os.kill(run.pid, signal.SIGCONT)
        run.wait_until(lambda run: "T" not in run.states().values())
        run.press(CTRL_C)
        assert_ends(run, 130)
