"""A row on its way from its plan to its result. Knows nothing of Prefect.

`render` says what comes after what; whoever calls it decides what runs the tasks.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from cluster.pool.costs import RowCosts
from flows import urls
from flows.pipeline.copying import copied
from flows.pipeline.film_tasks import (
    denoise_film,
    mux_film,
    opened_dubs,
    paste_film,
    prepare_film,
    split_voices,
    stitch_film,
    track_film,
)
from flows.pipeline.runs import RowRun, Run
from flows.pipeline.tasks import (
    Audio,
    decode,
    decode_audio,
    denoise,
    encode_audio_context,
    mux,
    prepare_portrait,
    split,
    stitch,
)
from flows.planning.calibration import machine_name
from flows.rows.planned import PlannedRow
from flows.state.outcome import Rendered, RunCosts, done, failed, finish_work, locked, skipped
from flows.state.receipts import finished_result, lease_target
from flows.state.results import RowResult
from sonic_ops import __version__
from sonic_ops.core.errors import (
    DamagedFileError,
    LockedError,
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


class By(Protocol):
    """Decides what runs a task, and whether it is tried again."""

    def __call__(self, task: Callable[Concatenate[RowRun, P], R], /) -> Callable[..., R]:
        """Return what is called instead of the task."""
        ...


def render(row: RowRun, by: By) -> Rendered:
    """Take a row from audio and portrait to the finished video.

    A call that finds a file of its work damaged raises DamagedFileError; `retry_on_corrupt` goes
    through the row again, which makes it anew.
    """
    audio = by(decode_audio)(row)
    if row.row.video is not None:
        return _dub(row, audio, by)
    portrait = by(prepare_portrait)(row)
    context = by(encode_audio_context)(row, audio)  # once, for the whole track
    segments = by(split)(row, audio)
    latents = by(denoise)(row, audio, segments, context, portrait)  # fused at every step
    clips = by(decode)(row, latents)
    return by(mux)(row, by(stitch)(row, clips))


def _dub(row: RowRun, audio: Audio, by: By) -> Rendered:
    """Dub a film: what is made of a face is pasted into the film's own frames."""
    film = by(prepare_film)(row)
    people = by(split_voices)(row, audio)
    plan = by(track_film)(row, people, film)
    contexts = [by(encode_audio_context)(row, person.audio) for person in people]
    latents = by(denoise_film)(row, plan, contexts)
    clips = by(paste_film)(row, audio, plan, latents)
    return by(mux_film)(row, audio, plan, by(stitch_film)(row, clips))


def here(task: Callable[Concatenate[RowRun, P], R]) -> Callable[Concatenate[RowRun, P], R]:
    """Run a task in this process, as often as the rule below allows."""

    @wraps(task)
    def run(row: RowRun, /, *args: P.args, **kwargs: P.kwargs) -> R:
        while True:
            try:
                return task(row, *args, **kwargs)
            except RenderError as error:
                if not may_try_again(row, error):
                    raise
                _log.warning("%s; it is tried again", error)
                time.sleep(RETRY_DELAY_S)

    return run


def may_try_again(row: RowRun, error: BaseException) -> bool:
    """Tell whether another try might do, until the row has failed `max_attempts` times in all."""
    # A damaged file is made again by the whole row; without workers the run ends.
    if isinstance(error, DamagedFileError | NoWorkersError):
        return False
    return isinstance(error, RenderError) and row.num_failures < row.config.max_attempts


def result_of(run: Run, planned: PlannedRow, attempt: Attempt) -> RowResult:
    """Render a row, unless another command has it or had it meanwhile; say what became of it.

    Only what ends the run goes further: a stop by the user, or NoWorkersError. The rows are not at
    fault, and wait.
    """
    tries = run.config.max_attempts
    try:
        with _leased(run, planned.row.output):
            known = retry(lambda: finished_result(planned.row.output, planned.fingerprint), tries)
            if known:
                return skipped(planned, known)
            if copy := copied(run, planned):
                return copy
            if exists(planned.work):  # the plan is that of the whole row
                planned = replace(planned, planned_worker_s=None)
            run.reporter.start(planned)
            row, started_s = RowRun(run, planned), time.monotonic()
            with _counted(run, planned) as costs:
                outcome = attempt(row)
            run_costs = RunCosts(time.monotonic() - started_s, row.num_failures, costs[0])
            return _settled(run, planned, outcome, run_costs)
    except LockedError as error:
        return locked(planned, error)
    except OSError as error:
        return failed(planned, storage_fault(error), RunCosts(num_failures=tries))


@contextmanager
def _leased(run: Run, output: str) -> Iterator[None]:
    """Hold the lease of an output. Raises LockedError and OSError."""
    target = lease_target(output)
    retry(lambda: run.leases.take(target), run.config.max_attempts)
    try:
        yield
    finally:
        run.leases.release(target)


@contextmanager
def _counted(run: Run, planned: PlannedRow) -> Iterator[list[RowCosts]]:
    """Forget the jobs of a row at the end; its costs are what the list then holds."""
    costs: list[RowCosts] = []
    try:
        yield costs
    finally:
        run.pool.cancel_row(planned.row.number)
        costs.append(run.pool.pop_costs(planned.row.number))


def _settled(run: Run, planned: PlannedRow, outcome: object, run_costs: RunCosts) -> RowResult:
    """Say what became of a row that was rendered."""
    if isinstance(outcome, NoWorkersError):
        raise outcome
    if run.stopped.is_set() and not isinstance(outcome, Rendered):
        raise KeyboardInterrupt  # the run was stopped, the row has not failed
    if isinstance(outcome, LockedError):
        result = locked(planned, outcome)
    elif isinstance(outcome, Rendered):
        from flows.report.judging import judged  # late: it loads what measures videos

        dubs = None if planned.film is None else opened_dubs(planned)
        result = judged(
            replace(done(planned, outcome, run_costs), **_made_with(run, planned)), dubs
        )
        result = finish_work(planned, result, run_costs, run.leases, keep_work=run.config.keep_work)
    else:
        assert isinstance(outcome, BaseException)
        result = failed(planned, outcome, run_costs)
    run.reporter.finish(result)
    return result


def _made_with(run: Run, planned: PlannedRow) -> dict[str, Any]:
    """Say what a row is made with, for its result."""
    config = run.config.for_row(planned.row)
    return {
        "preset": run.preset,
        "model": urls.printable(config.models.weights),
        "seed": config.seed,
        "version": __version__,
        "machine": config.cluster.address or machine_name(),
    }


def retry(act: Callable[[], T], tries: int, pause_s: float = RETRY_DELAY_S) -> T:
    """Do `act`; what a store refuses now, it may do in a moment. Raises OSError."""
    for _ in range(tries - 1):
        try:
            return act()
        except OSError as error:
            _log.warning("%s; it is tried again", storage_fault(error))
            time.sleep(pause_s)
    return act()
