"""`make rehearsal`: the preset `sonic` at full size, from the download to a video, on any machine.

Random numbers in files with the released names, shapes and formats are served by a hub on loopback,
and the commands are those of a user. The video shows noise; what is measured is that everything
runs, how long it takes and how much memory it needs. Linux only, since it reads /proc.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np
import soundfile

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.inspection import probe_video
from sonic_ops.models.released_sizes import RELEASED
from sonic_ops.picture.video_frames import frames_at
from sonic_ops.released.sources import SOURCES
from tests.bench.processes import MARK, Watch
from tests.bench.tables import REPOSITORY, RESULTS, origin, write_table
from tests.hub import Hub, listing, serving
from tests.released import TINY, Configs, hub_of, write_released

SIZES: Final[dict[str, Configs]] = {"full": RELEASED, "tiny": TINY}
EXAMPLES = REPOSITORY / "examples"
AUDIO_S: Final = 1
STEPS: Final = 2
SIDE: Final = 128
GB: Final = 1e9
NEEDED_BYTES: Final = 20e9  # three times the released files, and some room
HEAD = ("step", "wall, s", "CPU, s", "memory, GB", "mapped files, GB", "disk, GB")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a command took: seconds, the most memory of all its processes, and what it left."""

    name: str
    wall_s: float
    cpu_s: float
    held_bytes: int
    mapped_bytes: int
    written_bytes: int

    def __str__(self) -> str:
        sizes = (self.held_bytes, self.mapped_bytes, self.written_bytes)
        cells = [f"{self.wall_s:.0f}", f"{self.cpu_s:.0f}", *(f"{s / GB:.1f}" for s in sizes)]
        return f"| {' | '.join([self.name, *cells])} |"


def rehearse(work: Path, size: str, dtype: str) -> Generator[Cost]:
    """Do every step in a folder, and yield what it took. Raises SystemExit if one fails."""
    with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # it takes its memory along
        released = apart.submit(write_released, work / "hub", SIZES[size]).result()
    hub = hub_of(released)
    _hash_files(hub)
    _write_inputs(work)
    settings = {
        "models.device": "cpu",
        "models.dtype": dtype,
        "cluster.gpus_per_worker": "0",
        "cluster.threads_per_worker": str(os.cpu_count() or 1),
        "portrait.resolution": str(SIDE),
        "sampling.steps": str(STEPS),
    }
    changes = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    preset = ["--preset", "sonic", *changes]
    with serving(hub):
        fetch = ["weights", "fetch", "--accept-licences"]
        yield _measured(fetch, work, HF_ENDPOINT=hub.endpoint)
    for arguments in (
        ["weights", "convert"],
        ["weights", "check"],
        ["plan", "--videos", "1", "--length", f"0:{AUDIO_S:02}", *preset],
        ["render", "ada.png", "speech.wav", "-o", "ada.mp4", *preset],
    ):
        yield _measured(arguments, work)
    _require_video(work)


def _hash_files(hub: Hub) -> None:
    """Compute what the real hub knows of its files, before somebody waits for it."""
    for source in SOURCES:
        listing(hub, source.repository)


def _write_inputs(work: Path) -> None:
    shutil.copy2(EXAMPLES / "ada.png", work)
    samples, rate = soundfile.read(EXAMPLES / "young_man.wav", dtype="int16")
    soundfile.write(work / "speech.wav", samples[: AUDIO_S * rate], rate)


def _measured(arguments: Sequence[str], work: Path, **environment: str) -> Cost:
    """Run a command in the folder, showing what it prints. Raises SystemExit if it fails."""
    name = "sonic " + " ".join(arguments[: 2 if arguments[0] == "weights" else 1])
    print(f"\n$ sonic {' '.join(arguments)}", flush=True)
    mark, disk = uuid4().hex, _size_of(work)
    started = time.monotonic()
    with Watch(mark) as used:
        status = subprocess.run(
            [sys.executable, "-m", "flows", *arguments],
            cwd=work,
            env=os.environ | environment | {MARK: mark, "PYTHONPATH": str(REPOSITORY)},
            check=False,
        ).returncode
    wall_s = time.monotonic() - started
    if status:
        raise SystemExit(f"{name} ended with {status}")
    written = _size_of(work) - disk
    return Cost(name, wall_s, used.cpu_s, used.held_bytes, used.mapped_bytes, written)


def _require_video(work: Path) -> None:
    """Raise SystemExit unless the video is as long as the sound, and shows something."""
    video = work / "ada.mp4"
    num_frames = num_output_frames_of(AUDIO_S * SAMPLE_RATE_HZ)
    if (found := probe_video(video)).num_frames != num_frames:
        raise SystemExit(f"{video} has {found.num_frames} frames and not {num_frames}")
    picture = next(frames_at(video, [Fraction(AUDIO_S, 2)]))
    if np.asarray(picture).std() < 1:
        raise SystemExit(f"{video} shows one colour")


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _table(costs: Sequence[Cost]) -> list[str]:
    return [f"| {' | '.join(HEAD)} |", "| --- " * len(HEAD) + "|", *map(str, costs)]


def main() -> None:
    """Rehearse, print the table, and with `--write` put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder that is made; 20 GB")
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--dtype", default="auto", help="of the networks that render")
    parser.add_argument("--keep", action="store_true", help="keep the folder at the end")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    work = options.work.resolve()
    if work.exists():  # only what was made here is removed
        parser.error(f"{work} already exists: remove it, or name another folder")
    work.mkdir(parents=True)
    free = shutil.disk_usage(work).free
    if options.size == "full" and free < NEEDED_BYTES:
        work.rmdir()
        parser.error(f"{work} has {free / GB:.0f} GB free, and {NEEDED_BYTES / GB:.0f} are needed")
    command = f"python -m tests.bench.rehearsal --size {options.size} --dtype {options.dtype}"
    source = origin(command)
    try:
        lines = _table(list(rehearse(work, options.size, options.dtype)))
    finally:
        if not options.keep:
            shutil.rmtree(work)
    print("", *lines, "", source, sep="\n")
    if options.write:
        write_table(RESULTS, "rehearsal", [*lines, "", source])


if __name__ == "__main__":
    main()
