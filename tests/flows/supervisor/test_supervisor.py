"""What becomes of a command whose program ends, with or without a process that it needs."""

import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import json, os, signal, subprocess, sys, time
    from flows.supervisor.supervisor import Supervisor

    reads, writes = os.pipe()
    supervisor = Supervisor()
    child = os.fork()
    if child == 0:
        helper = subprocess.Popen(["sleep", "314"])
        watched = {"watch": "Ray", "programs": ["sleep 314"]}
        os.write(writes, json.dumps(watched).encode() + b"\\n")
        time.sleep(1)  # the supervisor looks ten times a second
        if sys.argv[1] == "lost":
            helper.kill()
            helper.wait()
        if sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(1)
    os.close(writes)
    print(supervisor.watch(child, reads))
    """
)


@pytest.mark.parametrize(
    ("helper", "end", "status", "said"),
    [
        ("lost", "exits", "None", "Ray stopped unexpectedly; the program continues where it was."),
        ("alive", "exits", "1", "the program ended because Ray did"),
        ("alive", "killed", "1", "the program was ended by SIGKILL, perhaps because"),
    ],
)
def test_a_program_that_its_helper_has_ended_goes_on(
    helper: str, end: str, status: str, said: str
) -> None:
    """Ray ends a program that has lost it, before the supervisor looks again."""
    command = [sys.executable, "-c", PROGRAM, helper, end]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == status, ended.stderr
    assert said in ended.stderr
