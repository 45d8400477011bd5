"""Processes that start at once do not damage what numba keeps on disk for all that follow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import REPOSITORY

PROGRAM = """
import numpy as np
from sonic_ops.audio.prosody import analyse_prosody
analyse_prosody(np.random.default_rng(1).standard_normal(16_000).astype(np.float32), 12)
"""


@pytest.mark.slow
def test_three_processes_compile_at_once(tmp_path: Path) -> None:
    env = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM]
    together = [subprocess.Popen(command, env=env, cwd=REPOSITORY) for _ in range(3)]
    assert [process.wait(300) for process in together] == [0, 0, 0]
    assert subprocess.run(command, env=env, cwd=REPOSITORY, check=False).returncode == 0
    assert list(tmp_path.rglob("*peak_pick*.nbi"))
