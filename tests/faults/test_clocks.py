"""The clock of `make chaos` jumps for processes that run, and only the time of day."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.chaos.clocks import Clock

READ = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


def test_the_time_of_day_jumps_at_once_and_nothing_else(tmp_path: Path) -> None:
    clock = Clock(0, tmp_path)
    if not clock.can_be_set:  # without a C compiler `make chaos` leaves these faults out
        assert clock.env() == {}
        return
    command, env = [sys.executable, "-c", READ], os.environ | clock.env()
    with subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        for offset_s in (0, 3600, -3600, 0):
            clock.set(offset_s)
            print("now", file=process.stdin, flush=True)
            told_s, counted_s = map(float, process.stdout.readline().split())
            assert told_s - time.time() == pytest.approx(offset_s, abs=60)
            assert counted_s - time.monotonic() == pytest.approx(0, abs=60)
        process.stdin.close()
