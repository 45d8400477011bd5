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


class Watch:
    """The CPU seconds of all processes with a mark, and the most memory that they held at once.

    `held` is memory that is theirs, `mapped` are pages of files, which the kernel gives up whenever
    it needs memory; what processes share counts once. Looks twice a second.
    """

    def __init__(self, mark: str) -> None:
        self.held_bytes = 0
        self.mapped_bytes = 0
        self._mark = mark
        self._cpu_s: dict[str, float] = {}  # by process, since not every one is waited for
        self._over = Event()
        self._thread = Thread(target=self._look_often, daemon=True)

    @property
    def cpu_s(self) -> float:
        return sum(self._cpu_s.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look_often(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        held = mapped = 0
        for folder in marked(self._mark):
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                self._cpu_s[folder.name] = sum(map(int, fields[11:13])) / TICKS
                lines = (folder / "smaps_rollup").read_text().splitlines()
                sizes = dict(line.removesuffix(" kB").split(":") for line in lines if " kB" in line)
                held += 1024 * (int(sizes["Pss_Anon"]) + int(sizes["Pss_Shmem"]))
                mapped += 1024 * int(sizes["Pss_File"])
        self.held_bytes = max(self.held_bytes, held)
        self.mapped_bytes = max(self.mapped_bytes, mapped)
