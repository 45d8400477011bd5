"""One run of a manifest: check all rows, say what is wrong, render the rest, write the results."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from flows import addresses
from flows.config import RenderConfig, load_preset
from flows.fingerprint import weights_digest
from flows.plan import work_in_words
from flows.preflight import PlannedRow, Preflight, preflight
from flows.progress import say_to
from flows.results import RowResult, rejected, results_address, sentence_of, write_results
from flows.rows import BadRow
from sonic_ops.files import weights_folder

EXIT_DONE, EXIT_SOME_FAILED = 0, 1


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the user asked for; addresses are absolute."""

    manifest: str
    preset: str
    output_folder: str | None


def run(request: RunRequest, console: Console) -> int:
    """Render a manifest; 0 if every row is finished, 1 if some are not.

    Raises ManifestError and ConfigError before anything is computed.
    """
    say = say_to(console)
    config = load_preset(request.preset)
    checked = check(request, config)
    results = [*checked.finished, *map(rejected, checked.bad)]
    target = _results_target(request, checked)
    say_bad_rows(checked.bad, checked.num_rows, say)
    try:
        if checked.planned:
            say(work_in_words(planned.plan for planned in checked.planned))
            _render(request, config, checked.planned, results, console)
    finally:
        write_results(target, results)
    say_summary(results, target, say)
    return EXIT_SOME_FAILED if any(r.status == "failed" for r in results) else EXIT_DONE


def check(request: RunRequest, config: RenderConfig) -> Preflight:
    """The preflight of a request."""
    return preflight(
        request.manifest,
        config,
        weights_sha256=weights_digest(weights_folder(config.models.weights)),
        output_folder=request.output_folder,
    )


def _render(
    request: RunRequest,
    config: RenderConfig,
    planned: Sequence[PlannedRow],
    results: list[RowResult],
    console: Console,
) -> None:
    if config.models.notice:
        say_to(console)(config.models.notice)
    # Prefect, torch and Ray are loaded here, by a run that has something to render.
    from flows.launch import launch

    launch(request.manifest, config, planned, results, console)


def say_bad_rows(bad: Sequence[BadRow], num_rows: int, say: Callable[[str], None]) -> None:
    """All that is wrong with all rows, a sentence each."""
    if bad:
        say(f"{len(bad)} of {num_rows} rows cannot be rendered:")
    for row in bad:
        for error in row.errors:
            say(f"  row {row.name}, {sentence_of(error)}. {error.remedy}")


def say_summary(results: Sequence[RowResult], target: str, say: Callable[[str], None]) -> None:
    """Where everything is, and how many rows came out how."""
    counts: Counter[str] = Counter(result.status for result in results)
    if counts["skipped"] == len(results):
        say(f"nothing to do: all {len(results)} rows are finished")
    folders = {addresses.folder_of(r.output) for r in results if r.status != "failed" and r.output}
    for folder in sorted(folders):
        say(f"videos: {folder}")
    say(f"results: {target}")
    if counts["skipped"] != len(results):
        shown = ("done", "skipped", "failed")
        say(", ".join(f"{counts[status]} {status}" for status in shown if counts[status]))


def _results_target(request: RunRequest, checked: Preflight) -> str:
    """Beside the manifest if that can be written, else beside the first output."""
    target = results_address(request.manifest, request.output_folder)
    try:
        addresses.probe_folder(addresses.folder_of(target))
    except OSError:
        outputs = [planned.row.output for planned in checked.planned]
        outputs += [result.output for result in checked.finished if result.output]
        folder = addresses.folder_of(outputs[0]) if outputs else str(Path.cwd())
        return results_address(request.manifest, folder)
    return target
