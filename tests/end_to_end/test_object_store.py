"""Work, outputs, leases and results may lie in an object store: machines need share no disk."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs
from rich.console import Console

from flows.console.terminal import open_terminal
from flows.pipeline.run import RunRequest, run
from flows.state.leases import Leases
from flows.urls import create
from sonic_ops.core.errors import LockedError
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH
from tests.s3 import s3_server

pytestmark = pytest.mark.flow

ROW = {"id": "a", "portrait": str(FACE), "audio": str(SPEECH), "end": 0.4, "seed": 1}


@pytest.fixture(scope="module")
def store() -> Iterator[s3fs.S3FileSystem]:
    with s3_server() as settings:
        yield s3fs.S3FileSystem(**settings, use_listings_cache=False)


def test_a_row_renders_through_an_object_store_to_the_same_bytes(
    bench: Bench, store: s3fs.S3FileSystem, tmp_path: Path
) -> None:
    local = bench.run(bench.manifest([ROW | {"output": "a.mp4"}], tmp_path), bench.preset())
    assert local.results["a"]["status"] == "done"
    manifest = bench.manifest([ROW | {"output": "s3://bucket/out/a.mp4"}], tmp_path / "remote")
    preset = bench.preset("kept", keep_work=True)
    request = RunRequest(manifest, preset, "s3://bucket/out", "s3://bucket/work")
    text = io.StringIO()
    assert run(request, open_terminal(console=Console(file=text))) == 0, text.getvalue()
    assert store.cat("bucket/out/a.mp4") == (tmp_path / "a.mp4").read_bytes()
    work = {Path(name).parts[2] for name in store.find("bucket/work")}
    assert {"latents", "segments", "sound.wav", "sonic-row.json"} <= {
        Path(name).parts[3] for name in store.find("bucket/work")
    }
    assert len(work) == 1
    assert {name for name in store.find("bucket/out") if ".sonic" not in name} == {
        "bucket/out/a.mp4",
        "bucket/out/m.results.parquet",
    }
    assert run(request, open_terminal(console=Console(file=text))) == 0
    assert "nothing to do" in text.getvalue()


def test_of_two_that_make_a_file_in_an_object_store_one_does(store: s3fs.S3FileSystem) -> None:
    assert create("s3://bucket/leases/a", b"first")
    assert not create("s3://bucket/leases/a", b"second")
    assert store.cat("bucket/leases/a") == b"first"


def test_a_lease_in_an_object_store_is_for_one(store: s3fs.S3FileSystem) -> None:
    first, second = Leases(3600.0), Leases(3600.0)
    target = "s3://bucket/out/.sonic/leases/b.mp4"
    first.take(target)
    with pytest.raises(LockedError):
        second.take(target)
    first.renew()
    first.check(target)
    first.release(target)
    second.take(target)
    second.release(target)
    assert not store.find("bucket/out/.sonic/leases")
