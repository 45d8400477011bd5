"""A hub on loopback: what the library asks of the real one to list and to fetch files."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REVISION = "0123456789abcdef0123456789abcdef01234567"
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """Repositories by name, each a table of files; what was asked, and what goes wrong."""

    repositories: dict[str, dict[str, bytes]]
    endpoint: str = ""
    num_breaks: int = 0  # answers that stop in the middle
    damaged: str = ""  # a file that is sent with other content
    gated: str = ""  # a repository whose files need a login
    ranges: list[tuple[str, str]] = field(default_factory=list)  # file, and the range asked for
    num_bytes_sent: int = 0


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def files_below(folder: Path) -> dict[str, bytes]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            self._listing(path.removeprefix("/api/models/"))
        elif match := _RESOLVE.fullmatch(path):
            repository, revision, name = match.groups()
            if repository == self.hub.gated:
                self.send_response(403)
                self.send_header("X-Error-Code", "GatedRepo")
                self._answer(b"")
            else:  # large files are elsewhere, and the library is sent there
                assert revision == REVISION
                self.send_response(302)
                self.send_header("Location", f"{self.hub.endpoint}/store/{repository}/{name}")
                self._answer(b"")
        elif path.startswith("/store/"):
            owner, repository, name = path.removeprefix("/store/").split("/", 2)
            self._content(f"{owner}/{repository}", name)

    def _listing(self, repository: str) -> None:
        if repository not in self.hub.repositories:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self._answer(b"")
            return
        files = self.hub.repositories[repository]
        siblings = [_entry(name, content) for name, content in files.items()]
        body = {"id": repository, "sha": REVISION, "siblings": siblings}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._answer(json.dumps(body).encode())

    def _content(self, repository: str, name: str) -> None:
        content = self.hub.repositories[repository][name]
        asked = self.headers.get("Range", "")
        self.hub.ranges.append((name, asked))
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        rest = content[start:]
        if name == self.hub.damaged:
            rest = bytes(len(rest))
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.hub.num_breaks:
            self.hub.num_breaks -= 1
            self._answer(rest[: len(rest) // 2], length=len(rest))
        else:
            self._answer(rest)

    def _answer(self, body: bytes, length: int | None = None) -> None:
        # Counted first: who has the answer may set the count to 0 before this thread goes on.
        self.hub.num_bytes_sent += len(body)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _entry(name: str, content: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
    entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if name.endswith((".pth", ".safetensors")):
        sha256 = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 134}
    return entry
