"""Messages of the program to its supervisor: a JSON object per line through a pipe.

Without a supervisor (from Python, in a deployment of Prefect) nothing is sent.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_pipe: int | None = None
_only_results = False


def open_channel(pipe: int, *, only_results: bool) -> None:
    """Send everything from now on through this pipe."""
    global _pipe, _only_results
    _pipe, _only_results = pipe, only_results


def is_only_for_results() -> bool:
    """Return whether this run may only write the table of what earlier ones have finished."""
    return _only_results


def notify_supervisor(**facts: object) -> None:
    """Send facts to the supervisor, and go on if it is gone."""
    if _pipe is not None:
        with suppress(OSError):
            os.write(_pipe, json.dumps(facts).encode() + b"\n")


@contextmanager
def watched(name: str, *programs: str) -> Iterator[None]:
    """Have processes watched, from when they start, that the run cannot do without.

    `name` is for people; each program is a part of the command line of one process.
    """
    notify_supervisor(watch=name, programs=programs)
    try:
        yield
    finally:
        notify_supervisor(watch=name, programs=[])
