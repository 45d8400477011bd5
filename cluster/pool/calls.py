"""One call of a worker's method in this process: its results or its error, and what it took.

A call that runs out of memory is made once more in the low-memory form, if the method has one.
"""

import inspect
import re
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch

from cluster.pool.peaks import NO_PEAKS, Peaks, peaks, reset_peaks
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import OutOfMemoryError, RenderError, SonicError

AGAIN = "Run the same command again; only the missing work is done."

MakeWorker = Callable[[ModelsConfig], object]
"""Makes what runs the jobs, in the process that it runs in: the class `RenderWorker`."""

Watch = Callable[..., AbstractContextManager[None]]
"""Watches processes: their name for people, then a part of the command line of each."""

_NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
)
_UNITS = {"MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a call; `trace` is where an error that nobody foresaw came from."""

    results: tuple[Any, ...] = ()
    worker_s: float = 0.0
    low_memory: bool = False
    error: SonicError | None = None
    trace: str = ""
    peaks: Peaks = NO_PEAKS


NOT_MEASURED = Outcome()


def call(
    worker: object,
    method: str,
    arguments: Sequence[Any],
    *,
    num_returns: int = 1,
    low_memory: bool = False,
) -> Outcome:
    """Call a method of a worker. Nothing is raised but what ends the process."""
    reset_peaks()
    started_s, kept_bytes = time.perf_counter(), _kept_bytes()
    job = getattr(worker, method)
    forms = _forms(job, low_memory=low_memory)
    for form in forms:
        try:
            result = job(*arguments, **form)
        except SonicError as error:
            return Outcome(worker_s=time.perf_counter() - started_s, error=error)
        except Exception as error:
            if form is forms[-1] or not _is_out_of_memory(error):
                return Outcome(
                    worker_s=time.perf_counter() - started_s,
                    error=_error_of(method, error, kept_bytes),
                    trace=traceback.format_exc(),
                )
        else:
            break
        # The traceback is gone after the handler, and with it the tensors it held.
        torch.cuda.empty_cache()
    results = (result,) if num_returns == 1 else tuple(result)
    assert len(results) == num_returns
    return Outcome(results, time.perf_counter() - started_s, bool(form), peaks=peaks())


def _forms(job: Callable[..., Any], *, low_memory: bool) -> list[dict[str, bool]]:
    """Return the arguments of the forms to try, one after another."""
    if "low_memory" not in inspect.signature(job).parameters:
        return [{}]
    frugal = {"low_memory": True}
    return [frugal] if low_memory else [{}, frugal]


def _error_of(method: str, error: Exception, kept_bytes: int) -> SonicError:
    made: SonicError
    if _is_out_of_memory(error):
        made = out_of_memory(method, fitting_share(str(error), kept_bytes))
    else:
        made = RenderError(f"{method} failed: {type(error).__name__}: {error}", remedy=AGAIN)
    made.__cause__ = error
    return made


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out; of the CPU and of CUDA's libraries torch only says so."""
    said = isinstance(error, RuntimeError) and any(word in str(error) for word in _NO_MEMORY)
    return said or isinstance(error, MemoryError | torch.OutOfMemoryError)


def out_of_memory(method: str, share: float | None = None) -> OutOfMemoryError:
    """Make the error of a call that does not fit; `share` of the resolution might."""
    size = "" if share is None else f" to at most {share:.0%} of what it is"
    return OutOfMemoryError(
        f"a worker ran out of memory in {method}",
        remedy=f"Lower `portrait.resolution`{size}, or use workers with more memory.",
    )


def fitting_share(message: str, kept_bytes: int = 0) -> float | None:
    """Estimate the share of the resolution that fits, from torch's message about a full GPU.

    What is computed grows with the pixels, the square of the resolution; the `kept_bytes` of the
    weights do not. A tenth of the memory is left free. None if the message does not say enough.
    """
    number = r"([\d.]+) (MiB|GiB)"
    found = [
        re.search(pattern, message)
        for pattern in (
            f"Tried to allocate {number}",
            f"total capacity of {number}",
            f"{number} is allocated by PyTorch",
        )
    ]
    sizes = [float(match[1]) * _UNITS[match[2]] for match in found if match]
    if len(sizes) < len(found):
        return None
    tried, total, allocated = sizes
    room, needed = 0.9 * total - kept_bytes, tried + allocated - kept_bytes
    return float(min(max(room, 0.0) / needed, 1.0) ** 0.5)


def _kept_bytes() -> int:
    return torch.cuda.memory_allocated() if torch.cuda.is_initialized() else 0
