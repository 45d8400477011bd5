"""Prefect runs by itself, quietly; what the user has set about it is honoured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.caches import cache_folder
from flows.supervisor.prefect_settings import prepare_prefect, reach_prefect
from sonic_ops.core.errors import ConfigError

NAMES = ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_LOGGING_LEVEL")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home where Prefect has never been used."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # restored at the end, also if the code sets it
        monkeypatch.delenv(name)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def environment() -> dict[str, str]:
    return {name: os.environ[name] for name in NAMES if name in os.environ}


def test_without_a_server_prefect_gets_a_home_of_its_own(home: Path) -> None:
    prepare_prefect()
    prefect_home = Path(environment()["PREFECT_HOME"])
    assert prefect_home.parent == home / ".cache" / "sonic-render"
    assert environment()["PREFECT_LOGGING_LEVEL"] == "CRITICAL"


@pytest.mark.parametrize("name", ["PREFECT_HOME", "PREFECT_API_URL", "PREFECT_LOGGING_LEVEL"])
def test_what_the_user_sets_stays(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mine")
    prepare_prefect()
    assert environment()[name] == "mine"
    assert ("PREFECT_HOME" in environment()) == (name != "PREFECT_API_URL")


def test_a_user_of_prefect_keeps_their_profiles(home: Path) -> None:
    (home / ".prefect").mkdir()
    (home / ".prefect" / "profiles.toml").write_text("")
    prepare_prefect()
    assert "PREFECT_HOME" not in environment()


def test_a_home_that_cannot_be_written_is_fine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("HOME", str(home / "file"))
    assert cache_folder("x") is None
    prepare_prefect()
    assert Path(environment()["PREFECT_HOME"]).is_dir()


def test_what_prefect_and_ray_import_at_once_is_there_before() -> None:
    """Two threads that import pydantic.v1 at once fail in one of ten tries."""
    program = (
        "import sys; from flows.supervisor.prefect_settings import EarlyPrefect; "
        "EarlyPrefect().start(); print('pydantic.v1.fields' in sys.modules, flush=True); "
        "import os; os._exit(0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert ran.stdout == "True\n", ran.stderr


def test_a_server_that_does_not_answer_is_said_in_a_sentence() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(ConfigError, match=r"127\.0\.0\.1:9") as caught,
    ):
        reach_prefect()
    assert "PREFECT_API_URL" in caught.value.remedy
