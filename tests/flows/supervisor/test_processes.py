"""No process escapes from its owner, and each is found by its command line."""

import os
import subprocess
import sys
import time

import pytest

from flows.supervisor import processes
from flows.supervisor.supervisor import Reports, last_line

ESCAPES = """
import os, subprocess, sys
from flows.supervisor.processes import descendants, end_descendants, own_orphans
own_orphans()
leave = "import subprocess; subprocess.Popen(['sleep', '1000'], start_new_session=True)"
for _ in range(2):
    subprocess.run([sys.executable, "-c", leave], check=True)
print(*descendants(os.getpid()))
end_descendants(5)
print(len(descendants(os.getpid())))
"""


def test_orphans_in_sessions_of_their_own_are_ended_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ESCAPES], stdout=subprocess.PIPE, text=True, check=True
    )
    pids, num_left = done.stdout.splitlines()
    assert len(pids.split()) == 2
    assert num_left == "0"
    assert not any(map(processes.is_running, map(int, pids.split())))


KILLED = """
import os, signal, subprocess, time
from flows.supervisor.watchdog import end_with_us
if not (program := os.fork()):
    os.setsid()
    print(subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL).pid, flush=True)
    signal.pause()
end_with_us(program, grace_s=0)
time.sleep(1)
os.kill(program, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_program_has_just_started_ends_too() -> None:
    """The server that it waits for, for example, before it has a watchdog of its own."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False
    )
    started = int(killed.stdout)
    until_s = time.monotonic() + 30
    while processes.is_running(started):
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_child_is_found_by_its_command_line_until_it_ends() -> None:
    with subprocess.Popen(["sleep", "1000.25"]) as child:
        parent = os.getpid()
        while processes.child_running(parent, "sleep 1000.25") is None:
            time.sleep(0.01)
        assert processes.child_running(parent, "sleep 1000.25") == child.pid
        assert processes.is_running(child.pid)
        child.kill()
        while processes.is_running(child.pid):
            time.sleep(0.01)
    assert processes.child_running(parent, "sleep 1000.25") is None


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        ([], "Stopped. Run the same command to continue."),
        (['{"planned": 2}'], "Stopped: 2 rows unfinished. Run the same command to continue."),
        (
            ['{"planned": 1200}', '{"ended": "a"}'],
            "Stopped: 1,199 rows unfinished. Run the same command to continue.",
        ),
        (
            ['{"planned": 2}', '{"ended": "a"}'],
            "Stopped: 1 row unfinished. Run the same command to continue.",
        ),
        (['{"server": true}', '{"planned": 1}'], "Stopped."),
        (
            ['{"planned": 1}', '{"ended": "a"}'],
            "Stopped: all rows have ended. Run the same command to continue.",
        ),
    ],
)
def test_the_last_line_counts_rows(lines: list[str], last: str) -> None:
    reports = Reports()
    for line in lines:
        reports.take(line.encode())
    assert last_line(reports) == last
