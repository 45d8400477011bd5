"""`python -m tests.bench.plan --recordings FOLDER`: what `sonic plan` says, against what it takes.

Calibrates this machine for the preset `sketch`, then plans and renders rows of real speech as a
user does, one command after another. Both are seconds of the clock, so that the machine has to be
calm; with `--cpu` work is counted in seconds of CPU, which others disturb less.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import soundfile

from cluster.pool.accounts import STAGES
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from tests.bench.speech import EXAMPLES, joined

CPU_CLOCK = "import time; time.perf_counter = time.process_time"
"""What counts the seconds of jobs, in every process that Python begins with this."""

FACE = {"portrait": str(EXAMPLES / "ada.png")}
SLIDE = {"portrait": str(EXAMPLES / "lecture" / "slide_1.png"), "framing": "paste"}
SONIC = str(Path(sys.executable).with_name("sonic"))


def planned(manifest: Path) -> dict[str, Any]:
    """The total of `sonic plan`."""
    command = [SONIC, "plan", str(manifest), "--json"]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return next(
        facts for facts in map(json.loads, ran.stdout.splitlines()) if facts["event"] == "total"
    )


def rendered(manifest: Path) -> tuple[float, float, dict[str, float]]:
    """Seconds of workers, of the clock from start to end of the command, and by stage."""
    started_s = time.monotonic()
    subprocess.run([SONIC, "render", str(manifest), "--no-report"], check=True)
    wall_s = time.monotonic() - started_s
    (row,) = pq.read_table(manifest.with_suffix(".results.parquet")).to_pylist()
    receipt = (
        Path(row["output"]).parent / ".sonic" / "receipts" / f"{Path(row['output']).name}.json"
    )
    stages: dict[str, float] = {}
    for method, seconds in json.loads(receipt.read_text())["timings"]["seconds"].items():
        stage = method if method == "encode" else STAGES.get(method, "denoise")
        stages[stage] = stages.get(stage, 0.0) + seconds
    return row["worker_s"], wall_s, stages


def main() -> None:
    """Print a line for every length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, nargs="+", default=[10, 60, 300])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES, help="WAV, 16 kHz mono")
    parser.add_argument("--calibration", type=Path, help="made if it is not there")
    parser.add_argument("--slide", action="store_true", help="a face pasted into 1280 x 720")
    parser.add_argument("--cpu", action="store_true", help="work in seconds of CPU")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        calibration = options.calibration or folder / "calibration.json"
        os.environ["SONIC_CALIBRATION"] = str(calibration.resolve())
        if options.cpu:
            (folder / "sitecustomize.py").write_text(CPU_CLOCK)
            os.environ["PYTHONPATH"] = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
        if not calibration.exists():
            subprocess.run([SONIC, "doctor", "--calibrate"], check=True)
        cells = SLIDE if options.slide else FACE
        lines = [line_of(folder, s, options.recordings, cells) for s in options.seconds]
    print(*lines, sep="\n")


def line_of(folder: Path, seconds: float, recordings: Path, cells: dict[str, str]) -> str:
    """What a row of that length was planned to take, and took."""
    name = f"{seconds:g}s"
    samples = joined(recordings, seconds)
    soundfile.write(folder / f"{name}.wav", samples, SAMPLE_RATE_HZ, subtype="PCM_16")
    manifest = folder / f"{name}.jsonl"
    row = {"id": name, "audio": f"{name}.wav", "output": f"{name}.mp4"}
    manifest.write_text(json.dumps(row | cells))
    load = os.getloadavg()[0]
    plan = planned(manifest)
    worker_s, wall_s, stages = rendered(manifest)
    parts = [
        f"{stage} {plan['stages_s'][stage]:.1f} / {stages.get(stage, 0.0):.1f}"
        for stage in plan["stages_s"]
    ]
    work, wall = compared(plan["worker_s"], worker_s), compared(plan["wall_s"], wall_s)
    return (
        f"{seconds:g} s of speech, planned / taken: workers {work}, clock {wall} on "
        f"{plan['num_workers']}; {', '.join(parts)} s; load before {load:.2f}"
    )


def compared(planned_s: float, taken_s: float) -> str:
    """Both, and how far the plan was off."""
    return f"{planned_s:.1f} / {taken_s:.1f} s ({taken_s / planned_s - 1:+.0%})"


if __name__ == "__main__":
    main()
