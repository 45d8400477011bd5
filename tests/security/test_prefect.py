"""Prefect's temporary server answers its own command alone: no other user, and no web page."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.server.api.server import SubprocessASGIServer

from flows.supervisor.prefect_settings import prefect_running

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of the server of this command."""
    with prefect_running():
        server = SubprocessASGIServer()
        yield f"http://127.0.0.1:{server.port}/api"


def asked(url: str, **headers: str) -> tuple[int, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers)


@pytest.mark.parametrize("path", ["/admin/settings", "/admin/version", "/csrf-token?client=a"])
def test_who_has_no_token_gets_nothing(url: str, path: str) -> None:
    assert asked(url + path)[0] == 401
    assert asked(url + path, Authorization="Basic c29uaWM6eA==")[0] == 401


def test_no_web_page_may_read_an_answer(url: str) -> None:
    _, headers = asked(f"{url}/health", Origin="https://evil.example")
    allowed = {name.lower(): value for name, value in headers.items()}
    assert "access-control-allow-origin" not in allowed


@task
def double(number: int) -> int:
    return 2 * number


@flow
def doubled(number: int) -> int:
    return double.submit(number).result()


def test_the_command_itself_is_answered(url: str) -> None:
    assert doubled(21) == 42
    with get_client(sync_client=True) as client:
        assert [run.name for run in client.read_flow_runs()]


@pytest.mark.slow
def test_the_server_keeps_no_events(url: str) -> None:
    assert doubled(2) == 4
    time.sleep(7)  # it would write them every five seconds
    with get_client(sync_client=True) as client:
        assert client.request("POST", "/events/filter", json={}).json()["events"] == []
