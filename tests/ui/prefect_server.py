"""A real Prefect server with a real worker, for tests."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen
from uuid import uuid4

import pyarrow.parquet as pq

from flows.supervisor.watchdog import end_with_us
from tests.flows.conftest import FACE, REPOSITORY, SPEECH

PREFECT = str(Path(sys.executable).with_name("prefect"))
ENDING_S = 15
PATIENCE_S = 600  # a server on a busy machine answers some questions with "not now"


@dataclass(frozen=True)
class Server:
    """Prefect's server on a port of this machine, with a worker of the pool of `prefect.yaml`."""

    url: str
    environment: dict[str, str]
    auth: str = ""

    def prefect(self, *words: str) -> str:
        done = subprocess.run(
            [PREFECT, "--no-prompt", *words],
            env=self.environment, cwd=REPOSITORY, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, path: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        token = base64.b64encode(self.auth.encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
        request = Request(f"{self.url}{path}", body, headers)
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


@contextmanager
def prefect_server(home: Path, auth: str = "") -> Iterator[Server]:
    """Start a server on this machine, with a worker and the deployments of `prefect.yaml`.

    With `auth`, `user:password`, the server answers nobody else.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
    }
    # What the tests have set for temporary servers of their own.
    for name in ("LOGGING_LEVEL", "SERVER_API_AUTH_STRING", "API_AUTH_STRING"):
        environment.pop(f"PREFECT_{name}", None)
    if auth:
        environment |= {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth}
    server = Server(url, environment, auth)
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


def write_manifest(folder: Path, name: str, **cells: object) -> Path:
    row = {"id": name, "portrait": str(FACE), "audio": str(SPEECH), "output": f"{name}.mp4"}
    path = folder / f"{name}.jsonl"
    path.write_text(json.dumps(row | {"end": 0.4} | cells))
    return path


def statuses(folder: Path, name: str) -> list[str]:
    table = pq.read_table(folder / f"{name}.results.parquet")
    found: list[str] = table["status"].to_pylist()
    return found
