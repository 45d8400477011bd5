"""What became of rows, written as they end: `<manifest>.results.journal/` beside the results table.

Every run has a file of its own there, a JSON object per line. A run that ends puts what it finds
into the table and removes it; what a killed run has left, the next run takes in.
"""

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from threading import Lock

from fsspec.implementations.local import LocalFileSystem

from flows import urls
from flows.state.leases import Leases, holder_of
from flows.state.results import RowResult, read_results, result_from
from sonic_ops.core.errors import LockedError
from sonic_ops.core.files import names_in, open_own, reached, remove

ENDING = ".jsonl"
_OURS = re.compile(r"[0-9a-f]{32}(\.\d+)?(\.jsonl|\.lease)")
"""Names of journals and their leases: what else a user keeps in the folder is left alone."""
TABLE_PAUSE_S = 0.2
TABLE_WAIT_S = 600.0
"""How long a run waits for others that write the table, and how often it asks."""


class Journal:
    """The journal of one run; its lease says that the run goes on."""

    def __init__(self, results: str, leases: Leases) -> None:
        self._folder = folder_of(results)
        self._run = urls.join(self._folder, leases.owner)
        self._leases = leases
        self._lock = Lock()
        self._num_parts = 0

    def record(self, result: RowResult) -> None:
        """Write a line that survives this process. Raises OSError; then it may be tried again."""
        # It begins on a new line, whatever a try that failed has left of the one before it.
        line = f"\n{json.dumps(result.to_write())}\n".encode()
        with self._lock:
            if self._num_parts == 0:
                self._leases.take(self._run)
            with reached(self._run) as (filesystem, path):
                if isinstance(filesystem, LocalFileSystem):
                    _append(Path(f"{path}{ENDING}"), line)
                else:  # an object cannot grow: every line is an object of its own
                    filesystem.pipe_file(f"{path}.{self._num_parts}{ENDING}", line)
            self._num_parts += 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one run at a time take journals into the table and remove them; the others wait.

        Raises LockedError after `TABLE_WAIT_S`, and OSError.
        """
        table = urls.join(self._folder, "table")
        self._wait_for(table)
        try:
            yield
        finally:
            self._leases.release(table)
            with suppress(OSError), reached(self._folder) as (filesystem, path):
                filesystem.rmdir(path)  # if it is empty

    def ended(self) -> tuple[str, ...]:
        """List the files of this run and of runs that have ended, which nobody writes to."""
        by_run: dict[str, list[str]] = {}
        for name in filter(_OURS.fullmatch, sorted(names_in(self._folder))):
            by_run.setdefault(name.split(".")[0], []).append(urls.join(self._folder, name))
        return tuple(url for run, files in by_run.items() if self._has_ended(run) for url in files)

    def close(self, taken_in: Iterable[str]) -> None:
        """Give the journal up, and remove what had ended before it was taken into the table."""
        self._leases.release(self._run)
        for url in taken_in:
            remove(url)

    def _has_ended(self, run: str) -> bool:
        if run == self._leases.owner:
            return True
        holder = holder_of(urls.join(self._folder, run))
        return holder is None or holder.is_stale

    def _wait_for(self, table: str) -> None:
        until_s = time.monotonic() + TABLE_WAIT_S
        while True:
            try:
                return self._leases.take(table)
            except LockedError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(TABLE_PAUSE_S)


def folder_of(results: str) -> str:
    """Return where the journals of a results table lie."""
    return f"{results.removesuffix('.parquet')}.journal"


def journaled(results: str) -> Iterator[RowResult]:
    """Read the journals of all runs; a line that was cut off is left out.

    Raises OSError: what cannot be read must not be taken for empty, and be removed.
    """
    folder = folder_of(results)
    for name in sorted(names_in(folder)):
        if name.endswith(ENDING):
            # Another run may end, and remove its journal, at this moment.
            with suppress(FileNotFoundError), open_own(urls.join(folder, name)) as file:
                for line in file:
                    with suppress(ValueError, TypeError):
                        yield result_from(json.loads(line))


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def failed_rows(results: str) -> frozenset[tuple[str, str | None]]:
    """Return the rows whose last result is a failure, by id and output."""
    last = {(r.id, r.output): r.status for r in chain(read_results(results), journaled(results))}
    return frozenset(key for key, status in last.items() if status == "failed")
