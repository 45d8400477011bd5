"""A machine with Python, make, bash, git and the coreutils has all that the two commands need."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bare import fill_bare_path
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

MOST_MIB = 2384
"""2.5 GB, for `.venv` after a render, with the bytecode that it has written."""

KEPT = ("PIP_", "SSL_", "REQUESTS_", "http", "HTTP", "no_proxy", "NO_PROXY")
"""How this machine reaches its package index."""


def test_no_test_finds_a_program_that_the_readme_does_not_ask_for() -> None:
    found = [shutil.which(name) for name in ("espeak-ng", "ffmpeg", "flite", "gcc", "node", "sox")]
    assert set(found) == {None}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """The files of this working tree, without what was installed or made in it."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for name in filter(None, names.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, tmp_path / "clone" / name)
    yield tmp_path / "clone"
    shutil.rmtree(tmp_path / "clone")  # pytest would keep some gigabytes of packages


@pytest.mark.slow
def test_both_commands_install_what_they_need(tmp_path: Path, clone: Path) -> None:
    row = {"id": "one", "portrait": str(FACE), "audio": str(SPEECH), "end": 1.0}
    (tmp_path / "m.jsonl").write_text(json.dumps(row | {"output": str(tmp_path / "one.mp4")}))
    (tmp_path / "bin").mkdir()
    env = {name: text for name, text in os.environ.items() if name.startswith(KEPT)}
    env |= {"PATH": fill_bare_path(tmp_path / "bin"), "HOME": str(tmp_path)}

    subprocess.run(["make", "render", f"INPUT={tmp_path}/m.jsonl"], cwd=clone, env=env, check=True)
    assert (tmp_path / "one.mp4").stat().st_size > 10_000
    size = subprocess.run(["du", "-sm", ".venv"], cwd=clone, stdout=subprocess.PIPE, check=True)
    assert int(size.stdout.split()[0]) < MOST_MIB
    assert not (clone / ".venv" / "bin" / "ruff").exists()

    some = {"PYTEST_ADDOPTS": "tests/training/test_speech.py tests/sonic_ops/core"}
    subprocess.run(["make", "test", "TEST_JOBS=1"], cwd=clone, env=env | some, check=True)
