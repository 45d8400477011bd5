"""A call that does not fit into memory: what is tried, and what is said."""

import math

import cv2
import numpy as np
import pytest
import torch

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool, RowCosts
from cluster.pool.calls import call, fitting_share
from cluster.pool.peaks import process_peak_bytes
from sonic_ops.core.errors import MissingFileError, OutOfMemoryError, RenderError

FULL = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 80.00 GiB of "
    "which 4.00 GiB is free. Of the allocated memory 70.00 GiB is allocated by PyTorch, and 512.00 "
    "MiB is reserved by PyTorch but unallocated."
)


class Hungry:
    def __init__(self, room: int) -> None:
        self.room = room

    def denoise(self, need: int, *, low_memory: bool = False) -> str:
        if (need // 2 if low_memory else need) > self.room:
            raise torch.OutOfMemoryError(FULL)
        return "low" if low_memory else "high"

    def encode(self, need: int) -> int:
        if need > self.room:
            raise MemoryError
        return need

    def decode(self, said: str, *, low_memory: bool = False) -> str:
        if not low_memory:
            if said:
                raise RuntimeError(said)
            torch.empty(1 << 60, dtype=torch.uint8)
        return "low"

    def read(self) -> None:
        raise MissingFileError("no such file", remedy="Make it.")

    def hold(self, num_bytes: int) -> int:
        return int(np.ones(num_bytes, np.uint8).sum(dtype=np.int64))

    def fall(self) -> None:
        raise ZeroDivisionError("by zero")


@pytest.mark.parametrize(
    ("need", "asked", "results", "low_memory"),
    [(4, False, ("high",), False), (8, False, ("low",), True), (4, True, ("low",), True)],
)
def test_the_low_memory_form_is_taken_where_it_is_needed_or_asked_for(
    need: int, asked: bool, results: tuple[str], low_memory: bool
) -> None:
    outcome = call(Hungry(4), "denoise", [need], low_memory=asked)
    assert (outcome.results, outcome.low_memory, outcome.error) == (results, low_memory, None)


@pytest.mark.parametrize("said", ["", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"])
def test_a_lack_of_memory_is_known_by_what_torch_says_of_it(said: str) -> None:
    outcome = call(Hungry(4), "decode", [said])
    assert (outcome.results, outcome.low_memory) == (("low",), True)
    assert isinstance(call(Hungry(4), "decode", ["shapes differ"]).error, RenderError)
    assert not isinstance(call(Hungry(4), "decode", ["shapes differ"]).error, OutOfMemoryError)


def test_a_method_without_that_form_is_called_as_it_is() -> None:
    outcome = call(Hungry(4), "encode", [3], low_memory=True)
    assert (outcome.results, outcome.low_memory) == ((3,), False)


def test_what_never_fits_is_an_error_that_names_the_size_that_might() -> None:
    error = call(Hungry(4), "denoise", [16]).error
    assert isinstance(error, OutOfMemoryError)
    assert "to at most 89% of what it is" in error.remedy
    error = call(Hungry(4), "encode", [16]).error
    assert isinstance(error, OutOfMemoryError)
    assert "`portrait.resolution`, or" in error.remedy


def test_the_share_that_fits_leaves_the_weights_where_they_are() -> None:
    # 90 GiB are needed and 72 may be used; weights take 12 of both, pixels the rest.
    share = fitting_share(FULL, kept_bytes=12 * 2**30)
    assert share == pytest.approx(math.sqrt((72 - 12) / (90 - 12)))
    assert fitting_share("out of memory") is None


def test_errors_of_ours_pass_and_others_are_named() -> None:
    assert isinstance(call(Hungry(4), "read", []).error, MissingFileError)
    outcome = call(Hungry(4), "fall", [])
    assert isinstance(outcome.error, RenderError)
    assert "fall failed: ZeroDivisionError: by zero" in str(outcome.error)
    assert "raise ZeroDivisionError" in outcome.trace


def test_the_pool_of_this_process_keeps_accounts_and_remembers_who_must_save_memory() -> None:
    pool = LocalPool(ClusterConfig(workers=0), Hungry(4))
    needs = [(8, 0), (4, 0), (4, 1)]  # what is needed, and the segment
    refs = [pool.submit("denoise", need, affinity=(7, segment))[0] for need, segment in needs]
    assert pool.get(refs) == ["low", "low", "high"]
    with pytest.raises(OutOfMemoryError):
        pool.submit("denoise", 16, affinity=(7, 2))
    costs = pool.pop_costs(7)
    assert (costs.jobs, costs.retries) == (4, {})
    assert costs.worker_s > 0
    assert pool.pop_costs(7) == RowCosts()


def test_a_row_knows_the_most_memory_that_its_jobs_held_and_the_process_remembers() -> None:
    pool, mib = LocalPool(ClusterConfig(workers=0), Hungry(4)), 1 << 20
    for order, num_bytes in ((1, 300 * mib), (1, mib), (2, mib)):
        pool.submit("hold", num_bytes, affinity=(order, 0))
    large, small = (pool.pop_costs(order).peaks["hold"].host for order in (1, 2))
    assert large - small > 200 * mib
    assert process_peak_bytes() >= large


class Counting:
    def threads(self) -> tuple[int, int]:
        return torch.get_num_threads(), cv2.getNumThreads()


def test_the_pool_of_this_process_has_the_threads_that_it_is_given() -> None:
    for num in (2, 1):
        pool = LocalPool(ClusterConfig(workers=0, threads_per_worker=num), Counting())
        assert pool.get(pool.submit("threads")) == [(num, num)]
