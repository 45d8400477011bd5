"""No row reads from a metadata service; a server of one's own is read."""

import http.server
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from sonic_ops.core.errors import MissingFileError
from sonic_ops.core.files import open_url


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest/meta-data/iam",
        "HTTP://169.254.169.254:80/latest",
        "http://user:pass@169.254.169.254/latest",
        "http://2852039166/latest",
        "http://0xA9FEA9FE/latest",
        "http://0251.0376.0251.0376/latest",
        "http://[::ffff:169.254.169.254]/latest",
        "http://[fe80::1]/latest",
        "http://[fd00:ec2::254]/latest",
        "http://100.100.100.200/latest",
        "simplecache::http://169.254.169.254/latest",
        "zip://a.wav::http://169.254.169.254/latest",
    ],
)
def test_no_metadata_service_is_asked(address: str) -> None:
    with pytest.raises(MissingFileError, match="metadata service"), open_url(address):
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server of one's own, with one file."""
    (tmp_path / "a.wav").write_bytes(b"audio")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_server_of_ones_own_is_read(server: str) -> None:
    with open_url(f"{server}/a.wav") as file:
        assert file.read() == b"audio"
