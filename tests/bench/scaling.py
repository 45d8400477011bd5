"""How well more workers help: `python -m tests.bench.scaling [--workers 8] [--videos 10min]`.

The planner, the pool, Ray and the files are the product's own; only the networks are replaced, by
ones that cost a given time and give tensors of the real size (`simulation.py`).

efficiency   what the networks cost, over the time that all workers were there
busy         the time of all jobs in the workers, over the same
driver CPU   CPU time of the process that plans and submits, over the time that passed

A window takes 1.4 s unless told otherwise: 10 s of video, 125 windows over 25 steps, take 3 minutes
on a GPU of 24 GB, say the authors (github.com/jixiaozhong/Sonic, issue 23), decoding included.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig, SamplingConfig
from sonic_ops.core.presets import VideoConfig
from tests.bench.simulation import Costs, SimulatedWorker, ideal_s, prepare, render

SIDE = 512
ROWS = 50
ROWS_IN_FLIGHT_PER_WORKER = 1
WINDOW_S = 1.4


def mixed_lengths() -> tuple[float, ...]:
    """Seconds of 50 rows, most of them short: 4 s to 3 minutes, 25 s in the middle."""
    lengths = np.random.default_rng(1).lognormal(np.log(25), 0.9, ROWS)
    return tuple(float(s) for s in lengths.clip(4, 180).round(1))


VIDEOS: dict[str, tuple[float, ...]] = {
    "10s": (10.0,),
    "1min": (60.0,),
    "10min": (600.0,),
    "50rows": mixed_lengths(),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What some videos took on some workers."""

    wall_s: float
    ideal_s: float
    jobs_s: float
    driver_cpu_s: float
    num_jobs: int
    num_workers: int

    @property
    def efficiency(self) -> float:
        return self.ideal_s / (self.wall_s * self.num_workers)

    def __str__(self) -> str:
        busy = self.jobs_s / (self.wall_s * self.num_workers)
        return (
            f"efficiency {self.efficiency:.3f}, busy {busy:.3f}, {self.num_jobs} jobs and "
            f"{self.ideal_s:.0f} worker seconds in {self.wall_s:.1f} s, "
            f"driver CPU {self.driver_cpu_s / self.wall_s:.1%}"
        )


def measure(
    pool: Pool, requests: Sequence[VideoRequest], config: VideoConfig, costs: Costs
) -> Measured:
    """Render some videos, as many at a time as there are workers."""
    started, cpu_s = time.monotonic(), _cpu_s()
    at_once = ROWS_IN_FLIGHT_PER_WORKER * pool.num_workers
    with ThreadPoolExecutor(at_once) as threads:
        for rendered in [threads.submit(render, pool, each, config) for each in requests]:
            rendered.result()
    wall_s, spent_s = time.monotonic() - started, _cpu_s() - cpu_s
    row_costs = [pool.pop_costs(request.order) for request in requests]
    return Measured(
        wall_s=wall_s,
        ideal_s=sum(ideal_s(request, config, costs) for request in requests),
        jobs_s=sum(costs.worker_s for costs in row_costs),
        driver_cpu_s=spent_s,
        num_jobs=sum(costs.jobs for costs in row_costs),
        num_workers=pool.num_workers,
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    options = _options()
    config = VideoConfig(
        sampling=SamplingConfig(steps=options.steps), segment_frames=options.segment_frames
    )
    costs = Costs(window_s=options.window_s, decode_s=0.02, encode_s=0.01, piece_s=0.2)
    make = partial(SimulatedWorker, costs)
    for num_workers in options.workers:
        cluster, models = ClusterConfig(workers=num_workers), ModelsConfig(weights="none")
        with open_pool(cluster, models, make_worker=make) as opened:
            pool: Any = opened
            while len(pool.processes) < num_workers:  # a render may begin before, a measurement not
                time.sleep(0.5)
            for name in options.videos:
                with tempfile.TemporaryDirectory(dir=options.work) as folder:
                    requests = [
                        prepare(Path(folder, str(i)), seconds=seconds, side=SIDE, order=i)
                        for i, seconds in enumerate(VIDEOS[name])
                    ]
                    measured = measure(pool, requests, config, costs)
                print(f"{name:<7} {num_workers:>2} workers: {measured}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--videos", nargs="+", choices=VIDEOS, default=list(VIDEOS))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--window-s", type=float, default=WINDOW_S)
    parser.add_argument("--segment-frames", type=int, default=100)
    parser.add_argument("--work", help="folder of the files; none: the system's temporary one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
