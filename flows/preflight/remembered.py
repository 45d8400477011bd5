"""What inspections have found, kept for the next run: by path, size, time of change and inode.

Only what is good is kept: a file that is wrong is looked at again. The cache may be lost at any
time, and several commands may use it at once.
"""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import sonic_ops
from flows.caches import cache_folder
from flows.preflight.identity import local_path
from sonic_ops import __version__
from sonic_ops.core.constants import NUMERICS

F = TypeVar("F")

NAME = "found.sqlite"


class Remembered:
    """A table of facts in the cache folder of this user; without such a folder, none."""

    def __init__(self) -> None:
        folder, self._lock = cache_folder("inspections"), Lock()
        self._table: sqlite3.Connection | None = None
        if folder is not None:
            with suppress(sqlite3.Error):
                self._table = _opened(str(folder / NAME))

    def found(self, inspect: Callable[..., F], kind: type[F], url: str, *details: Any) -> F:
        """Return what `inspect` finds in a local file, or has found while it was the same file.

        `kind` is a dataclass of values that JSON has, and of tuples. Raises what `inspect` raises.
        """
        key = _key(kind, url, details) if self._table else None
        if key is None:
            return inspect(url, *details)
        if (kept := self._read(key)) is not None:
            return kind(**kept)
        facts = inspect(url, *details)
        if key == _key(kind, url, details):  # it has not changed meanwhile
            self._write(key, json.dumps(asdict(facts)))  # type: ignore[call-overload]
        return facts

    def _read(self, key: str) -> dict[str, Any] | None:
        assert self._table
        with self._lock, suppress(sqlite3.Error):
            for (text,) in self._table.execute("SELECT facts FROM found WHERE key = ?", (key,)):
                return {name: _frozen(value) for name, value in json.loads(text).items()}
        return None

    def _write(self, key: str, text: str) -> None:
        assert self._table
        with self._lock, suppress(sqlite3.Error):
            self._table.execute("INSERT OR REPLACE INTO found VALUES (?, ?)", (key, text))


def _opened(path: str) -> sqlite3.Connection:
    table = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=1)
    table.execute("PRAGMA journal_mode = WAL")
    table.execute("PRAGMA synchronous = OFF")  # what is lost is looked at again
    table.execute("CREATE TABLE IF NOT EXISTS found (key TEXT PRIMARY KEY, facts TEXT)")
    return table


def _key(kind: type, url: str, details: tuple[Any, ...]) -> str | None:
    """Name a file as it is now, with what is asked of it; None if it is not here."""
    path = local_path(url)
    if path is None:
        return None
    try:
        state = Path(path).stat()
    except OSError:
        return None
    form = [field.name for field in fields(kind)]
    about = (
        __version__,
        NUMERICS,
        _code_ns(),
        kind.__name__,
        form,
        state.st_size,
        state.st_mtime_ns,
    )
    return repr((*about, state.st_ino, os.path.realpath(path), details))


@cache
def _code_ns() -> int:
    """Return when the code that inspects has changed last: it may find something else now."""
    rooms = Path(sonic_ops.__file__).parent, Path(__file__).parent
    return max(path.stat().st_mtime_ns for room in rooms for path in room.rglob("*.py"))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
