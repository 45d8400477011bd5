"""One thread per process: the number of threads is part of the numerics. A Prefect of our own.

Prefect reads its settings when a test module imports it: they stand here, before any is read. No
test finds more programs than the README asks for (`bare.py`).
`make test` spreads the tests over processes (pytest-xdist), and each has its own Prefect and Ray.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from flows.supervisor.prefect_settings import prepare_prefect
from tests.bare import fill_bare_path

torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent
SCRATCH = Path(tempfile.mkdtemp(prefix="sonic-tests-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-", dir=SCRATCH)
os.environ["PATH"] = fill_bare_path(Path(tempfile.mkdtemp(prefix="bin-", dir=SCRATCH)))
prepare_prefect()

SERVERS = ("flow", "ray")
"""Markers of what is slow to start: all files that have one of them share a process."""


class _Scheduler(LoadScopeScheduling):
    """Give each process of xdist whole files: what a module has made is made once."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Scheduler:
    """Spread the tests by their servers and files, in the order of their collection."""
    config.option.loadscopereorder = False
    return _Scheduler(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that share a server, which are the longest groups."""
    items.sort(key=lambda item: _group(item.nodeid.partition("::")[0]) not in SERVERS)


@cache
def _group(path: str) -> str:
    """Name the server that a file of tests needs; without one, the file itself."""
    text = (ROOT / path).read_text()
    return next((name for name in SERVERS if f"mark.{name}" in text), path)
