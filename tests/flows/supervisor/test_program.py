"""What the program prints: its own words, and none of a library that writes past Python."""

import subprocess
import sys

CODE = """
import os, sys, warnings
from flows.supervisor.program import run

def command():
    os.write(2, b"a trace of C++")
    subprocess.run([sys.executable, "-c", "import sys; print('a helper', file=sys.stderr)"])
    print("an error", file=sys.stderr)
    warnings.warn("a warning")
    print("a word")

import subprocess
if child := os.fork():
    os.waitpid(child, 0)
else:
    run(command, os.pipe()[1], only_results=False)
"""


def test_only_python_writes_to_standard_error() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "a word\n"
    error, warning, *_ = done.stderr.splitlines()
    assert error == "an error"
    assert warning.endswith("UserWarning: a warning")
    assert "C++" not in done.stderr
    assert "helper" not in done.stderr


def test_a_program_without_standard_error_runs() -> None:
    script = f'exec {sys.executable} -c "$1" 2>&-'
    command = ["bash", "-c", script, "bash", CODE.replace('print("an error", file=sys.stderr)', "")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "a word\n"
