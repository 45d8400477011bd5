"""The preflight of a run, sorted: to render, finished, wrong, too large for this machine."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from flows.console.terminal import Terminal
from flows.console.units import clock, hours
from flows.planning.estimate import RunEstimate
from flows.planning.estimator import Estimator
from flows.preflight.checks import Outcome, left_out, preflight
from flows.preflight.outputs import require_own_tables
from flows.rows.config import RenderConfig
from flows.rows.fingerprint import weights_digest
from flows.rows.manifest import Manifest
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow, suspected_typos
from flows.rows.selection import Selection
from flows.state.results import (
    RowResult,
    measures_url,
    rejected,
    report_url,
    results_url,
    sentence_of,
)
from flows.state.row_store import RowStore
from sonic_ops.core.weights import weights_folder

CHECKED_S = 5.0
"""How often it is said how many rows have been checked."""

SAID = 100
"""Rows, and folders, that are named one by one; all are in the results."""


@dataclass(slots=True)
class Checked:
    """What the preflight has found: numbers, what the run will take, and the rows that are said.

    `unfit` are rows, by name, that this machine is too small for, with the reason; they are
    rendered all the same, since estimates err. `left_out` are the numbers of rows that are neither
    selected nor finished.
    """

    num_rows: int = 0
    num_planned: int = 0
    num_bad: int = 0
    num_unfit: int = 0
    bad: list[BadRow] = field(default_factory=list)
    unfit: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    an_output: str | None = None
    left_out: set[int] = field(default_factory=set)
    estimate: RunEstimate = field(default_factory=RunEstimate)


def check(
    manifest: Manifest,
    output_folder: str | None,
    estimator: Estimator,
    store: RowStore,
    terminal: Terminal,
    *,
    report: bool = True,
    selection: Selection | None = None,
    on_work: Callable[[], None] = lambda: None,
    weights_sha256: str | None = None,
) -> Checked:
    """Run the preflight of a manifest and sort its rows into the store.

    If the hash of the weights is not given, they are hashed. Raises ConfigError if its results, or
    with `report` its report, would replace other files.
    """
    results = results_url(manifest.url, output_folder)
    tables = [results, report_url(results), measures_url(results)][: 3 if report else 1]
    require_own_tables(*tables, overwrite=estimator.config.overwrite)
    for note in manifest.notes:
        terminal.say(note)
    for name, likely in suspected_typos(next(manifest.lines()).cells):
        terminal.say(f"the column {name!r} is unknown; did you mean {likely!r}?")
    outcomes = preflight(
        manifest,
        estimator.config,
        weights_sha256=weights_of(estimator.config) if weights_sha256 is None else weights_sha256,
        output_folder=output_folder,
        selection=selection,
        on_work=on_work,
    )
    checked = sorted_into(store, outcomes, estimator, terminal, selection)
    if selection is not None:
        selection.require_found(str(line.cells.get("id")) for line in manifest.lines())
    return checked


def weights_of(config: RenderConfig) -> str:
    """Hash the weights of a preset. Raises ConfigError if there are none."""
    return weights_digest(weights_folder(config.models.weights))


def sorted_into(
    store: RowStore,
    outcomes: Iterable[Outcome],
    estimator: Estimator,
    terminal: Terminal,
    selection: Selection | None = None,
) -> Checked:
    """Note what is to be done about every row; it is said how far this is."""
    checked, said_s, selection = Checked(), time.monotonic(), selection or Selection()
    for outcome in outcomes:
        checked.num_rows += 1
        if time.monotonic() - said_s >= CHECKED_S:
            said_s = time.monotonic()
            terminal.say(f"{checked.num_rows:,} rows checked")
        match outcome:
            case PlannedRow() if not selection.take():
                _leave_out(left_out(outcome.row, outcome.fingerprint), checked, store)
            case RowResult(status="waiting"):
                _leave_out(outcome, checked, store)
            case PlannedRow():
                _plan(outcome, checked, estimator, store)
            case RowResult():
                store.record(outcome)
                checked.an_output = checked.an_output or outcome.output
            case BadRow():
                store.record(rejected(outcome))
                checked.num_bad += 1
                checked.bad += [outcome] if len(checked.bad) < SAID else []
    return checked


def _leave_out(result: RowResult, checked: Checked, store: RowStore) -> None:
    """Note a row that is not selected."""
    store.record(result)
    checked.left_out.add(result.row)


def _plan(planned: PlannedRow, checked: Checked, estimator: Estimator, store: RowStore) -> None:
    """Note a row to render, what it will take, and whether it fits."""
    estimate = estimator.row(planned)
    store.plan(replace(planned, planned_worker_s=estimate.worker_s))
    checked.num_planned += 1
    checked.an_output = checked.an_output or planned.row.output
    checked.estimate.add(estimate)
    if planned.notes and len(checked.notes) < SAID:
        checked.notes.append((planned.row.name, "; ".join(planned.notes)))
    if problems := [*estimator.problems(planned, estimate)]:
        checked.num_unfit += 1
        named = [(planned.row.name, problem) for problem in problems]
        checked.unfit += named if len(checked.unfit) < SAID else []


def say_problems(
    checked: Checked, estimator: Estimator, store: RowStore, terminal: Terminal
) -> None:
    """Print all errors of all rows, and which rows do not fit this machine."""
    say_bad(checked, terminal)
    if checked.num_unfit:
        terminal.warn(f"{checked.num_unfit} rows will hardly fit into this machine:")
    for name, problem in checked.unfit:
        terminal.warn(f"  {name}: {problem}")
    num_workers = estimator.num_workers(store)
    for problem in estimator.run_problems(checked.estimate, checked.an_output, num_workers):
        terminal.warn(problem)


def say_bad(checked: Checked, terminal: Terminal) -> None:
    """Print the errors of the rows, one sentence each, up to a limit."""
    if checked.num_bad:
        terminal.warn(f"{checked.num_bad} of {checked.num_rows} rows cannot be rendered:")
    for row in checked.bad:
        for error in row.errors:
            terminal.warn(f"  {row.name}, {sentence_of(error)}. {error.remedy}")
    if checked.num_bad > len(checked.bad):
        more = checked.num_bad - len(checked.bad)
        terminal.warn(f"  and {more} more, all of them in the results")


def say_estimate(
    checked: Checked, estimator: Estimator, store: RowStore, terminal: Terminal
) -> None:
    """Print the estimated cost, but only if it comes from a measured calibration."""
    if estimator.calibration.is_measured:
        num_workers = estimator.num_workers(store)
        wall_s = checked.estimate.wall_s(num_workers, estimator.start_s(num_workers))
        terminal.say(
            f"planned: {hours(checked.estimate.worker_s)} of a worker, {clock(wall_s)} on "
            f"{num_workers} worker{'s' * (num_workers != 1)}"
        )


def print_estimate_error(estimator: Estimator, store: RowStore, terminal: Terminal) -> None:
    """Print how far the plan was off, over the rows that this run rendered alone."""
    planned_s = worker_s = 0.0
    for result in store.results():
        if result.status == "done" and result.planned_worker_s and result.worker_s is not None:
            planned_s += result.planned_worker_s
            worker_s += result.worker_s
    if planned_s:
        kind = "plan" if estimator.calibration.is_measured else "rough guess"
        terminal.say(
            f"taken: {hours(worker_s)} of a worker, {worker_s / planned_s - 1:+.0%} against the "
            f"{kind} of {hours(planned_s)}"
        )
