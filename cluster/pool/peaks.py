"""The most memory that this process and its device have held, during a job and ever."""

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_RESET = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # of the kernel: https://docs.kernel.org/filesystems/proc.html
_STATUS = Path("/proc/self/status")
_most_before_reset = [0]


class Peaks(NamedTuple):
    """The most bytes that were held, by the process and on its device."""

    host: int = 0
    device: int = 0

    def highest(self, other: "Peaks") -> "Peaks":
        """Take the larger of each."""
        return Peaks(max(self.host, other.host), max(self.device, other.device))


NO_PEAKS = Peaks()


def reset_peaks() -> None:
    """Begin to measure anew. Where that is not allowed, the peaks of the process so far stay."""
    _most_before_reset[0] = process_peak_bytes()
    with suppress(OSError):
        _RESET.write_text(_RESET_PEAK)
    if cuda := _cuda():
        cuda.reset_peak_memory_stats()


def peaks() -> Peaks:
    """Measure the most that was held since the last reset."""
    cuda = _cuda()
    return Peaks(_peak_bytes(), cuda.max_memory_allocated() if cuda else 0)


def process_peak_bytes() -> int:
    """Measure the most that this process has ever held: a reset makes the kernel forget it."""
    return max(_most_before_reset[0], _peak_bytes())


def _cuda() -> Any:
    """`torch.cuda` if this process uses it: a command that computes nothing does not load torch."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch and torch.cuda.is_initialized() else None


def _peak_bytes() -> int:
    try:
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, ValueError):  # not Linux
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return 1024 * int(line.split()[1])
