"""A real Prefect server with a real worker: deploy, trigger, watch, trigger again."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
import yaml

from flows.supervisor.watchdog import end_with_us
from tests.end_to_end.conftest import FAST
from tests.flows.conftest import FACE, REPOSITORY, SPEECH
from tests.tiny import make_tiny_weights

pytestmark = pytest.mark.ui

PREFECT = str(Path(sys.executable).with_name("prefect"))
ENDING_S = 15
PATIENCE_S = 600  # a server on a busy machine answers some questions with "not now"


@dataclass(frozen=True)
class Server:
    """Prefect's server on a port of this machine, with a worker of the pool of `prefect.yaml`."""

    url: str
    environment: dict[str, str]

    def prefect(self, *words: str) -> str:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *words],
            env=self.environment, cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = Request(f"{self.url}{path}", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def trigger(self, deployment: str, **parameters: str) -> dict[str, Any]:
        """Run a deployment to its end; what the server says of the run."""
        known = wait_for(lambda: self.ask(f"/deployments/name/{deployment}"), deployment)
        path = f"/deployments/{known['id']}/create_flow_run"
        given = {"parameters": parameters, "idempotency_key": uuid4().hex}
        run = wait_for(lambda: self.ask(path, given), f"a run of {deployment}")
        return wait_for(lambda: self._ended(run["id"]), f"the run of {deployment}")

    def _ended(self, run_id: str) -> dict[str, Any] | None:
        run: dict[str, Any] = self.ask(f"/flow_runs/{run_id}")
        return run if run["state_type"] in {"COMPLETED", "FAILED", "CRASHED"} else None

    def artifacts(self, kind: str) -> list[dict[str, Any]]:
        wanted = {"artifacts": {"type": {"any_": [kind]}}, "sort": "CREATED_DESC"}
        found: list[dict[str, Any]] = wait_for(
            lambda: self.ask("/artifacts/filter", wanted), f"an artifact of the kind {kind}"
        )
        return found


def wait_for(look: Callable[[], Any], what: str) -> Any:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            if found := look():
                return found
        except (URLError, ConnectionError):
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what} takes too long")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, also where Prefect's worker does not listen.

    It turns SIGTERM into SIGINT, which whatever a shell has put into the background ignores.
    """
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, home = free_port(), tmp_path_factory.mktemp("prefect")
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
    }
    environment.pop("PREFECT_LOGGING_LEVEL", None)
    server = Server(url, environment)
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str) -> None:
        log = (home / f"{name}.log").open("w")
        started.append(
            subprocess.Popen(
                [PREFECT, "--no-prompt", *words], env=environment, cwd=REPOSITORY,
                stdout=log, stderr=log, start_new_session=True,
            )
        )  # fmt: skip
        end_with_us(started[-1].pid)  # also if the tests are killed

    try:
        start("server", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        wait_for(lambda: server.ask("/health"), "the server")
        server.prefect("work-pool", "create", "sonic", "--type", "process")
        start("worker", "worker", "start", "--pool", "sonic")
        server.prefect("deploy", "--all")
        yield server
    finally:
        for process in reversed(started):
            end(process)


@pytest.fixture(scope="module")
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook on this machine, and what was posted to it."""
    posts: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Said nowhere."""

    with HTTPServer(("127.0.0.1", 0), Webhook) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/", posts
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("preset")
    make_tiny_weights(folder / "weights")
    path = folder / "tiny.yaml"
    settings = {"models": {"weights": str(folder / "weights")}, "cluster": {"workers": 0}}
    path.write_text(yaml.safe_dump(settings | FAST))
    return str(path)


def write_manifest(folder: Path, name: str, **cells: object) -> Path:
    row = {"id": name, "portrait": str(FACE), "audio": str(SPEECH), "output": f"{name}.mp4"}
    path = folder / f"{name}.jsonl"
    path.write_text(json.dumps(row | {"end": 0.4} | cells))
    return path


def statuses(folder: Path, name: str) -> list[str]:
    table = pq.read_table(folder / f"{name}.results.parquet")
    found: list[str] = table["status"].to_pylist()
    return found


def test_every_night_checks_all_rows_and_renders_those_that_need_it(
    server: Server, preset: str, tmp_path: Path, told: tuple[str, list[dict[str, Any]]]
) -> None:
    webhook, posts = told
    given = {"folder": str(tmp_path), "preset": preset, "webhook": webhook}
    write_manifest(tmp_path, "one")
    first = server.trigger("nightly-dubbing/nightly-dubbing", **given)
    assert first["state"]["message"] == "1 manifest finished"
    assert first["name"] == f"{tmp_path} with {preset}"
    assert statuses(tmp_path, "one") == ["done"]
    made = (tmp_path / "one.mp4").stat().st_mtime_ns

    second = server.trigger("nightly-dubbing/nightly-dubbing", **given)
    assert second["state"]["message"] == "1 manifest finished"
    assert statuses(tmp_path, "one") == ["skipped"]
    (row,) = shown_by(server, second, "table")[0]
    assert (row["id"], row["status"]) == ("one", "skipped")
    assert f"file://{tmp_path}/one.report.html" in shown_by(server, second, "markdown")[0]

    write_manifest(tmp_path, "one", room="B 1")  # changed, but not what decides the video
    write_manifest(tmp_path, "two", audio="nowhere.wav")
    (tmp_path / "three.csv").write_text("id,portrait\n1,a.png\n")
    third = server.trigger("nightly-dubbing/nightly-dubbing", **given)
    assert third["state_type"] == "FAILED"
    said = third["state"]["message"]
    assert "two.jsonl: 1 of 1 rows are not finished (two: column audio: " in said
    assert "nowhere.wav cannot be opened (No such file or directory)" in said
    assert "three.csv: The manifest" in said
    tables = [row for table in shown_by(server, third, "table") for row in table]
    assert {row["status"] for row in tables} == {"skipped", "failed"}
    assert statuses(tmp_path, "one") == ["skipped"]
    assert (tmp_path / "one.mp4").stat().st_mtime_ns == made
    assert [post["run"] for post in posts] == [third["id"]]
    assert "two.jsonl" in posts[0]["text"]

    (tmp_path / "nowhere.wav").write_bytes(SPEECH.read_bytes())  # what failed is tried again
    (tmp_path / "three.csv").unlink()
    fourth = server.trigger("nightly-dubbing/nightly-dubbing", **given)
    assert fourth["state"]["message"] == "2 manifests finished"
    assert statuses(tmp_path, "two") == ["done"]

    fifth = server.trigger("nightly-dubbing/nightly-dubbing", **given | {"folder": "/no/where"})
    assert fifth["state_type"] == "FAILED"
    assert "There is no folder /no/where" in fifth["state"]["message"]


def shown_by(server: Server, run: dict[str, Any], kind: str) -> list[Any]:
    """What the run that was triggered shows itself: tables as rows, and markdown."""
    found = [each for each in server.artifacts(kind) if each["flow_run_id"] == run["id"]]
    return [json.loads(each["data"]) if kind == "table" else each["data"] for each in found]


def test_a_manifest_on_demand_is_shown_with_its_rows_results_and_report(
    server: Server, preset: str, tmp_path: Path
) -> None:
    manifest = str(write_manifest(tmp_path, "asked"))
    run = server.trigger("render/render", manifest=manifest, preset=preset)
    assert run["state_type"] == "COMPLETED", run["state"]["message"]
    assert {"sonic", f"preset:{preset}"} >= set(run["tags"])
    assert server.artifacts("progress")[0]["data"] == 100
    (row,) = json.loads(server.artifacts("table")[0]["data"])
    assert (row["id"], row["status"]) == ("asked", "done")
    (link,) = [a for a in server.artifacts("markdown") if a["key"] == "report-asked-jsonl"]
    assert f"file://{tmp_path}/asked.report.html" in link["data"]
    assert (tmp_path / "asked.report.html").is_file()
    runs = server.ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 50})
    (row,) = [each for each in runs if each["name"] == f"asked to {tmp_path / 'asked.mp4'}"]
    assert f"preset:{preset}" in row["tags"]


def test_the_night_is_on_the_clock_and_never_doubled(server: Server) -> None:
    known = server.ask("/deployments/name/nightly-dubbing/nightly-dubbing")
    (schedule,) = known["schedules"]
    assert schedule["schedule"]["cron"] == "0 22 * * *"
    assert known["global_concurrency_limit"]["limit"] == 1
