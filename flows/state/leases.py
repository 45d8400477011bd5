"""Who renders a row: a lease beside its output, so that no two commands render one row.

A lease is a file `<name>.<generation>.lease`: made only where there is none (O_EXCL on a disk,
If-None-Match on an object store) and renewed by a thread. One that was not renewed in time, or
whose process is gone, is stale: whoever makes the next generation has the row. Clocks of machines
that share a manifest must agree to within `lease_s`.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from uuid import uuid4

from flows import urls
from sonic_ops.core.errors import LockedError
from sonic_ops.core.files import names_in, remove, written

LEASE = ".lease"
RENEWALS = 4
"""Renewals in the time after which a lease is stale."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lease: `machine` is a name for people, `home` tells whether `pid` is known here."""

    owner: str
    machine: str
    home: str
    pid: int
    renewed_s: float
    lease_s: float

    @property
    def is_stale(self) -> bool:
        """Return whether the lease may be taken over."""
        if self.home == _home() and not _runs(self.pid):
            return True
        return time.time() - self.renewed_s > self.lease_s


class Leases:
    """The leases of one run, by what they are for: a URL that need not exist."""

    def __init__(self, lease_s: float) -> None:
        self.owner = uuid4().hex
        self._lease_s = lease_s
        self._lock = Lock()
        self._files = Lock()  # held while files are changed: what is given back is not renewed
        self._generations: dict[str, int] = {}
        self._renewed_s: dict[str, float] = {}

    def take(self, target: str) -> None:
        """Take the lease of a target; one that is ours is kept.

        Raises LockedError, and OSError, after which it may be tried again.
        """
        found = _found(target)
        newest = max(found, default=0)
        holder = read_holder(found[newest]) if found else None
        if found and holder is None and is_being_made(found[newest], self._lease_s):
            raise locked_by(None)
        is_ours = holder is not None and holder.owner == self.owner
        if holder and not is_ours and not holder.is_stale:
            raise locked_by(holder)
        generation = newest if is_ours else newest + 1
        if not is_ours and not urls.create(_lease_url(target, generation), self._content()):
            raise locked_by(None)
        with self._lock:
            self._generations[target] = generation
            self._renewed_s[target] = time.monotonic()
        for older, url in found.items():
            with suppress(OSError):  # only the newest counts
                if older < generation:
                    remove(url)

    def release(self, target: str) -> None:
        """Give a lease back; one that was lost is left to whoever has it now."""
        with self._files:
            with self._lock:
                generation = self._generations.pop(target, None)
                self._renewed_s.pop(target, None)
            with suppress(OSError):  # it becomes stale by itself
                if generation is not None and self._is_ours(target, generation):
                    remove(_lease_url(target, generation))

    def holds(self, target: str) -> bool:
        """Return whether a lease is ours and was renewed in time."""
        with self._lock:
            renewed_s = self._renewed_s.get(target)
        return renewed_s is not None and time.monotonic() - renewed_s <= self._lease_s

    def check(self, target: str) -> None:
        """Raise LockedError if a lease was lost: this process was silent for too long."""
        if not self.holds(target):
            raise locked_by(None)

    def renew(self) -> None:
        """Say that this process still works on everything it holds."""
        for target in list(self._generations):
            # What cannot be renewed is tried again; `check` tells when that took too long.
            with self._files, suppress(OSError):
                if target in self._generations:
                    self._renew(target, self._generations[target])

    def release_all(self) -> None:
        """Give everything back."""
        for target in list(self._generations):
            self.release(target)

    def _renew(self, target: str, generation: int) -> None:
        ours = self._is_ours(target, generation)
        if ours:
            with written(_lease_url(target, generation)) as path:
                path.write_bytes(self._content())
        with self._lock:
            if not ours:
                self._renewed_s.pop(target, None)
            elif target in self._renewed_s:
                self._renewed_s[target] = time.monotonic()

    def _is_ours(self, target: str, generation: int) -> bool:
        found = _found(target)
        if generation != max(found, default=0):
            return False
        holder = read_holder(found[generation])
        return holder is not None and holder.owner == self.owner

    def _content(self) -> bytes:
        here = platform.node(), _home(), os.getpid()
        return json.dumps(asdict(Holder(self.owner, *here, time.time(), self._lease_s))).encode()


@contextmanager
def open_leases(lease_s: float) -> Iterator[Leases]:
    """Leases that a thread renews; all are given back at the end."""
    leases, ended = Leases(lease_s), Event()

    def keep() -> None:
        while not ended.wait(lease_s / RENEWALS):
            leases.renew()

    thread = Thread(target=keep, name="leases", daemon=True)
    thread.start()
    try:
        yield leases
    finally:
        ended.set()
        thread.join()
        leases.release_all()


def holder_of(target: str) -> Holder | None:
    """Return the holder of a target's lease, stale or not. Raises OSError."""
    found = _found(target)
    return read_holder(found[max(found)]) if found else None


def read_holder(url: str) -> Holder | None:
    """Read the holder from a lease file; None if damaged or gone. Raises OSError."""
    content = urls.read_json(url)
    try:
        return Holder(**content) if isinstance(content, dict) else None
    except TypeError:
        return None


def is_being_made(url: str, lease_s: float) -> bool:
    """Return whether a lease file is empty and new: some disks show it before its content."""
    return urls.size_bytes(url) == 0 and urls.age_s(url) < lease_s


def locked_by(holder: Holder | None) -> LockedError:
    """Make the error of a row that another command renders."""
    who = f", process {holder.pid} on {holder.machine}" if holder else ""
    return LockedError(
        f"Another command is rendering this row{who}",
        remedy="Run the same command again after the other one has ended.",
    )


def _found(target: str) -> dict[int, str]:
    """List the lease files of a target by generation."""
    folder, prefix = urls.folder_of(target), f"{urls.name_of(target)}."
    found = {}
    for name in names_in(folder):
        generation = name.removeprefix(prefix).removesuffix(LEASE)
        if name.startswith(prefix) and name.endswith(LEASE) and generation.isdecimal():
            found[int(generation)] = urls.join(folder, name)
    return found


def _lease_url(target: str, generation: int) -> str:
    return f"{target}.{generation}{LEASE}"


@cache
def _home() -> str:
    """Identify the boot and process namespace in which a process number is valid."""
    parts = [platform.node()]
    with suppress(OSError):
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text().strip()]
        parts += [str(Path("/proc/self/ns/pid").readlink())]
    return " ".join(parts)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # one that has ended, and that nobody has asked for its exit status, is still listed
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
