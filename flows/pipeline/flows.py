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

from prefect import flow
from prefect.client.schemas.objects import State

from cluster.storage.artifacts import retry_on_corrupt
from flows.pipeline import tasks
from flows.pipeline.artifacts import Shown, show_report, show_results
from flows.pipeline.session import current_session
from flows.preflight.checks import PlannedRow
from flows.state.outcome import Rendered, Spent, done, elsewhere, failed, skipped
from flows.state.receipts import finished_result, lease_target
from flows.state.results import RowResult
from sonic_ops.core.errors import InWorkElsewhereError, NoWorkersError
from sonic_ops.core.files import exists, storage_fault

T = TypeVar("T")

_log = logging.getLogger(__name__)


@flow(
    name="render-row",
    flow_run_name="{row_id} to {output}",
    persist_result=False,
    validate_parameters=False,
)
def render_row(row_id: str, output: str) -> Rendered:
    """Render one row of the session to its output; what the finished file is.

    If a file of its work turns out to be damaged, the row is gone through again to make it anew.
    """
    planned = current_session().rows[row_id]
    return retry_on_corrupt(lambda: _rendered(planned))


def _rendered(planned: PlannedRow) -> Rendered:
    sound = tasks.decode_sound(planned)
    portrait = tasks.prepare_portrait(planned)
    request = tasks.request_of(planned, sound, portrait)
    tasks.encode_audio(planned, request)
    tasks.denoise_video(planned, request)
    tasks.encode_video(planned, request)
    return Rendered(request.num_frames, tasks.mux_video(planned, request))


@flow(
    name="render-manifest",
    flow_run_name="{manifest}",
    persist_result=False,
    validate_parameters=False,
)
def render_manifest(manifest: str) -> None:
    """Render the planned rows of the session, several at a time; the session takes the results.

    What is in work elsewhere is looked at once more at the end: that command may be gone by then.
    """
    session = current_session()
    rows = _Shared(chain(session.ledger.planned(), session.ledger.planned("elsewhere")))
    num_threads = session.config.num_rows_in_flight(session.pool.num_workers)
    shown = Shown(manifest, sum(1 for _ in session.ledger.planned()))
    threads = ThreadPoolExecutor(num_threads, thread_name_prefix="row")
    try:
        runs = [
            threads.submit(copy_context().run, _render_rows, rows, shown)
            for _ in range(num_threads)
        ]
        for run in as_completed(runs):  # what ends the run is known before others are stopped
            run.result()
    except KeyboardInterrupt:  # nobody waits for rows in flight: the table is written at once
        session.stopped.set()
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:  # the machine ends the run: rows in flight end too
        session.stopped.set()
        _close(threads, manifest)
        raise
    _close(threads, manifest)


def _close(threads: ThreadPoolExecutor, manifest: str) -> None:
    """Wait for the rows in flight, and show on Prefect's pages what became of all."""
    session = current_session()
    threads.shutdown(cancel_futures=True)
    show_results(manifest, session.ledger.results)
    if session.report:
        show_report(manifest, session.report)


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


def _render_rows(rows: _Shared, shown: Shown) -> None:
    session = current_session()
    for planned in rows:
        if session.stopped.is_set():
            return
        result = result_of(planned)
        try:
            patiently(partial(session.record, result), session.config.max_attempts)
        except OSError as error:
            raise storage_fault(error) from error
        shown.count()


def result_of(planned: PlannedRow) -> RowResult:
    """What becomes of a row, unless another command has it or had it meanwhile."""
    session, target = current_session(), lease_target(planned.row.output)
    leases, tries = session.leases, session.config.max_attempts
    try:
        patiently(lambda: leases.take(target), tries)
        try:
            known = patiently(
                lambda: finished_result(planned.row.output, planned.fingerprint), tries
            )
            return skipped(planned, known) if known else rendered_result(planned)
        finally:
            leases.release(target)
    except InWorkElsewhereError as error:
        return elsewhere(planned, error)
    except OSError as error:
        return failed(planned, storage_fault(error), Spent(num_failures=tries))


def patiently(act: Callable[[], T], tries: int, pause_s: float = tasks.RETRY_DELAY_S) -> T:
    """What `act` gives; what a store refuses now, it may do in a moment. Raises OSError."""
    for _ in range(tries - 1):
        try:
            return act()
        except OSError as error:
            _log.warning("%s; it is tried again", storage_fault(error))
            time.sleep(pause_s)
    return act()


def rendered_result(planned: PlannedRow) -> RowResult:
    """Render a row and say what became of it; only what ends the run goes further.

    That is a stop by the user, or NoWorkersError: the rows are not at fault, and wait.
    """
    session, order = current_session(), planned.row.number
    if exists(planned.work):  # the plan is that of the whole row
        planned = replace(planned, planned_worker_s=None)
    session.rows[planned.row.id] = planned
    session.reporter.start(planned)
    started = time.monotonic()
    try:
        state: State[Any] = render_row(planned.row.id, planned.row.output, return_state=True)
        outcome = state.result(raise_on_failure=False)
    except Exception as error:  # Prefect itself: this row is lost, the others go on
        outcome = error
    finally:
        session.pool.cancel_row(order)
        account = session.pool.pop_costs(order)
        del session.rows[planned.row.id]
    if isinstance(outcome, NoWorkersError):
        raise outcome
    if session.stopped.is_set() and not isinstance(outcome, Rendered):
        raise KeyboardInterrupt  # the run was stopped, the row has not failed
    spent = Spent(time.monotonic() - started, session.failures.pop(planned.row.id, 0), account)
    if isinstance(outcome, InWorkElsewhereError):
        result = elsewhere(planned, outcome)
    elif isinstance(outcome, Rendered):
        result = done(planned, outcome, spent, session.leases, keep_work=session.config.keep_work)
    else:
        result = failed(planned, outcome, spent)
    session.reporter.finish(result)
    return result
