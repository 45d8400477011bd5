"""A hub on loopback: what the library asks of the real one to list and to fetch files."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

Content: TypeAlias = bytes | Path
"""What is in a file of the hub: some bytes, or those of a file that does not change."""

REVISION = "0123456789abcdef0123456789abcdef01234567"
_BLOCK_BYTES = 1 << 20
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


@dataclass
class Hub:
    """Repositories by name, each a table of files; what was asked, and what goes wrong."""

    repositories: dict[str, dict[str, Content]]
    endpoint: str = ""
    num_breaks: int = 0  # answers that stop in the middle
    damaged: str = ""  # a file that is sent with other content
    gated: str = ""  # a repository whose files need a login
    ranges: list[tuple[str, str]] = field(default_factory=list)  # file, and the range asked for
    num_bytes_sent: int = 0


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Give out the files of a hub until the block ends."""
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


def listing(hub: Hub, repository: str) -> dict[str, Any]:
    """Describe a repository with the size and the checksum of every file."""
    files = hub.repositories[repository]
    siblings = [_entry(name, content) for name, content in files.items()]
    return {"id": repository, "sha": REVISION, "siblings": siblings}


def files_below(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
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
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self._answer(json.dumps(listing(self.hub, repository)).encode())

    def _content(self, repository: str, name: str) -> None:
        content = self.hub.repositories[repository][name]
        asked = self.headers.get("Range", "")
        self.hub.ranges.append((name, asked))
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        size = _size(content)
        stop = size
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.hub.num_breaks:
            self.hub.num_breaks -= 1
            stop = start + (size - start) // 2
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        for block in _blocks(content, start, stop):
            self._send(bytes(len(block)) if name == self.hub.damaged else block)

    def _answer(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._send(body)

    def _send(self, body: bytes) -> None:
        # Counted first: who has the answer may set the count to 0 before this thread goes on.
        self.hub.num_bytes_sent += len(body)
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _entry(name: str, content: Content) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": _size(content)}
    if name.endswith((".pth", ".safetensors")):  # git has a note of a few lines in their place
        sums = {"sha256": _sha256(content), "size": _size(content)}
        entry["lfs"] = sums | {"pointerSize": 134}
        entry["blobId"] = _sha1_of_git(json.dumps(sums).encode())
    else:
        entry["blobId"] = _sha1_of_git(b"".join(_blocks(content)))
    return entry


def _sha1_of_git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@lru_cache  # gigabytes, whenever somebody asks
def _sha256(content: Content) -> str:
    digest = hashlib.sha256()
    for block in _blocks(content):
        digest.update(block)
    return digest.hexdigest()


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _blocks(content: Content, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield what is from a byte to another, a little at a time."""
    end = _size(content) if stop is None else stop
    if isinstance(content, bytes):
        yield content[start:end]
        return
    with content.open("rb") as file:
        file.seek(start)
        while block := file.read(min(_BLOCK_BYTES, end - file.tell())):
            yield block
