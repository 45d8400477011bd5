"""Temporary files of processes that were killed are removed by the next process that needs some."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sonic_ops.core import scratch
from sonic_ops.core.files import written
from sonic_ops.core.scratch import remove_abandoned, scratch_folder

WRITE = """
import signal, sys, os
from sonic_ops.core.files import written
with written(sys.argv[1]) as path:
    path.write_bytes(bytes(1000))
    print("written", flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    scratch.remove_abandoned_once.cache_clear()
    return folder


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, temporary: Path
) -> None:
    foreign = temporary / f"{scratch._PREFIX}of-somebody"
    foreign.mkdir(mode=0o755)
    link = temporary / f"{scratch._PREFIX}link"
    link.symlink_to(tmp_path, target_is_directory=True)
    command = [sys.executable, "-c", WRITE, str(tmp_path / "video")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        remove_abandoned()
        (used,) = set(temporary.iterdir()) - {foreign, link}
        assert (used / "video").stat().st_size == 1000
        os.kill(process.pid, signal.SIGKILL)
    assert (used / "video").exists()
    with written(str(tmp_path / "other")) as path:
        assert not used.exists()
        path.touch()
    assert set(temporary.iterdir()) == {foreign, link}
    assert (tmp_path / "other").exists()


def test_a_folder_is_gone_after_an_error(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder() as folder:
        _ = 1 / len([*folder.iterdir()])
    assert not [*temporary.iterdir()]
