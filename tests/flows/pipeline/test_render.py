"""What ends a run, and what is only the fault of one row."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from cluster.config import ClusterConfig
from cluster.pool.base import LocalPool
from cluster.video.jobs import AudioChunkJob
from flows.console.progress import LineReporter
from flows.console.terminal import open_terminal
from flows.pipeline.prefect_flows import render_manifest
from flows.pipeline.rendering import retry
from flows.pipeline.runs import ManifestRun
from flows.rows.config import RenderConfig
from flows.state.journal import Journal
from flows.state.leases import Leases, holder_of
from flows.state.receipts import lease_target
from flows.state.row_store import RowStore
from sonic_ops.core.errors import NoWorkersError
from tests.flows.conftest import Cells, WriteManifest, sorted_rows

LONG_S = 3600.0


def test_what_a_store_refuses_is_tried_again() -> None:
    answers = [ConnectionError("503"), ConnectionError("503"), 5]

    def ask() -> object:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry(ask, 3, pause_s=0.0) == 5
    answers = [ConnectionError("503"), ConnectionError("504"), 5]
    with pytest.raises(ConnectionError, match="504"):
        retry(ask, 2, pause_s=0.0)
    assert answers == [5]


class Deserted:
    """A worker that says what a pool says which all workers have left."""

    def __init__(self) -> None:
        self.num_asked = 0

    def encode_chunk(self, job: AudioChunkJob) -> str:
        self.num_asked += 1
        raise NoWorkersError(f"there is no worker for {job.target}", remedy="Start one.")


@pytest.mark.flow
def test_without_workers_a_run_ends_once_and_its_rows_wait(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    config = config.model_copy(update={"rows_in_flight": 1})
    others = [{"id": name, "output": str(tmp_path / f"{name}.mp4")} for name in "bc"]
    manifest = write_manifest(good, *(good | other for other in others))
    planned, store, worker = sorted_rows(manifest, config).planned, RowStore(), Deserted()
    for row in planned:
        store.plan(row)
    leases = Leases(LONG_S)
    journal = Journal(str(tmp_path / "m.results.parquet"), leases)
    pool = LocalPool(ClusterConfig(workers=0), worker)
    reporter = LineReporter(open_terminal(console=Console(file=StringIO())))
    run = ManifestRun(config, pool, reporter, store, journal, leases)
    with pytest.raises(NoWorkersError, match="no worker for"):
        render_manifest(manifest, run)
    assert run.stopped.is_set()
    assert worker.num_asked == 1
    assert [result.status for result in store.results()] == ["waiting"] * 3
    assert holder_of(lease_target(planned[0].row.output)) is None
