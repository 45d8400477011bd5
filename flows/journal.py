"""What became of rows, written as they end: `<manifest>.results.journal/` beside the results table.

Every run has a file of its own there, a JSON object per line. A run that ends puts what it finds
into the table and removes it; what a killed run has left, the next run takes in.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock

from fsspec.implementations.local import LocalFileSystem

from flows import addresses
from flows.leases import Leases, holder_of
from flows.results import RowResult, result_from
from sonic_ops.files import names_in, open_own, reached, remove, remove_folder

ENDING = ".jsonl"


class Journal:
    """The journal of one run; its lease says that the run goes on."""

    def __init__(self, results: str, leases: Leases) -> None:
        self._folder = folder_of(results)
        self._run = addresses.join(self._folder, leases.owner)
        self._leases = leases
        self._lock = Lock()
        self._num_parts = 0

    def record(self, result: RowResult) -> None:
        """Write a line that survives this process. Raises OSError; then it may be tried again."""
        # It begins on a new line, whatever a try that failed has left of the one before it.
        line = f"\n{json.dumps(asdict(result))}\n".encode()
        with self._lock:
            if self._num_parts == 0:
                self._leases.take(self._run)
            with reached(self._run) as (filesystem, path):
                if isinstance(filesystem, LocalFileSystem):
                    _append(Path(f"{path}{ENDING}"), line)
                else:  # an object cannot grow: every line is an object of its own
                    filesystem.pipe_file(f"{path}.{self._num_parts}{ENDING}", line)
            self._num_parts += 1

    def close(self) -> None:
        """Remove what this run and runs that have ended have written: it is in the table now."""
        self._leases.release(self._run)
        for name in names_in(self._folder):
            run = addresses.join(self._folder, name.split(".")[0])
            holder = holder_of(run)
            if holder is None or holder.is_stale:
                remove(addresses.join(self._folder, name))
        if not names_in(self._folder):
            remove_folder(self._folder)


def folder_of(results: str) -> str:
    """Where the journals of a results table lie."""
    return f"{results.removesuffix('.parquet')}.journal"


def journaled(results: str) -> Iterator[RowResult]:
    """What the journals of all runs say; a line that was cut off is left out.

    Raises OSError: what cannot be read must not be taken for empty, and be removed.
    """
    folder = folder_of(results)
    for name in sorted(names_in(folder)):
        if name.endswith(ENDING):
            # Another run may end, and remove its journal, at this moment.
            with suppress(FileNotFoundError), open_own(addresses.join(folder, name)) as file:
                for line in file:
                    with suppress(ValueError, TypeError):
                        yield result_from(json.loads(line))


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
