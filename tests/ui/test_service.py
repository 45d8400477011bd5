"""The client of examples/service against a real Prefect server that wants a token."""

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import yaml

from tests.end_to_end.conftest import FAST
from tests.flows.conftest import REPOSITORY
from tests.tiny import make_tiny_weights
from tests.ui.prefect_server import Server, prefect_server, statuses, write_manifest

pytestmark = pytest.mark.ui

TOKEN = "render:a-long-secret"
BEGUN_S = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server(tmp_path_factory.mktemp("prefect"), TOKEN) as server:
        yield server


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("PREFECT_API_URL", server.url)
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", TOKEN)
    path = REPOSITORY / "examples" / "service" / "client.py"
    spec = importlib.util.spec_from_file_location("service_client", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def preset_in(folder: Path, **settings: object) -> str:
    make_tiny_weights(folder / "weights")
    path = folder / "tiny.yaml"
    known = {"models": {"weights": str(folder / "weights")}, "cluster": {"workers": 0}}
    path.write_text(yaml.safe_dump(known | FAST | settings))
    return str(path)


def test_nobody_is_answered_without_the_token(server: Server) -> None:
    with pytest.raises(HTTPError, match="401"):
        urlopen(f"{server.url}/flow_runs/count", data=b"{}", timeout=30)


def test_a_manifest_is_submitted_once_followed_and_its_results_are_read(
    client: ModuleType, tmp_path: Path
) -> None:
    manifest = str(write_manifest(tmp_path, "talk"))
    preset = preset_in(tmp_path)
    run = client.submit(manifest, "monday", preset=preset)
    assert client.submit(manifest, "monday", preset=preset) == run
    states = list(client.follow(run, every_s=0.5))
    assert states[-1]["type"] == "COMPLETED", states[-1]
    (row,) = client.results(run)
    assert (row["id"], row["status"]) == ("talk", "done")
    assert row["verdict"] in {"look at it", "failed"}  # its weights are random numbers
    assert Path(row["output"]).read_bytes()[4:8] == b"ftyp"
    assert client.submit(manifest, "monday", preset=preset) == run  # also after its end


def test_a_run_that_is_cancelled_is_resumed_with_another_key(
    client: ModuleType, tmp_path: Path
) -> None:
    sampling = FAST["sampling"] | {"steps": 200}  # type: ignore[operator]
    preset = preset_in(tmp_path, sampling=sampling, checkpoint_every=1)
    manifest = str(write_manifest(tmp_path, "long"))
    run = client.submit(manifest, "tuesday", preset=preset)
    ends = time.monotonic() + BEGUN_S
    while not list(tmp_path.glob(".sonic/long-*/checkpoints/*")):
        assert time.monotonic() < ends, "nothing was begun"
        time.sleep(0.2)
    client.cancel(run)
    last = list(client.follow(run, every_s=0.5))[-1]
    assert last["type"] == "CANCELLED", last
    assert not (tmp_path / "long.mp4").exists()
    again = client.submit(manifest, "wednesday", preset=preset)
    assert again != run
    last = list(client.follow(again, every_s=0.5))[-1]
    assert last["type"] == "COMPLETED", last
    assert statuses(tmp_path, "long") == ["done"]
