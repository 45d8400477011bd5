"""An S3 server of this process, for tests: moto's, on a free port of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager

import fsspec.config
import s3fs
from moto.server import ThreadedMotoServer


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """The settings that s3fs needs to reach the server; it has one bucket, `bucket`.

    Other processes find it by the same settings as `FSSPEC_S3_KEY`, `_SECRET`, `_ENDPOINT_URL`.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"key": "tests", "secret": "tests", "endpoint_url": f"http://{host}:{port}"}
    try:
        s3fs.S3FileSystem(**settings).mkdir("bucket")
        fsspec.config.conf["s3"] = settings
        yield settings
    finally:
        fsspec.config.conf.pop("s3", None)
        server.stop()
