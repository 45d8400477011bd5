"""The commands `sonic weights`, as a user types them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli import main
from tests.flows.conftest import REPOSITORY
from tests.hub import Hub, serving
from tests.released import TINY, hub_of, write_released
from tests.tiny import make_tiny_weights


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving(hub_of(write_released(tmp_path / "released", TINY))) as hub:
        yield hub


def sonic(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    """The exit status of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["sonic", "weights", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def test_from_the_hub_to_weights_that_are_right(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sonic(monkeypatch, "fetch") == 2
    said, problem = capsys.readouterr()
    assert "NON-COMMERCIAL" in said
    assert "--accept-licences" in problem
    assert problem.count("\n") == 1
    assert not hub.ranges

    # The library reads HF_ENDPOINT when it is imported: another process.
    environment = os.environ | {"HF_ENDPOINT": hub.endpoint, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "flows", "weights", "fetch", "--accept-licences"]
    subprocess.run(command, env=environment, check=True, capture_output=True)

    assert sonic(monkeypatch, "convert") == 0
    assert "non-commercial" in capsys.readouterr().out
    assert sonic(monkeypatch, "check") == 0
    assert capsys.readouterr().out.count(": right") == 9


def test_weights_that_are_wrong_are_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tiny_weights(tmp_path)
    (tmp_path / "audio2token" / "config.json").write_text("{}")
    assert sonic(monkeypatch, "check", str(tmp_path)) == 2
    said, problem = capsys.readouterr()
    assert "audio2token: WRONG" in said
    assert problem.startswith("sonic: The weights in ")
    assert problem.count("\n") == 1
