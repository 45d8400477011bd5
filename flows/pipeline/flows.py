"""The flows: a manifest is many rows, a row is a walk from sound and picture to a video.

Prefect decides whether something runs and runs again; the pool decides where.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any, TypeVar

from httpx import TransportError
from prefect import flow
from prefect.client.schemas.objects import State

from cluster.storage.artifacts import retry_on_corrupt
from flows.pipeline.artifacts import Shown, show_report, show_results
from flows.pipeline.runs import ManifestRun, RowRun
from flows.pipeline.tasks import (
    RETRY_DELAY_S,
    decode,
    decode_audio,
    denoise,
    encode_audio_context,
    mux,
    prepare_portrait,
    split,
    stitch,
)
from flows.rows.planned import PlannedRow
from flows.state.outcome import Rendered, Spent, done, elsewhere, failed, skipped
from flows.state.receipts import finished_result, lease_target
from flows.state.results import RowResult
from flows.supervisor.channel import tell
from sonic_ops.core.errors import InWorkElsewhereError, NoWorkersError, RenderError
from sonic_ops.core.files import exists, storage_fault

T = TypeVar("T")

_log = logging.getLogger(__name__)


@flow(
    name="render-row",
    flow_run_name="{row.id} to {row.shown_output}",
    persist_result=False,
    validate_parameters=False,
)
def render_row(row: RowRun) -> Rendered:
    """Render one row, from sound and picture to the finished video.

    If a file of its work turns out to be damaged, the row is gone through again to make it anew.
    """
    return retry_on_corrupt(partial(_walk, row))


def _walk(row: RowRun) -> Rendered:
    audio = decode_audio(row)
    portrait = prepare_portrait(row)
    context = encode_audio_context(row, audio)  # once, for the whole track
    segments = split(row, audio)
    latents = denoise(row, audio, segments, context, portrait)  # fused at every step
    clips = decode(row, latents)
    return mux(row, stitch(row, clips))


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
    rows = _Shared(chain(run.ledger.planned(), run.ledger.planned("elsewhere")))
    num_threads = run.config.num_rows_in_flight(run.pool.num_workers)
    shown = Shown(manifest, sum(1 for _ in run.ledger.planned()))
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
    show_results(manifest, run.ledger.results)
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
        result = result_of(run, planned)
        try:
            retry(partial(run.record, result), run.config.max_attempts)
        except OSError as error:
            raise storage_fault(error) from error
        shown.count()


def result_of(run: ManifestRun, planned: PlannedRow) -> RowResult:
    """Render a row, unless another command has it or had it meanwhile; say what became of it."""
    target = lease_target(planned.row.output)
    leases, tries = run.leases, run.config.max_attempts
    try:
        retry(lambda: leases.take(target), tries)
        try:
            known = retry(lambda: finished_result(planned.row.output, planned.fingerprint), tries)
            return skipped(planned, known) if known else rendered_result(run, planned)
        finally:
            leases.release(target)
    except InWorkElsewhereError as error:
        return elsewhere(planned, error)
    except OSError as error:
        return failed(planned, storage_fault(error), Spent(num_failures=tries))


def retry(act: Callable[[], T], tries: int, pause_s: float = RETRY_DELAY_S) -> T:
    """Do `act`; what a store refuses now, it may do in a moment. Raises OSError."""
    for _ in range(tries - 1):
        try:
            return act()
        except OSError as error:
            _log.warning("%s; it is tried again", storage_fault(error))
            time.sleep(pause_s)
    return act()


def rendered_result(run: ManifestRun, planned: PlannedRow) -> RowResult:
    """Render a row and say what became of it; only what ends the run goes further.

    That is a stop by the user, or NoWorkersError: the rows are not at fault, and wait.
    """
    if exists(planned.work):  # the plan is that of the whole row
        planned = replace(planned, planned_worker_s=None)
    run.reporter.start(planned)
    row, started = RowRun(run, planned), time.monotonic()
    try:
        state: State[Any] = render_row(row, return_state=True)
        outcome = state.result(raise_on_failure=False)
    except TransportError as error:  # after all tries of Prefect's client
        tell(lost="Prefect's server")
        raise RenderError(
            f"Prefect's server no longer answers: {error}",
            remedy="Start it, then run the same command to continue.",
        ) from error
    except Exception as error:  # Prefect itself: this row is lost, the others go on
        outcome = error
    finally:
        run.pool.cancel_row(planned.row.number)
        costs = run.pool.pop_costs(planned.row.number)
    if isinstance(outcome, NoWorkersError):
        raise outcome
    if run.stopped.is_set() and not isinstance(outcome, Rendered):
        raise KeyboardInterrupt  # the run was stopped, the row has not failed
    spent = Spent(time.monotonic() - started, row.num_failures, costs)
    if isinstance(outcome, InWorkElsewhereError):
        result = elsewhere(planned, outcome)
    elif isinstance(outcome, Rendered):
        result = done(planned, outcome, spent, run.leases, keep_work=run.config.keep_work)
    else:
        result = failed(planned, outcome, spent)
    run.reporter.finish(result)
    return result
