"""`python -m tests.bench.start [--tree FOLDER]`: from a command to its first line and UNet call.

Wall seconds of this machine as it is, with its load, and CPU seconds of all processes of the
command: those say more on a machine that is not idle. `--tree` measures another checkout.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from tests.bench.processes import MARK, cpu_s
from tests.bench.tables import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
CASES = {
    "one video, no manifest": ["ada.png", "young_man.wav", "-o", "out.mp4"],
    "a manifest of one row": ["one.csv"],
    "a manifest of two rows": ["two.csv"],
}


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was printed, and the CPU seconds until then."""

    wall_s: float
    cpu_s: float


def moments(arguments: list[str], folder: Path, tree: Path) -> Iterator[tuple[str, Moment]]:
    """Run a command, and tell when it prints its first line, begins to denoise, and ends."""
    mark, started_s = uuid4().hex, time.monotonic()
    command = [sys.executable, "-m", "flows", "render", *arguments, "--json-lines", "--no-report"]
    environment = os.environ | {MARK: mark, "PYTHONPATH": str(tree)}
    seen: set[str] = set()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    before_s = used.ru_utime + used.ru_stime
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE) as run:
        assert run.stdout
        last = Moment(0.0, 0.0)
        for line in run.stdout:
            event = json.loads(line)
            last = Moment(time.monotonic() - started_s, cpu_s(mark))
            names = ["first line"]
            names += ["first UNet call"] * (event.get("stage") == "denoise")
            for name in names:
                if name not in seen:
                    seen.add(name)
                    yield name, last
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # what has ended is no longer in /proc
    yield "the end", Moment(time.monotonic() - started_s, used.ru_utime + used.ru_stime - before_s)
    if run.returncode:
        raise SystemExit(f"the command ended with {run.returncode}")


def prepared(folder: Path) -> None:
    """Copy the inputs, and write the manifests."""
    for name in ("ada.png", "young_man.wav"):
        shutil.copy2(EXAMPLES / name, folder)
    for name, ids in (("one", "a"), ("two", "ab")):
        rows = "".join(f"{id},ada.png,young_man.wav,{id}.mp4\n" for id in ids)
        (folder / f"{name}.csv").write_text(f"id,portrait,audio,output\n{rows}")


def main() -> None:
    """Print a line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, default=REPOSITORY)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    options = parser.parse_args()
    for name in options.cases:
        with tempfile.TemporaryDirectory() as scratch:
            prepared(Path(scratch))
            load = os.getloadavg()[0]
            found = moments(CASES[name], Path(scratch), options.tree.resolve())
            said = [f"{what} {m.wall_s:.1f} s ({m.cpu_s:.1f} of CPU)" for what, m in found]
        print(f"{name}: {', '.join(said)}; load {load:.1f} on {os.cpu_count()} cores", flush=True)


if __name__ == "__main__":
    main()
