"""Facts of messages: who is told what became of a run, and that no URL is ever logged."""

import json
import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from flows.pipeline.notify import Message, Outcome, content_for, message_of, notify, notifying
from flows.state.results import RowResult, Status
from sonic_ops.core.constants import FAILED, LOOK, READY
from sonic_ops.core.errors import ManifestError
from tests.flows.report.reporting import write_table

SECRET = "T0/B0/sEcReT"


def result(row: int, verdict: str) -> RowResult:
    status: Status = "failed" if verdict == FAILED else "done"
    return RowResult(
        row, f"row-{row}", status, verdict, f"because {row}", remedy="Mend it.", output="/v.mp4"
    )


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = [result(n, FAILED) for n in range(12)]
    return write_table(tmp_path, [result(20, LOOK), result(21, READY), *rows])


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any]]]:
    """A web hook on this machine, and what was posted to it; `/refuses` takes nothing."""
    posts: list[Any] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            refuses = self.path.endswith("/refuses")
            posts.extend([] if refuses else [content])
            self.send_response(410 if refuses else 204)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Said nowhere."""

    yield from serving(HTTPServer(("127.0.0.1", 0), Hook), posts)


@pytest.fixture
def mail() -> Iterator[tuple[str, list[Any]]]:
    """A mail server on this machine, and what was sent by it."""
    sent: list[Any] = []

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    content = b""
                    while (line := self.rfile.readline()) != b".\r\n":
                        content += line
                    sent.append(message_from_bytes(content, policy=policy.default))
                self.wfile.write(
                    b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 ok\r\n"
                )

    yield from serving(socketserver.TCPServer(("127.0.0.1", 0), Mail), sent)


def serving(server: socketserver.TCPServer, received: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", received
        server.shutdown()
        thread.join()


def test_a_web_hook_gets_counts_the_first_failures_and_the_report(
    table: str, hook: tuple[str, list[Any]]
) -> None:
    url, posts = hook
    report = Path(table.replace("results.parquet", "report.html"))
    report.touch()
    assert notify(
        [f"http://{url}/{SECRET}"], message_of("/x/lectures.csv", "lite", Outcome([table]))
    )
    (post,) = posts
    assert (post["name"], post["state"], post["preset"]) == ("lectures.csv", "failed", "lite")
    assert post["counts"] == {"ready": 1, "look at it": 1, "failed": 12}
    assert [row["id"] for row in post["rows"]] == [f"row-{n}" for n in range(10)]
    assert post["rows"][0]["reason"] == "because 0"
    assert (post["results"], post["reports"]) == ([table], [report.as_uri()])
    assert "row-9: failed: because 9. Mend it." in post["text"]
    assert "and 3 more" in post["text"]


def test_slack_gets_a_text_and_nothing_else() -> None:
    message = Message("m.csv", "completed", "lite", counts={"ready": 2})
    content = content_for("https://hooks.slack.com/services/x", message)
    assert content == {"text": "sonic: m.csv: 2 ready\n"}


def test_mail_is_sent_by_the_server_that_is_named(
    table: str, mail: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, sent = mail
    server = f"mailto://{url}?smtp=127.0.0.1&from=sonic@example.org&format=text"
    monkeypatch.setenv("SONIC_SMTP", server)
    assert notify(["mailto:anna@example.org"], message_of("m.csv", "lite", Outcome([table])))
    (found,) = sent
    assert "anna@example.org" in found["To"]
    assert found["Subject"] == "sonic: m.csv: 1 ready, 1 look at it, 12 failed"
    assert "row-0: failed: because 0. Mend it." in found.get_body(("plain",)).get_content()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "http://{url}/{secret}/refuses",
            "http URL at 127.0.0.1 could not be notified: it answers 410",
        ),
        (
            "http://127.0.0.1:9/{secret}",
            "http URL at 127.0.0.1 could not be notified: ConnectError",
        ),
        (
            "mailto:{secret}@example.org",
            "mailto URL could not be notified: SONIC_SMTP does not name",
        ),
        ("nonsense://{secret}", "the nonsense URL could not be notified: Apprise does not know"),
    ],
)
def test_who_cannot_be_told_is_logged_without_the_secret_and_the_others_are_told(
    target: str, said: str, hook: tuple[str, list[Any]], caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url, posts = hook
    monkeypatch.delenv("SONIC_SMTP", raising=False)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # as the module leaves it
    bad = target.format(url=url, secret=SECRET)
    message = message_of("m.csv", "lite", Outcome(text="It ended."))
    assert not notify([bad, f"http://{url}/{SECRET}"], message)
    assert len(posts) == 1
    assert said in caplog.text
    own = [record.getMessage() for record in caplog.records if "httpcore" not in record.name]
    assert not [line for line in own if SECRET in line]


def test_a_run_that_cannot_start_is_told(hook: tuple[str, list[Any]]) -> None:
    url, posts = hook

    def ends() -> None:
        with notifying([f"http://{url}/"], "m.csv", "lite"):
            raise ManifestError("There is no m.csv", remedy="Write it.")

    with pytest.raises(ManifestError):
        ends()
    assert (posts[0]["state"], posts[0]["counts"]) == ("failed", {})
    assert "There is no m.csv. Write it." in posts[0]["text"]


@pytest.mark.parametrize(
    ("served", "link"),
    [
        ("", Path.as_uri),
        ("{folder}=http://127.0.0.1:8000/v", lambda path: f"http://127.0.0.1:8000/v/{path.name}"),
    ],
)
def test_a_report_is_linked_to_where_its_folder_is_served(
    served: str, link: Callable[[Path], str], table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = Path(table.replace("results.parquet", "report.html"))
    monkeypatch.setenv("SONIC_SERVED", served.format(folder=report.parent))
    assert message_of("m.csv", "lite", Outcome([table])).reports == ()
    report.touch()
    assert message_of("m.csv", "lite", Outcome([table])).reports == (link(report),)
