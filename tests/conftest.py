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

import hypothesis
import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

from flows.supervisor.prefect_settings import prepare_prefect
from tests.bare import fill_bare_path

torch.set_num_threads(1)
hypothesis.settings.register_profile("busy", deadline=None)  # tests share the cores
hypothesis.settings.load_profile("busy")
ROOT = Path(__file__).parent.parent
SCRATCH = Path(tempfile.mkdtemp(prefix="sonic-tests-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-", dir=SCRATCH)
os.environ["PATH"] = fill_bare_path(Path(tempfile.mkdtemp(prefix="bin-", dir=SCRATCH)))
prepare_prefect()

SERVERS = ("flow", "ray")
"""Markers of what is slow to start: all files that have one of them share a process."""
COMMANDS = "tests.faults.terminal"
"""Who imports it starts whole commands, which have servers of their own."""


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
    """Begin with the groups that take longest: those of a server, then whole commands."""
    items.sort(key=lambda item: _place(item.nodeid.partition("::")[0]))


def _place(path: str) -> int:
    return 0 if _group(path) in SERVERS else 1 if COMMANDS in _text(path) else 2


def _group(path: str) -> str:
    """Name the server that a file of tests needs; without one, the file itself."""
    text = _text(path)
    shared = [] if COMMANDS in text else [name for name in SERVERS if f"mark.{name}" in text]
    return shared[0] if shared else path


@cache
def _text(path: str) -> str:
    return (ROOT / path).read_text()
