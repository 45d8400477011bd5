"""The flows: a manifest is many rows, a row is a walk from sound and picture to a video.

Prefect decides whether something runs and runs again; the pool decides where.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from flows import tasks
from flows.outcome import Rendered, Spent, done, failed
from flows.preflight import PlannedRow
from flows.session import current_session


@flow(
    name="render-row",
    flow_run_name="{row_id} to {output}",
    persist_result=False,
    validate_parameters=False,
)
def render_row(row_id: str, output: str) -> Rendered:
    """Render one row of the session to its output; what the finished file is."""
    planned = current_session().rows[row_id]
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
    """Render the planned rows of the session, several at a time; the session takes the results."""
    session = current_session()
    threads = ThreadPoolExecutor(session.config.num_rows_in_flight, thread_name_prefix="row")
    try:
        rows = session.rows.values()
        runs = [threads.submit(copy_context().run, record_row, planned) for planned in rows]
        for run in runs:
            run.result()
    except BaseException:  # the user or the machine ends the run: rows in flight end too
        session.stopped.set()
        raise
    finally:
        threads.shutdown(cancel_futures=True)


def record_row(planned: PlannedRow) -> None:
    """Render a row and note what became of it; only a stop by the user goes further."""
    session = current_session()
    session.reporter.start(planned)
    started, arguments = time.monotonic(), (planned.row.id, planned.row.output)
    try:
        state: State[Any] = render_row(*arguments, return_state=True)
        outcome = state.result(raise_on_failure=False)
    except Exception as error:  # Prefect itself: this row is lost, the others go on
        outcome = error
    spent = Spent(time.monotonic() - started, session.failures[planned.row.id])
    if isinstance(outcome, Rendered):
        session.record(done(planned, outcome, spent, keep_work=session.config.keep_work))
    else:
        session.record(failed(planned, outcome, spent))
