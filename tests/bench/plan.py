"""`python -m tests.bench.plan`: what `sonic plan` says, guessed and calibrated, and what it takes.

Plans and renders rows of speech as a user does, one command after another. Both are seconds of the
clock, so that the machine has to be calm; with `--cpu` work is counted in seconds of CPU, which
others disturb less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import soundfile

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from tests.bench.speech import EXAMPLES, joined

CPU_CLOCK = "import time; time.perf_counter = time.process_time"
"""What counts the seconds of jobs, in every process that Python begins with this."""

FACE = {"portrait": str(EXAMPLES / "ada.png")}
SLIDE = {"portrait": str(EXAMPLES / "lecture" / "slide_1.png"), "framing": "paste"}
SONIC = str(Path(sys.executable).with_name("sonic"))
HEAD = (
    "| preset | speech | work taken | guessed | calibrated | clock taken | guessed | calibrated "
    "| disk of the work taken, planned | video taken, planned | load |",
    "|" + " --- |" * 11,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a render took: seconds of workers, of the clock from start to end, bytes at its end."""

    worker_s: float
    wall_s: float
    work_bytes: int
    output_bytes: int


def planned(manifest: Path, preset: str) -> dict[str, Any]:
    """The total of `sonic plan`."""
    command = [SONIC, "plan", str(manifest), "--preset", preset, "--json"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stdout + ran.stderr)
    return next(
        facts for facts in map(json.loads, ran.stdout.splitlines()) if facts["event"] == "total"
    )


def rendered(manifest: Path, preset: str) -> Taken:
    """Render, and keep the work."""
    work = manifest.with_suffix(".work")
    command = [SONIC, "render", str(manifest), "--preset", preset, "--no-report", "--quiet"]
    started_s = time.monotonic()
    subprocess.run([*command, "--work", str(work), "--set", "keep_work=true"], check=True)
    wall_s = time.monotonic() - started_s
    (row,) = pq.read_table(manifest.with_suffix(".results.parquet")).to_pylist()
    output_bytes = Path(row["output"]).stat().st_size
    # While it is finished, the video is there beside its work.
    kept = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    return Taken(row["worker_s"], wall_s, kept + output_bytes, output_bytes)


def manifests(
    folder: Path, lengths: Sequence[float], recordings: Path, cells: dict[str, str]
) -> Iterator[Path]:
    """Write a manifest of one row for every length."""
    for seconds in lengths:
        name = f"{seconds:g}s"
        samples = joined(recordings, seconds)
        soundfile.write(folder / f"{name}.wav", samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        row = {"id": name, "audio": f"{name}.wav", "output": f"{name}.mp4"}
        (folder / f"{name}.jsonl").write_text(json.dumps(row | cells))
        yield folder / f"{name}.jsonl"


def lines_of(preset: str, rows: Sequence[Path]) -> Iterator[str]:
    """What every row was planned to take, first without a calibration, and took."""
    guesses = [planned(row, preset) for row in rows]
    doctor = [SONIC, "doctor", "--calibrate", "--preset", preset]
    subprocess.run(doctor, check=True, stdout=subprocess.DEVNULL)
    for row, guess in zip(rows, guesses, strict=True):
        load = os.getloadavg()[0]
        plan = planned(row, preset)
        taken = rendered(row, preset)
        cells = [f"`{preset}`", row.stem]
        for key, took in (("worker_s", taken.worker_s), ("wall_s", taken.wall_s)):
            cells += [f"{took:.1f} s", f"{guess[key]:.1f} s, {guess[key] / took:.2f}"]
            cells += [f"{plan[key]:.1f} s, {plan[key] / took:.2f}"]
        cells += [_bytes(taken.work_bytes, plan["work_bytes"])]
        cells += [_bytes(taken.output_bytes, plan["output_bytes"]), f"{load:.1f}"]
        yield f"| {' | '.join(cells)} |"


def _bytes(taken: int, planned: int) -> str:
    return f"{taken / 1e6:.2f}, {planned / 1e6:.2f} MB, {planned / taken:.2f}"


def main() -> None:
    """Print a line for every preset and length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[3, 60])
    parser.add_argument("--presets", nargs="+", default=["lite", "sketch", "sketch-fast"])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES, help="WAV, 16 kHz mono")
    parser.add_argument("--slide", action="store_true", help="a face pasted into 1280 x 720")
    parser.add_argument("--cpu", action="store_true", help="work in seconds of CPU")
    options = parser.parse_args()
    print(*HEAD, sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"  # calibrations are kept there
        if options.cpu:
            (Path(scratch) / "sitecustomize.py").write_text(CPU_CLOCK)
            os.environ["PYTHONPATH"] = f"{scratch}:{os.environ.get('PYTHONPATH', '')}"
        cells = SLIDE if options.slide else FACE
        for preset in options.presets:
            folder = Path(scratch) / preset
            folder.mkdir()
            rows = list(manifests(folder, options.seconds, options.recordings, cells))
            for line in lines_of(preset, rows):
                print(line, flush=True)


if __name__ == "__main__":
    main()
