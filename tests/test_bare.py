"""A machine with Python, make, bash, git and the coreutils has all that the two commands need."""

import json
import os
import re
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


def bare_environment(folder: Path) -> dict[str, str]:
    """Return variables with a bare PATH and a home in `folder`, and how pip reaches its index."""
    (folder / "bin").mkdir()
    env = {name: text for name, text in os.environ.items() if name.startswith(KEPT)}
    return env | {"PATH": fill_bare_path(folder / "bin"), "HOME": str(folder)}


@pytest.mark.slow
def test_both_commands_install_what_they_need(tmp_path: Path, clone: Path) -> None:
    row = {"id": "one", "portrait": str(FACE), "audio": str(SPEECH), "end": 1.0}
    (tmp_path / "m.jsonl").write_text(json.dumps(row | {"output": str(tmp_path / "one.mp4")}))
    env = bare_environment(tmp_path)

    subprocess.run(["make", "render", f"INPUT={tmp_path}/m.jsonl"], cwd=clone, env=env, check=True)
    assert (tmp_path / "one.mp4").stat().st_size > 10_000
    size = subprocess.run(["du", "-sm", ".venv"], cwd=clone, stdout=subprocess.PIPE, check=True)
    assert int(size.stdout.split()[0]) < MOST_MIB
    assert not (clone / ".venv" / "bin" / "ruff").exists()

    some = {"PYTEST_ADDOPTS": "tests/training/test_speech.py tests/sonic_ops/core"}
    subprocess.run(["make", "test", "TEST_JOBS=1"], cwd=clone, env=env | some, check=True)


@pytest.mark.slow
def test_the_wheel_runs_the_example_of_the_readme_in_an_empty_environment(
    tmp_path: Path, clone: Path
) -> None:
    env, python = bare_environment(tmp_path), clone / "empty" / "bin" / "python"

    def run(*command: str | Path, cwd: Path) -> None:
        subprocess.run([*map(str, command)], cwd=cwd, env=env, check=True)

    run("python3", "-m", "venv", clone / "empty", cwd=clone)
    run(python, "-m", "pip", "-q", "wheel", "--no-deps", "-w", clone / "dist", ".", cwd=clone)
    (wheel,) = (clone / "dist").glob("*.whl")
    run(python, "-m", "pip", "-q", "install", "-c", "constraints.txt", wheel, cwd=clone)
    (tmp_path / "elsewhere" / "examples").mkdir(parents=True)
    for name in ("ada.png", "young_man.wav"):
        shutil.copy2(clone / "examples" / name, tmp_path / "elsewhere" / "examples")
    readme = (clone / "README.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(import torch\n.*?)^```", readme, re.M | re.S)
    run(python, "-c", code, cwd=tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "ada.webp").stat().st_size > 10_000
