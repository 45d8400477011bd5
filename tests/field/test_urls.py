"""Addresses as servers and disks have them: read where a player would, else a reason in words."""

import os
import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from flows import urls
from flows.rows.config import RenderConfig
from flows.rows.manifest import open_manifest
from flows.state.results import RowResult, read_results, write_results
from sonic_ops.core.errors import MissingFileError
from sonic_ops.core.files import as_text, fetched, open_url, printable
from tests.certificates import write_signer
from tests.flows.conftest import FACE, SPEECH, Cells, WriteManifest, sorted_rows

CONTENT = bytes(range(256)) * 5000


class Server(BaseHTTPRequestHandler):
    """Serves files as the first folder of the path says."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}

    def log_message(self, *words: object) -> None:
        """Said nowhere."""

    def do_HEAD(self) -> None:
        mode, content = self._asked()
        if mode == "nohead":
            self._head(405, {"Content-Length": "0"})
        elif content is None:
            self._head(404 if mode == "range" else int(mode), {"Content-Length": "0"})
        elif mode == "chunked":
            self._head(200, {"Transfer-Encoding": "chunked"})
        else:
            self._head(200, {"Content-Length": str(len(content))})

    def do_GET(self) -> None:
        mode, content = self._asked()
        if content is None:
            self._head(404 if mode == "range" else int(mode), {"Content-Length": "0"})
        elif mode in ("range", "nohead") and (asked := self.headers.get("Range")):
            first, last = asked.removeprefix("bytes=").split("-")
            part = content[int(first) : int(last) + 1]
            where = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
            self._head(206, {"Content-Range": where, "Content-Length": str(len(part))})
            self.wfile.write(part)
        elif mode == "chunked":
            self._head(200, {"Transfer-Encoding": "chunked"})
            for start in range(0, len(content), 60_000):
                block = content[start : start + 60_000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self._head(200, {"Content-Length": str(len(content))})
            self.wfile.write(content)

    def _asked(self) -> tuple[str, bytes | None]:
        _, mode, name = urlsplit(self.path).path.split("/", 2)
        return mode, self.files.get(name)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    manifest = "id,portrait,audio,output\nada,ada.png,ada.wav,/tmp/ada.mp4\n"
    Server.files = {
        "data": CONTENT,
        "m.csv": manifest.encode(),
        "ada.png": FACE.read_bytes(),
        "ada.wav": SPEECH.read_bytes(),
        "empty": b"",
    }
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize("mode", ["range", "chunked", "plain", "nohead"])
def test_files_of_any_server_can_be_read_at_any_place(server: str, mode: str) -> None:
    url = f"{server}/{mode}/data?X-Amz-Signature=secret"
    with open_url(url) as file:
        file.seek(1_000_000)
        assert file.read(100) == CONTENT[1_000_000:1_000_100]
        file.seek(3)
        assert file.read(5) == CONTENT[3:8]
    with fetched(url) as path:
        assert path.read_bytes() == CONTENT
        assert path.name == "data"


def test_an_empty_file_is_empty(server: str) -> None:
    with open_url(f"{server}/plain/empty") as file:
        assert file.read() == b""


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/range/none.png", "there is no such file|the server says 404"),
        ("/403/none.png?signature=secret", "the server says 403 Forbidden"),
        ("/401/none.png", "the server says 401 Unauthorized"),
        ("/500/none.png", "the server says 500 Internal Server Error"),
    ],
)
def test_a_refusal_is_said_with_its_reason(server: str, path: str, reason: str) -> None:
    with pytest.raises(MissingFileError, match=reason) as caught, open_url(server + path):
        pass
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said(server: str) -> None:
    with (
        pytest.raises(MissingFileError, match=r"127\.0\.0\.1 does not answer: .*refused") as caught,
        open_url("http://127.0.0.1:9/x.png"),
    ):
        pass
    assert "Errno" not in str(caught.value)


def test_a_certificate_that_is_not_valid_is_said(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    signer = write_signer(tmp_path)
    context.load_cert_chain(signer.certificate, signer.key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        url = f"https://127.0.0.1:{listening.server_port}/plain/data"
        reason = "the certificate of 127.0.0.1 is not valid: "
        with pytest.raises(MissingFileError, match=re.escape(reason)), open_url(url):
            pass
        listening.shutdown()
        thread.join()


def test_a_signed_manifest_has_the_ending_of_its_path(server: str) -> None:
    url = f"{server}/plain/m.csv?X-Amz-Signature=a/b.c&format=none"
    with open_manifest(url) as manifest:
        (line,) = manifest.lines()
    assert line.place == "m.csv line 2"
    assert urls.folder_of(url) == f"{server}/plain"
    assert urls.resolve("ada.png", urls.folder_of(url)) == f"{server}/plain/ada.png"


def test_a_row_is_checked_whatever_its_server_can(
    server: str, tmp_path: Path, config: RenderConfig
) -> None:
    text = (
        "id,portrait,audio,output\n"
        f"a,{server}/chunked/ada.png?s=1,{server}/plain/ada.wav?s=2,a.mp4\n"
        f"b,{server}/range/ada.png,{server}/nohead/ada.wav,b.mp4\n"
    )
    (tmp_path / "m.csv").write_text(text)
    found = sorted_rows(str(tmp_path / "m.csv"), config)
    assert [row.row.id for row in found.planned] == ["a", "b"]


@pytest.mark.parametrize("name", ["ada::1.png", "a::b::c.png", "s3::x.png", "zip::a.png"])
def test_two_colons_in_a_name_are_a_part_of_it(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with open_url(str(tmp_path / name)) as file:
        assert file.read() == b"x"
    with open_url(f"local://{tmp_path}/{name}") as file:
        assert file.read() == b"x"


def test_a_chain_of_stores_still_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    with open_url(f"simplecache::file://{tmp_path}/a.png") as file:
        assert file.read() == b"x"


@pytest.fixture
def cafe(tmp_path: Path) -> Path:
    """A folder with a name in Latin-1."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    return folder


def test_a_folder_whose_name_is_not_utf8_is_a_folder(cafe: Path, config: RenderConfig) -> None:
    (cafe / "ada.png").write_bytes(FACE.read_bytes())
    (cafe / "ada.wav").write_bytes(SPEECH.read_bytes())
    (cafe / "m.csv").write_text("id,portrait,audio,output\na,ada.png,ada.wav,out/a.mp4\n")
    found = sorted_rows(str(cafe / "m.csv"), config)
    (planned,) = found.planned
    assert planned.row.portrait == str(cafe / "ada.png")


def test_results_keep_names_that_are_not_utf8(cafe: Path) -> None:
    result = RowResult(1, "a", "done", output=str(cafe / "a.mp4"), portrait=str(cafe / "a.png"))
    url = str(cafe / "m.results.parquet")
    write_results(url, lambda: [(result, {})])
    assert list(read_results(url)) == [result]


def test_names_that_are_not_utf8_can_be_printed_and_found_again(cafe: Path) -> None:
    shown = printable(str(cafe))
    assert shown.endswith("/caf%E9")
    assert shown.isascii()
    assert urls.resolve(shown, "/") == str(cafe)
    assert as_text("/in/ü.png") == "/in/ü.png"
    assert printable("https://h/a.png?X-Amz-Signature=secret") == "https://h/a.png?..."


def test_names_that_follow_from_others_are_checked_before(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    (tmp_path / "s.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nx\n")
    long = {"output": f"{tmp_path}/{'m' * 232}.mp4", "language": "zh-Hans-CN"}
    deep = {"id": "deep", "output": f"{tmp_path}{'/' + 'd' * 200}" * 20 + "/a.mp4"}
    found = sorted_rows(
        write_manifest(good | long | {"subtitles": str(tmp_path / "s.srt")}, good | deep), config
    )
    first, second = found.bad
    assert [error.field for error in first.errors] == ["subtitles"]
    assert "zh-Hans-CN.srt, and the name of the file is longer" in str(first.errors[0])
    assert "output" in [error.field for error in second.errors]
