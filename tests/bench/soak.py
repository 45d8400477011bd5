"""`make soak`: many rows for some time, workers killed at random, and what the processes hold.

Memory, open files and threads of every process that lives through the measured time are sampled; a
line through the memory of each says whether it grows. At the end the command is told to stop, and
nothing of it may be left: no process, and no file in the folder for temporary files. Linux only.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from scipy.stats import linregress

from tests.bench.processes import MARK, marked
from tests.bench.tables import REPOSITORY, RESULTS, origin, write_table
from tests.end_to_end.conftest import FAST, NOTICE
from tests.flows.conftest import FACE, SPEECH
from tests.tiny import make_tiny_weights

NUM_ROWS: Final = 10_000
LOOK_EVERY_S: Final = 5.0
KILL_EVERY_S: Final = 30.0
SETTLED: Final = 0.25
"""The share of the time after which a process holds what it needs."""
STOP_S: Final = 30.0
ENOUGH: Final = 1.96
"""Standard errors of a slope beyond which it is no chance."""
GROWTH_MB: Final = 4.0
"""Growth over the measured time that nobody would call one."""
WORKER: Final = "worker that was not killed"
NAMES: Final = {
    "prefect.server": "Prefect's temporary server",
    "gcs_server": "GCS of Ray",
    "raylet/raylet": "raylet",
    "dashboard/agent": "agent of Ray",
    "runtime_env/agent": "agent of Ray for environments",
    "log_monitor": "log monitor of Ray",
    "monitor.py": "autoscaler of Ray",
    "watchdog": "watchdog",
    "ray::WorkerActor": WORKER,
    "-m flows render": "sonic render",
}
HEAD = (
    "process",
    "memory, MB",
    "at the end",
    "MB per hour",
    "grows",
    "open files",
    "threads",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process holds at a moment, in seconds since the start."""

    at_s: float
    memory_mb: float
    num_files: int
    num_threads: int


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a process held from when it had settled to the end."""

    name: str
    samples: Sequence[Sample]

    def growth(self) -> tuple[float, float]:
        """The slope of its memory and its standard error, in MB per hour."""
        line = linregress(
            [s.at_s / 3600 for s in self.samples], [s.memory_mb for s in self.samples]
        )
        return float(line.slope), float(np.nan_to_num(line.stderr))  # all are equal: 0 / 0

    @property
    def grows(self) -> bool:
        slope, error = self.growth()
        hours = (self.samples[-1].at_s - self.samples[0].at_s) / 3600
        return slope - ENOUGH * error > 0 and slope * hours > GROWTH_MB

    def __str__(self) -> str:
        first, last = self.samples[0], self.samples[-1]
        slope, error = self.growth()
        cells = [
            self.name,
            f"{first.memory_mb:.1f}",
            f"{last.memory_mb:.1f}",
            f"{slope:+.1f} ± {ENOUGH * error:.1f}",
            "yes" if self.grows else "no",
            f"{first.num_files} → {last.num_files}",
            f"{first.num_threads} → {last.num_threads}",
        ]
        return f"| {' | '.join(cells)} |"


def _sample(folder: Path, at_s: float) -> Sample:
    status = (folder / "status").read_text()
    memory_kb = int(re.findall(r"RssAnon:\s+(\d+)", status)[0])
    threads = int(re.findall(r"Threads:\s+(\d+)", status)[0])
    return Sample(at_s, memory_kb / 1024, len([*(folder / "fd").iterdir()]), threads)


def _name_of(folder: Path) -> str:
    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return next((name for words, name in NAMES.items() if words in line), line[:40].strip() or "?")


def prepare(folder: Path) -> list[str]:
    """Write a manifest of many rows; the command that renders it."""
    make_tiny_weights(folder / "weights")
    weights = {"models": {"weights": str(folder / "weights"), "notice": NOTICE}}
    preset = weights | FAST | {"cluster": {"workers": 2}}
    (folder / "preset.yaml").write_text(yaml.safe_dump(preset))
    base = {"portrait": str(FACE), "audio": str(SPEECH), "end": 0.4}
    rows = [base | {"id": f"{n}", "seed": n, "output": f"{n}.mp4"} for n in range(NUM_ROWS)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    options = ["--preset", str(folder / "preset.yaml"), "--json-lines", "--no-report"]
    return [sys.executable, "-m", "flows", "render", str(folder / "m.parquet"), *options]


def soak(folder: Path, minutes: float, seed: int) -> tuple[list[Soaked], list[str]]:
    """Render for some time; the processes that lived through it, and a line per fact."""
    command, mark, scratch = prepare(folder), uuid4().hex, folder / "tmp"
    scratch.mkdir()  # where Ray, too, has its folder
    # Ray lets workers go last, which on a machine with other work is never.
    env = os.environ | {MARK: mark, "TMPDIR": str(scratch), "RAY_worker_niceness": "0"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=env, stdout=log, stderr=log, cwd=REPOSITORY, start_new_session=True
        )
        try:
            samples, num_kills = _watch(process, mark, folder / "log", minutes, random.Random(seed))
        finally:
            process.terminate()  # Ctrl-C says nothing to a command in the background
            status = process.wait(STOP_S)
    num_rows = len([*folder.glob("*.mp4")])
    text = (folder / "log").read_text("utf-8", "replace")
    num_failed = text.count('"status": "failed"')
    left = [_name_of(path) for path in marked(mark)]
    files = [str(path.relative_to(scratch)) for path in scratch.rglob("*") if path.is_file()]
    files = [name for name in files if not name.endswith(".lock")]  # locks stay for the next
    facts = [
        f"{num_rows} rows in {minutes:g} minutes, {num_failed} failed; {num_kills} workers killed. "
        f"SIGTERM at the end: status {status}. Left: {len(left)} processes, {len(files)} temporary "
        f"files{': ' if left or files else ''}{', '.join([*left, *files[:5]])}."
    ]
    return list(_lived(samples, minutes * 60)), facts


def _watch(
    process: "subprocess.Popen[bytes]", mark: str, log: Path, minutes: float, chance: random.Random
) -> tuple[dict[str, list[Sample]], int]:
    """Sample and kill from the first finished row on; samples by name and process number."""
    while not (num_ended := _num_ended(log)):
        if process.poll() is not None:
            raise SystemExit(f"the command ended before a row did: {log}")
        time.sleep(0.5)
    samples: dict[str, list[Sample]] = {}
    began_s, next_kill_s, num_kills = time.monotonic(), KILL_EVERY_S, 0
    while (at_s := time.monotonic() - began_s) < 60 * minutes and process.poll() is None:
        alive = []
        for folder in marked(mark):
            with suppress(OSError, IndexError):
                role = ": supervisor" * (int(folder.name) == process.pid)
                key = f"{_name_of(folder)}{role}/{folder.name}"
                samples.setdefault(key, []).append(_sample(folder, at_s))
                alive += [int(folder.name)] * key.startswith(WORKER)
        # Where a start takes longer than workers live, no row would ever end.
        if at_s > next_kill_s and alive and _num_ended(log) > num_ended:
            num_ended, next_kill_s = _num_ended(log), at_s + KILL_EVERY_S * chance.uniform(0.5, 1.5)
            os.kill(chance.choice(alive), signal.SIGKILL)
            num_kills += 1
        time.sleep(LOOK_EVERY_S)
    return samples, num_kills


def _num_ended(log: Path) -> int:
    return log.read_text("utf-8", "replace").count('"row-ended"')


def _lived(samples: dict[str, list[Sample]], seconds: float) -> Iterator[Soaked]:
    """Those that were there from when they could have settled until the end."""
    from_s = SETTLED * seconds
    for key, taken in samples.items():
        if taken[0].at_s < from_s and taken[-1].at_s > seconds - 4 * LOOK_EVERY_S:
            yield Soaked(key.partition("/")[0], [s for s in taken if s.at_s >= from_s])


def main() -> None:
    """Soak, print the table, and with `--write` put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the kills")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    source = origin(f"make soak MINUTES={options.minutes:g} SEED={options.seed}")
    folder = Path(tempfile.mkdtemp(prefix="sonic-soak-"))
    soaked, facts = soak(folder, options.minutes, options.seed)
    lines = [f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|", *map(str, soaked), "", *facts]
    print(*lines, "", source, sep="\n")
    shutil.rmtree(folder)
    if options.write:
        write_table(RESULTS, "soak", [*lines, "", source])
    if any(each.grows for each in soaked):
        raise SystemExit("a process grows: see the table")


if __name__ == "__main__":
    main()
