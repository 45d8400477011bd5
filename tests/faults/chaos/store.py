"""An object store that fails: a proxy before the S3 server of the tests."""

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

KINDS = ("500", "503", "500 after it was done", "slow", "truncated", "no answer")
SLOW_S = 4.0
_OURS = {"transfer-encoding", "connection", "server", "date", "content-length"}
_ERROR = (
    b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>%b</Code><Message>chaos</Message></Error>"
)
_CODES = {500: b"InternalError", 503: b"SlowDown"}


class Proxy(ThreadingHTTPServer):
    """Passes requests on; `share` of them fail in a way that `chance` chooses."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: str, chance: random.Random) -> None:
        super().__init__(address, _Handler)
        self.target = urlsplit(server).netloc
        self.share = 0.0
        self.counts: Counter[str] = Counter()
        self._chance, self._lock = chance, Lock()

    def fate(self) -> str:
        """How the next request fails; empty if it does not."""
        with self._lock:
            fails, kind = self._chance.random() < self.share, self._chance.choice(KINDS)
            self.counts[kind] += fails
            return kind if fails else ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass_on(self) -> None:
        body = self._body()
        fate = self.server.fate()
        if fate == "slow":
            time.sleep(SLOW_S)
        if fate in ("500", "503"):
            self._fail(int(fate))
            return
        status, headers, content = self._ask(body)
        if fate == "no answer":
            self._hang_up()
        elif fate == "500 after it was done":
            self._fail(500)
        else:
            self._answer(status, headers, content, whole=fate != "truncated")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OURS}
        connection = HTTPConnection(self.server.target, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            return 503, [], b""
        finally:
            connection.close()
        listed = answer.getheaders()
        if self.command == "HEAD":  # its length is that of what GET would give
            listed += [("content-length ", answer.headers.get("content-length", "0"))]
        return answer.status, listed, content

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, *, whole: bool = True
    ) -> None:
        self.send_response(status)
        length = str(len(content))
        for name, value in headers:
            if name == "content-length ":
                length = value
            elif name.lower() not in _OURS:
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content if whole else content[: len(content) // 2])
        if not whole:
            self._hang_up()

    def _fail(self, status: int) -> None:
        content = b"" if self.command == "HEAD" else _ERROR % _CODES[status]
        self._answer(status, [("Content-Type", "application/xml")], content)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def faulty(address: tuple[str, int], server: str, chance: random.Random) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    with Proxy(address, server, chance) as proxy:
        Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
