"""What all processes of a command use, found by a mark in their environment. Linux only."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Self

MARK = "SONIC_BENCH_RUN"
TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_S = 0.5


def marked(mark: str) -> Iterator[Path]:
    """Find the folders in /proc of all processes that have the mark."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                yield folder


def cpu_s(mark: str) -> float:
    """CPU seconds of the processes that run now, and of the children that they have waited for."""
    ticks = 0
    for folder in marked(mark):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def memory_bytes(mark: str) -> tuple[int, int]:
    """Memory of all processes, and pages of files that they have mapped; shared ones count once.

    The kernel gives up pages of files whenever it needs memory.
    """
    held = mapped = 0
    for folder in marked(mark):
        with suppress(OSError):
            lines = (folder / "smaps_rollup").read_text().splitlines()
            sizes = dict(line.removesuffix(" kB").split(":") for line in lines if " kB" in line)
            held += 1024 * (int(sizes["Pss_Anon"]) + int(sizes["Pss_Shmem"]))
            mapped += 1024 * int(sizes["Pss_File"])
    return held, mapped


class MemoryWatch:
    """The most memory that the processes with a mark have held together, twice a second."""

    def __init__(self, mark: str) -> None:
        self.held = 0
        self.mapped = 0
        self._mark = mark
        self._over = Event()
        self._thread = Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            held, mapped = memory_bytes(self._mark)
            self.held, self.mapped = max(self.held, held), max(self.mapped, mapped)
