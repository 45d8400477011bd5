"""Memory does not grow with the video: `python -m tests.bench.memory [--minutes 10 60]`.

A simulated denoiser, and everything else as it is: planner, pool, Ray, sampler, checkpoints,
decoding, interpolation, encoder and stitching, with small pictures. Each length runs in a
process of its own; peaks are resident memory as the kernel counts it.
"""

import argparse
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from cluster.config import ClusterConfig
from cluster.pool.peaks import process_peak_bytes
from cluster.storage.artifacts import fetched_whole
from cluster.video.pools import open_pool
from sonic_ops.core.config import DecodingConfig, MediaConfig, ModelsConfig, SamplingConfig
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.inspection import probe_video
from sonic_ops.media.muxing import stitch
from tests.bench.simulation import Costs, SimulatedWorker, prepare, render

SIDE = 64
WORKERS = 2
MIB = 1 << 20
CONFIG = VideoConfig(
    sampling=SamplingConfig(steps=8),
    decoding=DecodingConfig(chunk_frames=25, context_frames=0),
    media=MediaConfig(speed="ultrafast"),
)


class Watch:
    """The peaks of this process, of the workers of a pool, and of what they see of the store."""

    def __init__(self, pool: Any) -> None:
        self.workers: dict[int, int] = {}
        self.store = 0
        self._pool = pool
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(1):
            for process in self._pool.processes:
                status = _status(process.pid)
                known = self.workers.get(process.pid, 0)  # a worker resets its peak with every job
                self.workers[process.pid] = max(known, status["VmHWM"])
                self.store = max(self.store, status["RssShmem"])

    def __str__(self) -> str:
        driver = process_peak_bytes()
        workers = ", ".join(f"{peak / MIB:.0f}" for peak in sorted(self.workers.values()))
        store = self.store / MIB
        return f"driver {driver / MIB:.0f} MiB, workers {workers} MiB, object store {store:.0f} MiB"


def _status(pid: int) -> dict[str, int]:
    """What the kernel counts of a process's memory, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = (line.split() for line in lines if line.endswith("kB"))
    return {name.rstrip(":"): int(size) * 1024 for name, size, _ in sizes}


def run(minutes: float, folder: Path) -> Watch:
    """Render a video of so many minutes in a folder; what it needed."""
    request = prepare(folder / "work", seconds=60 * minutes, side=SIDE)
    make = partial(SimulatedWorker, Costs())
    cluster, models = ClusterConfig(workers=WORKERS), ModelsConfig(weights="none")
    with open_pool(cluster, models, make_worker=make) as pool, Watch(pool) as watch:
        encoded = render(pool, request, CONFIG)
    with ExitStack() as stack:
        segments = [stack.enter_context(fetched_whole(each)) for each in encoded]
        stitch(segments, folder / "video.mp4")
    assert probe_video(folder / "video.mp4").num_frames == num_output_frames_of(request.num_samples)
    return watch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60])
    parser.add_argument("--work", help="folder of the files; none: the system's temporary one")
    options = parser.parse_args()
    if len(options.minutes) > 1:
        for minutes in options.minutes:
            here = ["--work", options.work] if options.work else []
            command = [sys.executable, "-m", "tests.bench.memory", "--minutes", str(minutes), *here]
            subprocess.run(command, check=True)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        print(
            f"{options.minutes[0]:g} minutes: {run(options.minutes[0], Path(folder))}", flush=True
        )


if __name__ == "__main__":
    main()
