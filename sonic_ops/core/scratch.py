"""Folders for temporary files that no kill leaves behind for long.

Each is locked by the process that uses it, and the kernel gives up the lock however that process
ends. The next process that needs one removes those that nobody holds.
"""

import fcntl
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

_UNLOCKED = ".sonic-new-"
_ALSO = ".also"
"""A link in such a folder, to one of another program that goes with it."""
_PREFIX = f"sonic-work-{platform.node()}-"  # locks of some network disks are unknown elsewhere


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a new folder for temporary files, which is removed at the end. Raises OSError."""
    remove_abandoned_once(os.getpid())
    # Under its name it is locked from the first moment on, so that nobody takes it for abandoned.
    unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
    lock = os.open(unlocked, os.O_RDONLY)
    folder = unlocked.with_name(unlocked.name.replace(_UNLOCKED, _PREFIX, 1))
    try:
        with suppress(OSError):  # a file system without locks: nobody else can lock it either
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unlocked.rename(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def removed_after_a_kill(folder: Path) -> Iterator[None]:
    """Have a folder of another program removed with those of this one, if this one is killed."""
    with scratch_folder() as scratch:
        (scratch / _ALSO).symlink_to(folder)
        yield


def remove_abandoned() -> None:
    """Remove the folders of this user whose processes were killed."""
    with suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                _remove_if_abandoned(path)


@cache
def remove_abandoned_once(_pid: int) -> None:
    """Do so at the first need of a process; one that was forked is another."""
    remove_abandoned()


def _remove_if_abandoned(path: Path) -> None:
    """Remove a folder that can be locked. Raises OSError if it cannot, or is no folder of ours."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(lock)
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (also := path / _ALSO).is_symlink():
            shutil.rmtree(also.readlink(), ignore_errors=True)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
