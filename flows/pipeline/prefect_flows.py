"""The flows: a manifest is many rows, a row leads from audio and portrait to a video.

Prefect decides whether something runs and runs again; the pool decides where.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any

from httpx import TransportError
from prefect import flow

from cluster.storage.artifacts import retry_on_corrupt
from flows.pipeline.artifacts import Shown, show_report, show_results
from flows.pipeline.prefect_tasks import by_prefect
from flows.pipeline.rendering import render, result_of, retry
from flows.pipeline.runs import ManifestRun, RowRun
from flows.rows.planned import PlannedRow
from flows.state.outcome import Rendered
from flows.supervisor.channel import notify_supervisor
from sonic_ops.core.errors import RenderError
from sonic_ops.core.files import storage_fault


@flow(
    name="render-row",
    flow_run_name="{row.id} to {row.shown_output}",
    persist_result=False,
    validate_parameters=False,
)
def render_row(row: RowRun) -> Rendered:
    """Render one row, from audio and portrait to the finished video."""
    return retry_on_corrupt(partial(render, row, by_prefect))


@flow(
    name="render-manifest",
    flow_run_name="{manifest}",
    persist_result=False,
    validate_parameters=False,
)
def render_manifest(manifest: str, run: ManifestRun) -> None:
    """Render the planned rows of a run, several at a time.

    What another command renders is looked at once more at the end: it may be gone by then.
    """
    rows = _Shared(chain(run.store.planned(), run.store.planned("locked")))
    num_threads = run.config.num_rows_in_flight(run.pool.num_workers)
    shown = Shown(manifest, sum(1 for _ in run.store.planned()))
    threads = ThreadPoolExecutor(num_threads, thread_name_prefix="row")
    try:
        working = [
            threads.submit(copy_context().run, _render_rows, run, rows, shown)
            for _ in range(num_threads)
        ]
        for thread in as_completed(working):  # what ends the run is known before others are stopped
            thread.result()
    except KeyboardInterrupt:  # nobody waits for rows in flight: the table is written at once
        run.stopped.set()
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:  # the machine ends the run: rows in flight end too
        run.stopped.set()
        _close(threads, manifest, run)
        raise
    _close(threads, manifest, run)


def _close(threads: ThreadPoolExecutor, manifest: str, run: ManifestRun) -> None:
    """Wait for the rows in flight, and show on Prefect's pages what became of all."""
    threads.shutdown(cancel_futures=True)
    show_results(manifest, run.store.results)
    if run.report:
        show_report(manifest, run.report)


class _Shared:
    """Rows that several threads take from, in their order."""

    def __init__(self, rows: Iterator[PlannedRow]) -> None:
        self._rows = rows
        self._lock = Lock()

    def __iter__(self) -> Iterator[PlannedRow]:
        return self

    def __next__(self) -> PlannedRow:
        with self._lock:
            return next(self._rows)


def _render_rows(run: ManifestRun, rows: _Shared, shown: Shown) -> None:
    for planned in rows:
        if run.stopped.is_set():
            return
        result = result_of(run, planned, _attempt)
        try:
            retry(partial(run.record, result), run.config.max_attempts)
        except OSError as error:
            raise storage_fault(error) from error
        shown.count()


def _attempt(row: RowRun) -> Any:
    """Render a row as a flow; raises RenderError if Prefect's server is gone."""
    try:
        # Not its state: that has no result if the server was told twice, which a slow answer does.
        return render_row(row)
    except TransportError as error:  # after all tries of Prefect's client
        notify_supervisor(lost="Prefect's server")
        raise RenderError(
            f"Prefect's server no longer answers: {error}",
            remedy="Start it, then run the same command to continue.",
        ) from error
    except Exception as error:  # this row is lost, the others go on
        return error
