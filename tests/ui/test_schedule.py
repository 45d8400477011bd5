"""A real Prefect server with a real worker: deploy, trigger, watch, trigger again."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end.conftest import FAST
from tests.flows.conftest import SPEECH
from tests.tiny import make_tiny_weights
from tests.ui.prefect_server import Server, prefect_server, statuses, write_manifest

pytestmark = pytest.mark.ui
SCHEDULED = {"type": {"any_": ["SCHEDULED"]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        yield server


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


def test_every_night_checks_all_rows_and_renders_those_that_need_it(
    server: Server, preset: str, tmp_path: Path, told: tuple[str, list[dict[str, Any]]]
) -> None:
    webhook, posts = told
    given = {"folder": str(tmp_path), "preset": preset, "notify": webhook}
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
    assert [post["state"] for post in posts] == ["completed", "completed", "failed"]
    assert posts[0]["counts"].keys() <= {"look at it", "failed"}  # its weights are random numbers
    assert posts[0]["reports"] == [f"file://{tmp_path}/one.report.html"]
    assert "two.jsonl" in posts[2]["text"]
    assert "nowhere.wav cannot be opened" in posts[2]["rows"][0]["reason"]

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
    (link,) = shown_by(server, run, "markdown")
    assert f"file://{tmp_path}/asked.report.html" in link
    assert (tmp_path / "asked.report.html").is_file()
    runs = server.ask("/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 50})
    (row,) = [each for each in runs if each["name"] == f"asked to {tmp_path / 'asked.mp4'}"]
    assert f"preset:{preset}" in row["tags"]


def test_the_night_is_on_the_clock_and_never_doubled(server: Server) -> None:
    known = server.ask("/deployments/name/nightly-dubbing/nightly-dubbing")
    (schedule,) = known["schedules"]
    assert schedule["schedule"]["cron"] == "0 22 * * *"
    assert known["global_concurrency_limit"]["limit"] == 1
    nights = {"deployments": {"id": {"any_": [known["id"]]}}, "flow_runs": {"state": SCHEDULED}}
    until_s = time.monotonic() + 90  # the server looks once a minute
    while not server.ask("/flow_runs/count", nights):
        assert time.monotonic() < until_s, "the server has inserted no run"
        time.sleep(1)
