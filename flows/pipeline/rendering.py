"""A row on its way from its plan to its result. Knows nothing of Prefect.

`render` says what comes after what; whoever calls it decides what runs the tasks.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cluster.storage.artifacts import retry_on_corrupt
from flows.pipeline.runs import RowRun, Run
from flows.pipeline.tasks import (
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
from sonic_ops.core.errors import (
    DamagedFileError,
    InWorkElsewhereError,
    NoWorkersError,
    RenderError,
)
from sonic_ops.core.files import exists, storage_fault

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Attempt = Callable[[RowRun], Any]
"""Renders a row: what `render` returns, or the error that the row has failed with."""

RETRY_DELAY_S = 2.0

_log = logging.getLogger(__name__)


class RunTask(Protocol):
    """Runs a task of a row, and decides whether it is tried again."""

    def __call__(
        self,
        task: Callable[Concatenate[RowRun, P], R],
        row: RowRun,
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Run the task; its result."""
        ...


def render(row: RowRun, run: RunTask) -> Rendered:
    """Take a row from sound and picture to the finished video.

    If a file of its work turns out to be damaged, the row is gone through again to make it anew.
    """
    return retry_on_corrupt(partial(_walk, row, run))


def _walk(row: RowRun, run: RunTask) -> Rendered:
    audio = run(decode_audio, row)
    portrait = run(prepare_portrait, row)
    context = run(encode_audio_context, row, audio)  # once, for the whole track
    segments = run(split, row, audio)
    latents = run(denoise, row, audio, segments, context, portrait)  # fused at every step
    clips = run(decode, row, latents)
    return run(mux, row, run(stitch, row, clips))


def run_here(
    task: Callable[Concatenate[RowRun, P], R], row: RowRun, /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run a task here, as often as the rule below allows."""
    while True:
        try:
            return task(row, *args, **kwargs)
        except RenderError as error:
            if not may_try_again(row, error):
                raise
            _log.warning("%s; it is tried again", error)
            time.sleep(RETRY_DELAY_S)


def may_try_again(row: RowRun, error: BaseException) -> bool:
    """Tell whether another try might do, until the row has failed `max_attempts` times in all."""
    # A damaged file is made again by the whole row; without workers the run ends.
    if isinstance(error, DamagedFileError | NoWorkersError):
        return False
    return isinstance(error, RenderError) and row.num_failures < row.config.max_attempts


def result_of(run: Run, planned: PlannedRow, attempt: Attempt) -> RowResult:
    """Render a row, unless another command has it or had it meanwhile; say what became of it."""
    target = lease_target(planned.row.output)
    leases, tries = run.leases, run.config.max_attempts
    try:
        retry(lambda: leases.take(target), tries)
        try:
            known = retry(lambda: finished_result(planned.row.output, planned.fingerprint), tries)
            return skipped(planned, known) if known else rendered_result(run, planned, attempt)
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


def rendered_result(run: Run, planned: PlannedRow, attempt: Attempt) -> RowResult:
    """Render a row and say what became of it; only what ends the run goes further.

    That is a stop by the user, or NoWorkersError: the rows are not at fault, and wait.
    """
    if exists(planned.work):  # the plan is that of the whole row
        planned = replace(planned, planned_worker_s=None)
    run.reporter.start(planned)
    row, started = RowRun(run, planned), time.monotonic()
    try:
        outcome = attempt(row)
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
