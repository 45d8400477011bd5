"""One run of a manifest: check all rows, say what is wrong, render the rest, write the results."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from flows import addresses
from flows.config import RenderConfig, load_preset
from flows.fingerprint import weights_digest
from flows.journal import Journal, journaled
from flows.leases import Leases, open_leases
from flows.ledger import Ledger
from flows.manifest import Manifest, open_manifest
from flows.plan import work_in_words
from flows.preflight import PlannedRow, preflight
from flows.results import (
    FINISHED,
    ResultLine,
    RowResult,
    read_results,
    rejected,
    results_address,
    sentence_of,
    write_results,
)
from flows.rows import BadRow, passed_through
from flows.terminal import Terminal
from sonic_ops.errors import SonicError
from sonic_ops.files import exists, storage_fault, weights_folder, weights_notice

EXIT_DONE, EXIT_SOME_FAILED = 0, 1

CHECKED_S = 5.0
"""How often it is said how many rows have been checked."""

SAID = 100
"""Bad rows, and folders, that are named one by one; all are in the results."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked for; addresses are absolute. `work` speaks before the preset."""

    manifest: str
    preset: str
    output_folder: str | None
    work: str | None = None
    report: bool = False


@dataclass(slots=True)
class Checked:
    """What the preflight has found: numbers, and the bad rows that are said."""

    num_rows: int = 0
    num_planned: int = 0
    num_bad: int = 0
    bad: list[BadRow] = field(default_factory=list)
    an_output: str | None = None


def run(request: RunRequest, terminal: Terminal) -> int:
    """Render a manifest; 0 if every row is finished, 1 if some are not.

    Raises ManifestError and ConfigError before anything is computed.
    """
    config = config_of(request)
    with open_manifest(request.manifest) as manifest, open_leases(config.lease_s) as leases:
        return _run(request, config, manifest, leases, terminal)


def validate(request: RunRequest, terminal: Terminal) -> int:
    """Only check the rows of a manifest; 0 if all of them can be rendered or are, 1 if not."""
    with open_manifest(request.manifest) as manifest:
        ledger = Ledger()
        checked = check(request, config_of(request), manifest, ledger, terminal)
    say_bad_rows(checked, terminal)
    num_finished = checked.num_rows - checked.num_planned - checked.num_bad
    terminal.say(
        f"{checked.num_rows:,} rows: {checked.num_planned:,} to render, {num_finished:,} finished, "
        f"{checked.num_bad:,} wrong"
    )
    return EXIT_SOME_FAILED if checked.num_bad else EXIT_DONE


def config_of(request: RunRequest) -> RenderConfig:
    """The preset of a request, and what the request says instead. Raises ConfigError."""
    config = load_preset(request.preset)
    return config if request.work is None else config.model_copy(update={"work": request.work})


def _run(
    request: RunRequest,
    config: RenderConfig,
    manifest: Manifest,
    leases: Leases,
    terminal: Terminal,
) -> int:
    ledger = Ledger()
    checked = check(request, config, manifest, ledger, terminal)
    target = _results_target(request, checked)
    say_bad_rows(checked, terminal)
    journal = Journal(target, leases)
    try:
        if checked.num_planned:
            terminal.say(work_in_words(row.plan for row in ledger.planned()))
            _render(request, config, ledger, journal, leases, terminal)
    finally:
        counts = _finish(target, manifest, ledger, journal)
    say_summary(counts, ledger, target, terminal)
    if request.report:
        _report(target, counts, terminal)
    return EXIT_DONE if FINISHED.issuperset(counts) else EXIT_SOME_FAILED


def _report(target: str, counts: Counter[str], terminal: Terminal) -> None:
    """Write the report, unless nothing has happened since the last one."""
    # What measures videos takes seconds to load.
    from flows.report.writing import report_address, write_report

    try:
        if counts["skipped"] != counts.total() or not exists(report_address(target)):
            terminal.say(f"report: {write_report(target, terminal.say)}")
    except (SonicError, OSError) as error:
        terminal.warn(f"there is no report: {error}")


def check(
    request: RunRequest,
    config: RenderConfig,
    manifest: Manifest,
    ledger: Ledger,
    terminal: Terminal,
) -> Checked:
    """The preflight of a request, sorted into the ledger."""
    checked, said_s = Checked(), time.monotonic()
    for outcome in preflight(
        manifest,
        config,
        weights_sha256=weights_digest(weights_folder(config.models.weights)),
        output_folder=request.output_folder,
    ):
        checked.num_rows += 1
        if time.monotonic() - said_s >= CHECKED_S:
            said_s = time.monotonic()
            terminal.say(f"{checked.num_rows:,} rows checked")
        match outcome:
            case PlannedRow():
                ledger.plan(outcome)
                checked.num_planned += 1
                checked.an_output = checked.an_output or outcome.row.output
            case RowResult():
                ledger.record(outcome)
                checked.an_output = checked.an_output or outcome.output
            case BadRow():
                ledger.record(rejected(outcome))
                checked.num_bad += 1
                checked.bad += [outcome] if len(checked.bad) < SAID else []
    return checked


def _render(
    request: RunRequest,
    config: RenderConfig,
    ledger: Ledger,
    journal: Journal,
    leases: Leases,
    terminal: Terminal,
) -> None:
    if notice := config.models.notice or weights_notice(config.models.weights):
        terminal.say(notice)
    # Prefect, torch and Ray are loaded here, by a run that has something to render.
    from flows.launch import launch

    launch(request.manifest, config, ledger, journal, leases, terminal)


def _finish(target: str, manifest: Manifest, ledger: Ledger, journal: Journal) -> Counter[str]:
    """Write the table, with what other runs say of rows that this one did not end."""
    counts: Counter[str] = Counter()

    def lines() -> Iterator[ResultLine]:
        counts.clear()
        for result, line in zip(ledger.results(), manifest.lines(), strict=True):
            counts[result.status] += 1
            yield result, passed_through(line)

    try:
        with journal.alone():
            ended = journal.ended()
            # Journals are newer than the table, and what is said last counts.
            for result in chain(read_results(target), journaled(target)):
                if result.status in ("done", "failed"):
                    ledger.remember(result)
            write_results(target, lines)
            journal.close(ended)
    except OSError as error:
        raise storage_fault(error) from error
    return counts


def say_bad_rows(checked: Checked, terminal: Terminal) -> None:
    """All that is wrong with all rows, a sentence each; the rest of very many is in the results."""
    if checked.num_bad:
        terminal.warn(f"{checked.num_bad} of {checked.num_rows} rows cannot be rendered:")
    for row in checked.bad:
        for error in row.errors:
            terminal.warn(f"  row {row.name}, {sentence_of(error)}. {error.remedy}")
    if checked.num_bad > len(checked.bad):
        terminal.warn(
            f"  and {checked.num_bad - len(checked.bad)} more, all of them in the results"
        )


def say_summary(counts: Counter[str], ledger: Ledger, target: str, terminal: Terminal) -> None:
    """Where everything is, and how many rows came out how."""
    if counts["skipped"] == counts.total():
        terminal.say(f"nothing to do: all {counts.total()} rows are finished")
    for folder in _folders(ledger):
        terminal.say(f"videos: {folder}")
    terminal.say(f"results: {target}")
    if counts["skipped"] != counts.total():
        shown = ("done", "skipped", "failed", "elsewhere", "waiting")
        terminal.say(", ".join(f"{counts[status]} {status}" for status in shown if counts[status]))
    if counts["elsewhere"]:
        terminal.say("another command is at work on some rows; run this again when it has ended")


def _folders(ledger: Ledger) -> Sequence[str]:
    """The folders of finished videos, as many as are said."""
    folders: dict[str, None] = {}
    for result in ledger.results():
        if result.status in FINISHED and result.output and len(folders) < SAID:
            folders[addresses.folder_of(result.output)] = None
    return sorted(folders)


def _results_target(request: RunRequest, checked: Checked) -> str:
    """Beside the manifest if that can be written, else beside the first output."""
    target = results_address(request.manifest, request.output_folder)
    try:
        addresses.probe_folder(addresses.folder_of(target))
    except OSError:
        output = checked.an_output
        folder = addresses.folder_of(output) if output else str(Path.cwd())
        return results_address(request.manifest, folder)
    return target
