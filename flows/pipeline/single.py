"""One video from an image and a recording: the same tasks as a row, without Prefect and Ray.

What a manifest promises holds here too: inputs are checked first, a file of the user is never
replaced, the finished video is checked and marked, and its receipt lets another run find it.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePath
from threading import Event

from cluster.pool.prefork import prepare
from flows import urls
from flows.console.terminal import Terminal
from flows.rows.config import RenderConfig
from flows.rows.manifest import Line
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow, parse_row
from flows.rows.templates import literal
from flows.state.results import FINISHED, RowResult, sentence_of
from flows.supervisor.channel import is_only_for_results, notify_supervisor
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import exists
from sonic_ops.core.weights import weights_notice

EXIT_DONE, EXIT_FAILED, EXIT_WRONG = 0, 1, 2
DENOISE_FRAMES = 20
"""Frames of a segment to denoise: two processors share a video of three seconds."""

WORKER = "cluster.video.worker"
ENDING = ".mp4"


def render_video(
    cells: Mapping[str, str | None],
    config: RenderConfig,
    terminal: Terminal,
    stopped: Event | None = None,
) -> int:
    """Render the row with these cells; 0 if it is finished, 1 if it failed, 2 if it is wrong.

    Paths are absolute. Raises ConfigError before anything is computed, and KeyboardInterrupt
    once another thread has set `stopped`.
    """
    if is_only_for_results():
        return EXIT_FAILED
    output = str(cells["output"])
    name = urls.printable(urls.name_of(output))
    if not exists(output) and _has_processes(config):  # imports go on while inputs are checked
        prepare(WORKER)
    outcome = _checked(cells, config)
    if isinstance(outcome, BadRow):
        for error in outcome.errors:
            terminal.warn(f"{sentence_of(error)}. {error.remedy}")
        return EXIT_WRONG
    if isinstance(outcome, RowResult):
        terminal.say(f"nothing to do: {outcome.output} is finished")
        return EXIT_DONE
    for note in outcome.notes:
        terminal.say(f"{name}: {note}")
    result = _rendered(outcome, config, terminal, stopped or Event())
    if result.status in FINISHED:
        terminal.say(f"video: {urls.printable(output)}")
    return EXIT_DONE if result.status in FINISHED else EXIT_FAILED


def output_of(audio: str, given: str | None, here: str) -> str:
    """Find where a video goes: the named file, or one in a folder, called after the audio."""
    name = f"{PurePath(urls.name_of(audio)).stem}{ENDING}"
    if given is None:
        return urls.join(here, name)
    url = urls.resolve(given, here)
    if given.endswith("/") or urls.is_folder(url):
        return urls.join(url, name)
    return url


def _has_processes(config: RenderConfig) -> bool:
    return config.models.device == "cpu" and config.cluster.workers != 0


def _checked(
    cells: Mapping[str, str | None], config: RenderConfig
) -> PlannedRow | RowResult | BadRow:
    from flows.planning.checking import weights_of
    from flows.preflight.checks import RowChecker
    from flows.preflight.claims import Claims

    row, claims = parse_row(_line(cells), str(Path.cwd()), None), Claims()
    claims.take(row)
    claims.close()
    return RowChecker(config, weights_of(config), claims).check(row)


def _line(cells: Mapping[str, str | None]) -> Line:
    return Line(1, {**cells, "output": literal(str(cells["output"]))})


def _rendered(
    planned: PlannedRow, config: RenderConfig, terminal: Terminal, stopped: Event
) -> RowResult:
    """Render a row that has passed its checks."""
    if notice := config.models.notice or weights_notice(config.models.weights):
        terminal.say(notice)
    from cluster.storage.artifacts import retry_on_corrupt
    from cluster.video.pools import open_pool_here
    from flows.console.live import Tally, open_reporter
    from flows.pipeline.rendering import here, render, result_of
    from flows.pipeline.runs import RowRun, Run
    from flows.rows.plan import most_workers
    from flows.state.leases import open_leases

    def attempt(row: RowRun) -> object:
        try:
            return retry_on_corrupt(partial(render, row, here))
        except ConfigError:
            raise
        except Exception as error:
            return error

    notify_supervisor(planned=1)
    most = most_workers([planned.plan], segment_frames=DENOISE_FRAMES, rows_in_flight=1)
    with (
        open_leases(config.lease_s) as leases,
        open_pool_here(config.cluster, config.models, most=most) as pool,
        open_reporter(terminal, Tally.of([planned.plan]), pool) as reporter,
    ):
        run = Run(config, pool, reporter, leases, DENOISE_FRAMES, stopped)
        result = result_of(run, planned, attempt)
    notify_supervisor(ended=result.id)
    if result.status == "locked":
        terminal.warn(f"{result.notes}. {result.remedy}")
    return result
