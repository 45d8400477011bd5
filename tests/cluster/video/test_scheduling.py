"""How well the planner and the dispatcher keep workers busy, in virtual time."""

from functools import partial
from pathlib import Path

import numpy as np

from cluster.pool.dispatcher import Call
from cluster.video.jobs import VideoRequest
from cluster.video.render import denoise_video, encode_video
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.presets import VideoConfig
from tests.cluster.virtual import VirtualPool

CONFIG = VideoConfig(sampling=SamplingConfig(steps=9))


def cost_s(call: Call) -> float:
    """What a job takes on a worker, as on a GPU: half a second a window, little but for that."""
    job = call.arguments[0]
    match call.job.method:
        case "denoise":
            return 0.5 * len(job.windows)
        case "decode":
            return 0.02 * (job.stop - job.start)
        case "encode":
            return 0.01 * (job.stop - job.start)
        case _:
            return 0.004


def render(pool: VirtualPool, work: Path, seconds: list[float], rows_in_flight: int = 1) -> None:
    """Denoise and encode rows of some lengths."""

    def row(request: VideoRequest) -> None:
        denoise_video(pool, request, CONFIG, lambda progress: None)
        encode_video(pool, request, CONFIG, lambda progress: None)

    requests = [
        VideoRequest("sound", "portrait", int(s * SAMPLE_RATE_HZ), str(work / f"{i}"), order=i)
        for i, s in enumerate(seconds)
    ]
    pool.render([partial(row, request) for request in requests], rows_in_flight)


def test_ten_minutes_keep_eight_workers_busy(tmp_path: Path) -> None:
    pool = VirtualPool([1.0] * 8, cost_s)
    render(pool, tmp_path, [600.0])
    assert pool.efficiency >= 0.95


def test_rows_of_mixed_lengths_keep_eight_workers_busy(tmp_path: Path) -> None:
    pool = VirtualPool([1.0] * 8, cost_s)
    lengths = np.random.default_rng(1).lognormal(np.log(25), 0.9, 50).clip(4, 180)
    render(pool, tmp_path, lengths.tolist(), rows_in_flight=8)
    assert pool.efficiency >= 0.9


def test_slow_workers_do_as_much_as_they_can(tmp_path: Path) -> None:
    pool = VirtualPool([1.0, 1.0, 0.5, 0.5], cost_s)
    render(pool, tmp_path, [300.0])
    assert pool.efficiency >= 0.95
    fast, slow = (sum(w.num_jobs for w in half) for half in (pool.workers[:2], pool.workers[2:]))
    assert 1.6 <= fast / slow <= 2.4
