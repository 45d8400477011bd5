"""One thread per process: the number of threads is part of the numerics. A Prefect of our own.

Prefect reads its settings when a test module imports it: they stand here, before any is read. No
test finds more programs than the README asks for (`bare.py`).
`make test` spreads the tests over processes (pytest-xdist), and each has its own Prefect and Ray.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from flows.pipeline.prefect_settings import prepare_prefect
from tests.bare import fill_bare_path

torch.set_num_threads(1)
SCRATCH = Path(tempfile.mkdtemp(prefix="sonic-tests-"))
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-", dir=SCRATCH)
os.environ["PATH"] = fill_bare_path(Path(tempfile.mkdtemp(prefix="bin-", dir=SCRATCH)))
prepare_prefect()

SHARED = ("flow", "ray")
"""Markers whose tests run in one process, because starting a server is most of their cost."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each file to one process, and all files that share a server; these start first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: 0 if _group(item) in SHARED else 1)


def _group(item: pytest.Item) -> str:
    """Return the first shared marker of a test, or the name of its file."""
    shared = [name for name in SHARED if item.get_closest_marker(name)]
    return shared[0] if shared else str(item.path.relative_to(item.config.rootpath))
