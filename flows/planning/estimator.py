"""Estimates for the rows of a run, and what does not fit into this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from math import prod
from pathlib import Path

from flows import urls
from flows.console.units import size_in_words
from flows.planning.calibration import Calibration
from flows.planning.estimate import (
    RowEstimate,
    RunEstimate,
    Sizes,
    audio_second_bytes,
    estimate_row,
)
from flows.rows.config import MAX_ROWS, RenderConfig
from flows.rows.plan import most_workers
from flows.rows.planned import PlannedRow
from flows.state.row_store import RowStore
from sonic_ops.core.formats import likely_format

KEPT_FOLDERS = 4096
NEAR_LIMIT = 0.9
_FEW_S, _FEW_ROWS = 15.0, 16
"""Seconds of work that one process ends before Ray has started two workers and they have: on two
cores `python -m tests.bench.start` saw the first UNet call after 6 s without Ray, and 13 s with."""
_CGROUP = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Limits:
    """What there is: memory for a worker, and how much free disk a folder has; None: not known."""

    memory_bytes: int | None

    def free_bytes(self, folder: str) -> int | None:
        """Return the free space where a folder is or will be; None if it is not on this machine."""
        if urls.is_remote(folder):
            return None
        place = Path(folder)
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free


class Estimator:
    """What rows will take, by one calibration, here or on another machine."""

    def __init__(
        self, config: RenderConfig, calibration: Calibration, *, is_here: bool = True
    ) -> None:
        self.config, self.calibration = config, calibration
        self.limits = Limits(_memory_bytes(config, calibration))
        free_bytes = self.limits.free_bytes if is_here else _unknown
        self._free_bytes = lru_cache(KEPT_FOLDERS)(free_bytes)

    def row(self, planned: PlannedRow) -> RowEstimate:
        """Estimate the cost of a row."""
        config = self.config.for_row(planned.row)
        codec = likely_format(planned.row.output).audio
        audio_second = audio_second_bytes(codec, planned.audio_form)
        sizes = replace(self._sizes(planned, config), audio_second=audio_second)
        return estimate_row(planned.plan, config, sizes, self.calibration)

    def problems(self, planned: PlannedRow, estimate: RowEstimate) -> Iterator[str]:
        """Yield why a row does not fit this machine, each with a remedy."""
        memory_bytes = self.limits.memory_bytes
        stage, peak = max(estimate.memory_bytes.items(), key=lambda entry: entry[1])
        if memory_bytes is not None and peak > memory_bytes:
            yield (
                f"a worker needs about {size_in_words(peak)} of memory to {stage}, and there are "
                f"{size_in_words(memory_bytes)}. Lower its resolution, or set low_memory: true"
            )
        folder = urls.folder_of(planned.work)
        free = self._free_bytes(folder)
        if free is not None and estimate.work_bytes > free:
            yield (
                f"its work needs about {size_in_words(estimate.work_bytes)} of disk, and {folder} "
                f"has {size_in_words(free)}. Free space, or let --work name another folder"
            )

    def run_problems(
        self, run: RunEstimate, an_output: str | None, num_workers: int
    ) -> Iterator[str]:
        """Yield why all rows together do not fit, each with a remedy."""
        free = self._free_bytes(urls.folder_of(an_output)) if an_output else None
        if free is not None and run.output_bytes > NEAR_LIMIT * free:
            yield (
                f"all videos together need about {size_in_words(run.output_bytes)} of disk, and "
                f"{size_in_words(free)} are free. Free space, or let --output name another folder"
            )
        memory_bytes, peak = self.limits.memory_bytes, max(run.peak_bytes.values())
        on_cpu = self.config.models.device == "cpu"
        if on_cpu and memory_bytes is not None and num_workers > 1:
            num_fit = max(int(memory_bytes / max(peak, 1)), 1)
            if num_fit < num_workers:
                together, there = map(size_in_words, (num_workers * peak, memory_bytes))
                yield (
                    f"{num_workers} workers need about {together} of memory, and there are "
                    f"{there}. Set cluster.workers: {num_fit}"
                )

    def num_workers(self, store: RowStore) -> int:
        """Return workers that the preset will have on this machine."""
        cluster = self.config.cluster
        if cluster.workers is not None:
            return max(cluster.workers, 1)
        fit = int(len(os.sched_getaffinity(0)) / cluster.cpus_per_worker)
        if cluster.gpus_per_worker:
            num_gpus = len(list(Path("/dev").glob("nvidia[0-9]*")))
            fit = min(fit, int(num_gpus / cluster.gpus_per_worker))
        return max(1, min(fit, most_workers_of(store, self.config)))

    def start_s(self, num_workers: int) -> float:
        """Return what start and end of a run take; less if it needs no Ray (`open_pool`)."""
        cluster, device = self.config.cluster, self.config.models.device
        if cluster.workers == 0 or (num_workers == 1 and cluster.may_be_alone(device)):
            return self.calibration.alone_start_s
        return self.calibration.start_s

    def _sizes(self, planned: PlannedRow, config: RenderConfig) -> Sizes:
        """Return the pixels of a row's frames."""
        settings, scale_to = config.portrait, config.media.scale_to
        side = settings.resolution
        size = (side, side)
        if planned.film is not None:
            return Sizes(side * side, prod(planned.image_size), side * side)
        if settings.framing == "face":
            return Sizes(side * side, scale_to**2 if scale_to else side * side)
        from sonic_ops.core.sizes import scaled_size
        from sonic_ops.picture.compositing import backdrop_size
        from sonic_ops.picture.portrait import render_size

        if settings.framing == "paste":
            size, whole = (side, side), backdrop_size(planned.image_size)
            # Both are scaled as one, if they are; a part has no more pixels than that.
            share = min(prod(planned.part_size) / prod(planned.image_size), 1.0)
        else:
            size = whole = render_size(planned.image_size, side)
            share = 1.0
        encoded = scaled_size(whole, scale_to) if scale_to else whole
        pasted = round(share * prod(whole)) if settings.framing == "paste" else 0
        return Sizes(prod(size), prod(encoded), pasted, share)


def most_workers_of(store: RowStore, config: RenderConfig) -> int:
    """Count the workers that have something to do; 1 for less work than starting Ray takes."""
    costs = [row.planned_worker_s for row in islice(store.planned(), _FEW_ROWS + 1)]
    is_little = len(costs) <= _FEW_ROWS and None not in costs
    if is_little and sum(cost or 0 for cost in costs) < _FEW_S:
        return 1
    return most_workers(
        (row.plan for row in store.planned()),
        segment_frames=config.segment_frames,
        rows_in_flight=config.rows_in_flight or MAX_ROWS,
    )


def _unknown(_: str) -> None:
    """Tell nothing of the disk of another machine."""


def _memory_bytes(config: RenderConfig, calibration: Calibration) -> int | None:
    """Return memory that a worker may take: of its device, or its part of that of this machine."""
    if config.models.device != "cpu":
        return calibration.limit_bytes or None
    if config.cluster.address is not None:
        return None
    return machine_memory_bytes()


def machine_memory_bytes() -> int:
    """Return the memory of this machine or container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # ValueError: "max"
        total = min(total, int(_CGROUP.read_text()))
    return total
