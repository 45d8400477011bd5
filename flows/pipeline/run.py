"""One run of a manifest: check all rows, say what is wrong, render the rest, write the results.

Previews of the rows, if they are wanted, are rendered before them in the same way.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias

from flows import urls
from flows.console.progress import say_verdicts, verdicts_in_words
from flows.console.terminal import Terminal
from flows.planning.calibration import load_calibration
from flows.planning.checking import (
    SAID,
    Checked,
    check,
    print_estimate_error,
    say_bad,
    say_estimate,
    say_problems,
    sorted_into,
    weights_of,
)
from flows.planning.estimator import Estimator
from flows.preflight.outputs import require_own_tables
from flows.preflight.previews import check_previews
from flows.rows.config import RenderConfig, load_config
from flows.rows.manifest import Manifest, open_manifest
from flows.rows.plan import work_in_words
from flows.rows.rows import passed_through
from flows.rows.selection import NOT_SELECTED, Selection
from flows.state.journal import Journal, failed_rows, journaled
from flows.state.leases import Leases, open_leases
from flows.state.results import (
    FINISHED,
    PREVIEWS_ENDING,
    ResultLine,
    RowResult,
    read_results,
    report_url,
    results_url,
    write_results,
)
from flows.state.row_store import RowStore
from flows.supervisor.channel import notify_supervisor
from flows.supervisor.prefect_settings import EarlyPrefect
from sonic_ops.core.errors import SonicError
from sonic_ops.core.files import exists, reason_of, storage_fault
from sonic_ops.core.weights import weights_notice

EXIT_DONE, EXIT_SOME_FAILED = 0, 1

Previews: TypeAlias = Literal["none", "first", "only"]
"""Whether there are previews of rows: none, before the rows, or nothing else."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Describe what the user asked for; paths and URLs are absolute.

    `work`, `overwrite` and `live` speak before the preset.

    `confine`: no output may be outside the output folder, or that of the manifest.

    `only_results`: render nothing, only write down what became of the rows.

    `ids`, `limit` and `only_failed` select rows, `settings` change keys of the preset.
    """

    manifest: str
    preset: str
    output_folder: str | None
    work: str | None = None
    report: bool = False
    previews: Previews = "none"
    only_results: bool = False
    overwrite: bool = False
    confine: bool = False
    live: bool = False
    ids: tuple[str, ...] = ()
    limit: int | None = None
    only_failed: bool = False
    settings: tuple[str, ...] = ()

    @property
    def selection(self) -> Selection | None:
        """Return the rows that are asked for; None for all of them."""
        if not (self.ids or self.limit or self.only_failed):
            return None
        failed = failed_rows(results_url(self.manifest, self.output_folder))
        ids = frozenset(self.ids) or None
        return Selection(ids, self.limit, failed if self.only_failed else None)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a manifest, or their previews, and where their results go."""

    manifest: Manifest
    estimator: Estimator
    store: RowStore
    checked: Checked
    target: str
    prefect: EarlyPrefect
    are_previews: bool = False

    @property
    def name(self) -> str:
        """Return how Prefect's pages call them."""
        return urls.printable(self.manifest.url) + " (previews)" * self.are_previews


def run(
    request: RunRequest, terminal: Terminal, on_results: Callable[[str], None] | None = None
) -> int:
    """Render a manifest; 0 if every row is finished, 1 if some are not.

    `on_results` is told where the results are, once they and the report are written.
    Raises ManifestError and ConfigError before anything is computed.
    """
    with _prepared(request, terminal) as (rows, leases):
        status = _run(request, rows, leases, terminal)
        if on_results and request.previews != "only":
            on_results(rows.target)
        return status


def results_of(request: RunRequest, terminal: Terminal) -> list[RowResult]:
    """Render a manifest and return the result of every row. Raises as `run`."""
    with _prepared(request, terminal) as (rows, leases):
        _run(request, rows, leases, terminal)
        return list(rows.store.results())


@contextmanager
def _prepared(request: RunRequest, terminal: Terminal) -> Iterator[tuple[_Rows, Leases]]:
    """Check all rows, and say what is wrong with them."""
    config = config_of(request)
    with (
        open_manifest(request.manifest) as manifest,
        open_leases(config.lease_s) as leases,
        closing(EarlyPrefect()) as prefect,
    ):
        store, estimator = RowStore(), Estimator(config, load_calibration(config))
        folder, report = request.output_folder, request.report
        checked = check(
            manifest,
            folder,
            estimator,
            store,
            terminal,
            report=report,
            selection=request.selection,
        )
        target = _results_target(request, checked)
        require_own_tables(target, overwrite=config.overwrite)
        say_problems(checked, estimator, store, terminal)
        yield _Rows(manifest, estimator, store, checked, target, prefect), leases


def validate(request: RunRequest, terminal: Terminal) -> int:
    """Only check the rows of a manifest; 0 if all of them can be rendered or are, 1 if not."""
    with open_manifest(request.manifest) as manifest:
        store = RowStore()
        config = config_of(request)
        estimator = Estimator(config, load_calibration(config))
        checked = check(
            manifest,
            request.output_folder,
            estimator,
            store,
            terminal,
            selection=request.selection,
        )
    say_problems(checked, estimator, store, terminal)
    for name, notes in checked.notes:
        terminal.say(f"{name}: {notes}")
    num_left_out = len(checked.left_out)
    num_finished = checked.num_rows - checked.num_planned - checked.num_bad - num_left_out
    terminal.say(
        f"{checked.num_rows:,} rows: {checked.num_planned:,} to render, {num_finished:,} finished, "
        f"{checked.num_bad:,} wrong" + (f", {num_left_out:,} {NOT_SELECTED}" * bool(num_left_out))
    )
    return EXIT_SOME_FAILED if checked.num_bad or checked.num_unfit else EXIT_DONE


def config_of(request: RunRequest) -> RenderConfig:
    """Load the preset of a request with the overrides of the request. Raises ConfigError."""
    config = load_config(
        request.preset,
        request.settings,
        work=request.work,
        overwrite=request.overwrite,
        live=request.live,
    )
    if not request.confine or config.confine_to is not None:
        return config
    root = request.output_folder or urls.folder_of(request.manifest)
    return config.model_copy(update={"confine_to": root})


def _run(request: RunRequest, rows: _Rows, leases: Leases, terminal: Terminal) -> int:
    is_well = request.previews == "none" or _run_previews(request, rows, leases, terminal)
    if request.previews == "only":
        return EXIT_DONE if is_well and not rows.checked.num_bad else EXIT_SOME_FAILED
    counts = _run_rows(request, rows, leases, terminal)
    return EXIT_DONE if {*FINISHED, NOT_SELECTED}.issuperset(counts) else EXIT_SOME_FAILED


def _run_previews(request: RunRequest, rows: _Rows, leases: Leases, terminal: Terminal) -> bool:
    """Render a preview of every row to render; whether there is one of each."""
    if not rows.checked.num_planned:
        terminal.say("no previews: no row is left to render")
        return True
    config, store = rows.estimator.config.for_previews(), RowStore()
    estimator = Estimator(config, rows.estimator.calibration)
    outcomes = check_previews(rows.store, config, weights_of(config))
    checked = sorted_into(store, outcomes, estimator, terminal)
    say_bad(checked, terminal)
    folder = urls.folder_of(rows.target)
    target = results_url(request.manifest, folder, ending=PREVIEWS_ENDING)
    require_own_tables(target, overwrite=config.overwrite)
    previews = replace(
        rows, estimator=estimator, store=store, checked=checked, target=target, are_previews=True
    )
    return FINISHED.issuperset(_run_rows(request, previews, leases, terminal))


def _run_rows(request: RunRequest, rows: _Rows, leases: Leases, terminal: Terminal) -> Counter[str]:
    """Render what is planned and write the results; how many rows came out how."""
    store, estimator, target = rows.store, rows.estimator, rows.target
    journal = Journal(target, leases)
    notify_supervisor(planned=rows.checked.num_planned)
    try:
        if rows.checked.num_planned and not request.only_results:
            for earlier in chain(read_results(target), journaled(target)):
                if earlier.status in FINISHED:
                    store.note_finished(earlier)
            said = work_in_words(row.plan for row in store.planned())
            terminal.say("previews: " * rows.are_previews + said)
            say_estimate(rows.checked, estimator, store, terminal)
            _render(request, rows, journal, leases, terminal)
    finally:
        counts = _finish(rows, journal)
    say_summary(counts, rows, terminal)
    print_estimate_error(estimator, store, terminal)
    if request.report:
        _report(target, counts, terminal, overwrite=estimator.config.overwrite)
    return counts


def _report(target: str, counts: Counter[str], terminal: Terminal, *, overwrite: bool) -> None:
    """Write the report, unless nothing has happened since the last one."""
    # What measures videos takes seconds to load.
    from flows.report.writing import write_report

    try:
        if counts["skipped"] != counts.total() or not exists(report_url(target)):
            terminal.say(f"report: {write_report(target, terminal.say, overwrite=overwrite)}")
    except (SonicError, OSError) as error:
        terminal.warn(f"there is no report: {reason_of(error)}")


def _render(
    request: RunRequest, rows: _Rows, journal: Journal, leases: Leases, terminal: Terminal
) -> None:
    config = rows.estimator.config
    if notice := config.models.notice or weights_notice(config.models.weights):
        terminal.say(notice)
    # Prefect, torch and Ray are loaded here, by a run that has something to render.
    from flows.pipeline.launch import Labels, launch

    preset = urls.printable(request.preset)
    tags = (f"preset:{preset}", *["preview"] * rows.are_previews)
    report = report_url(rows.target) if request.report else None
    labels = Labels(rows.name, tags, report, preset)
    launch(labels, config, rows.store, journal, leases, terminal, rows.prefect)


def _finish(rows: _Rows, journal: Journal) -> Counter[str]:
    """Write the table, with what other runs say of rows that this one did not end."""
    counts: Counter[str] = Counter()
    store, target = rows.store, rows.target

    def lines() -> Iterator[ResultLine]:
        counts.clear()
        of_manifest = rows.manifest.lines()
        for result in store.results():
            is_left_out = result.row in rows.checked.left_out and result.status not in FINISHED
            counts[NOT_SELECTED if is_left_out else result.status] += 1
            line = next(line for line in of_manifest if line.number == result.row)
            yield result, passed_through(line)

    try:
        with journal.alone():
            ended = journal.ended()
            # Journals are newer than the table, and what is said last counts.
            for result in chain(read_results(target), journaled(target)):
                if result.status in ("done", "failed"):
                    store.remember(result)
            write_results(target, lines)
            journal.close(ended)
    except OSError as error:
        raise storage_fault(error) from error
    return counts


def say_summary(counts: Counter[str], rows: _Rows, terminal: Terminal) -> None:
    """Say where everything is, and how many rows came out how."""
    kind = "previews" if rows.are_previews else "videos"
    words = verdicts_in_words(rows.store.results())
    verdicts = f" ({kind}: {words})" if words else ""
    if counts["skipped"] == counts.total():
        all_rows = f"all {counts.total()} {'previews' if rows.are_previews else 'rows'}"
        terminal.say(f"nothing to do: {all_rows} are finished{verdicts}")
    for folder in _folders(rows.store):
        terminal.say(f"{kind}: {folder}")
    terminal.say(f"results: {rows.target}")
    if counts["skipped"] != counts.total():
        shown = ("done", "skipped", "failed", "locked", "waiting", NOT_SELECTED)
        said = ", ".join(f"{counts[status]} {status}" for status in shown if counts[status])
        terminal.say(f"{said}{verdicts}")
    # If nothing was rendered, the errors of the preflight still stand right above.
    named = {row.number for row in rows.checked.bad if not rows.checked.num_planned}
    say_verdicts(rows.store.results, terminal, named)
    if counts["locked"]:
        terminal.say("another command is at work on some rows; run this again when it has ended")


def _folders(store: RowStore) -> Sequence[str]:
    """Return the folders of finished videos, at most as many as a message names."""
    folders: dict[str, None] = {}
    for result in store.results():
        if result.status in FINISHED and result.output and len(folders) < SAID:
            folders[urls.folder_of(result.output)] = None
    return sorted(folders)


def _results_target(request: RunRequest, checked: Checked) -> str:
    """Beside the manifest if that can be written, else beside the first output."""
    target = results_url(request.manifest, request.output_folder)
    try:
        urls.probe_folder(urls.folder_of(target))
    except OSError:
        output = checked.an_output
        folder = urls.folder_of(output) if output else str(Path.cwd())
        return results_url(request.manifest, folder)
    return target
