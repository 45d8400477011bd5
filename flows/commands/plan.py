"""`sonic plan`: what a manifest will take, before anything of it is rendered."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice

from rich.table import Table

from flows.console.terminal import Terminal
from flows.console.units import clock, hours, size_in_words
from flows.pipeline.run import EXIT_DONE, EXIT_SOME_FAILED, RunRequest, config_of
from flows.planning.calibration import load_calibration
from flows.planning.cards import card_of
from flows.planning.checking import check, say_problems, sorted_into, weights_of
from flows.planning.estimate import STAGES, RowEstimate, RunEstimate
from flows.planning.estimator import Estimator
from flows.planning.forecast import forecast
from flows.planning.imagined import Imagined
from flows.rows.config import RenderConfig
from flows.rows.manifest import open_manifest
from flows.rows.plan import work_in_words
from flows.rows.planned import FilmTiming, PlannedRow
from flows.state.row_store import RowStore
from sonic_ops.core.errors import ConfigError

SHOWN = 50
"""Rows that are shown one by one; all of them are in the JSON."""

HOUR_S = 3600.0


def plan(
    request: RunRequest,
    terminal: Terminal,
    *,
    workers: int | None = None,
    price: float | None = None,
    calibration: str | None = None,
    gpu: str | None = None,
    imagined: Imagined | None = None,
) -> int:
    """Say what rows will take; 0 if all of them can be rendered, else 1.

    They are those of the manifest, or imagined ones. `price` is that of an hour of a worker; `gpu`
    names the card of a machine that is not this one. Raises ManifestError and ConfigError.
    """
    config, store = config_of(request), RowStore()
    if gpu is None:
        estimator = Estimator(
            config, load_calibration(config, calibration, forecast), is_here=imagined is None
        )
    else:
        card, models = card_of(gpu), config.models.model_copy(update={"device": "cuda"})
        config = config.model_copy(update={"models": models})
        estimator = Estimator(config, forecast(config, card), is_here=False)
    if imagined is not None:
        checked = sorted_into(store, imagined.rows(config), estimator, terminal)
    else:
        with open_manifest(request.manifest) as manifest:
            known = _weights_if_here(config, terminal)
            checked = check(
                manifest,
                request.output_folder,
                estimator,
                store,
                terminal,
                selection=request.selection,
                weights_sha256=known,
            )
    say_problems(checked, estimator, store, terminal)
    num_workers = workers or estimator.num_workers(store)
    if terminal.form == "json-lines":
        for row in store.planned():
            terminal.emit("row", **_row_facts(row, estimator.row(row), price))
        terminal.emit("total", **_total_facts(checked.estimate, estimator, num_workers, price))
    elif checked.num_planned:
        terminal.console.print(_table(store, estimator, price, checked.num_planned))
        terminal.say(work_in_words(row.plan for row in store.planned()))
        for line in islice(_films(store), SHOWN):
            terminal.say(line)
        for line in _total_lines(checked.estimate, estimator, num_workers, price):
            terminal.say(line)
    else:
        terminal.say("nothing to render")
    return EXIT_SOME_FAILED if checked.num_bad or checked.num_unfit else EXIT_DONE


def _weights_if_here(config: RenderConfig, terminal: Terminal) -> str:
    """Hash the weights; nothing is known to be finished where they are not."""
    try:
        return weights_of(config)
    except ConfigError:
        terminal.say("there are no weights here, so every row counts as not rendered yet")
        return ""


def _table(store: RowStore, estimator: Estimator, price: float | None, num_rows: int) -> Table:
    """Make the table of estimates, one line per row shown."""
    names = ["row", "seconds", "frames", "windows", "UNet calls", "worker time", "memory"]
    table = Table(*names, *["price"] * (price is not None), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in islice(store.planned(), SHOWN):
        estimate, plan = estimator.row(row), row.plan
        cells = [f"{plan.num_frames:,}", f"{plan.num_windows:,}", f"{plan.num_unet_calls:,}"]
        cells += [clock(estimate.worker_s), size_in_words(estimate.peak_bytes)]
        cells += [] if price is None else [f"{price * estimate.worker_s / HOUR_S:.2f}"]
        table.add_row(row.row.id, f"{plan.video_s:,.1f}", *cells)
    if num_rows > SHOWN:
        table.add_row(f"and {num_rows - SHOWN:,} more")
    return table


def _films(store: RowStore) -> Iterator[str]:
    """Say of each film that is dubbed how many frames and shots it has, as far as was looked.

    The row counts those with a face.
    """
    for row in store.planned():
        if (film := row.film) is not None:
            shots = "shot" if film.num_shots == 1 else "shots"
            yield (
                f"{row.row.id}: a film of {film.num_frames:,} frames, with a face in about "
                f"{film.faces:.0%} of them, and {film.num_shots} {shots} or more, "
                f"{film.num_face_shots} with a face"
            )


def _total_lines(
    run: RunEstimate, estimator: Estimator, num_workers: int, price: float | None
) -> list[str]:
    """Summarise the cost of all rows."""
    shares = ", ".join(
        f"{stage} {run.stages_s[stage] / max(run.worker_s, 1e-9):.0%}" for stage in STAGES
    )
    walls = [
        f"{clock(run.wall_s(number, estimator.start_s(number)))} on {number}"
        for number in sorted({1, num_workers, 2 * num_workers})
    ]
    memory = ", ".join(f"{stage} {size_in_words(run.peak_bytes[stage])}" for stage in STAGES)
    lines = [
        f"work: {hours(run.worker_s)} of a worker ({shares})",
        f"wall time: {', '.join([f'{walls[0]} worker', *walls[1:]])}",
        f"memory of a worker: {memory}",
        f"disk: {size_in_words(run.output_bytes)} of videos, and up to "
        f"{size_in_words(run.work_bytes(_rows_in_flight(estimator, num_workers)))} of work",
    ]
    if price is not None:
        held_s = num_workers * run.wall_s(num_workers, estimator.start_s(num_workers))
        lines.append(
            f"price: {price * run.worker_s / HOUR_S:.2f} for the work, "
            f"{price * held_s / HOUR_S:.2f} for {num_workers} workers from the start to the end"
        )
    return [*lines, _source(estimator)]


def _source(estimator: Estimator) -> str:
    calibration = estimator.calibration
    if calibration.is_measured:
        return f"by a calibration {calibration.source} on {calibration.machine}"
    if calibration.spread > 1:
        share = f"{1 / calibration.spread:g} to {calibration.spread:g}"
        return (
            f"this is {calibration.source}; expect {share} times these times. By the rates of "
            f"{calibration.machine}. `sonic doctor --calibrate` measures"
        )
    return "this is a rough guess, right to a factor of some: `sonic doctor --calibrate` measures"


def _rows_in_flight(estimator: Estimator, num_workers: int) -> int:
    return estimator.config.num_rows_in_flight(num_workers)


def _row_facts(row: PlannedRow, estimate: RowEstimate, price: float | None) -> dict[str, object]:
    facts = {"id": row.row.id, "output": row.row.output} | asdict(row.plan)
    facts |= {"num_unet_calls": row.plan.num_unet_calls, "worker_s": estimate.worker_s}
    facts |= asdict(estimate) | ({} if row.film is None else {"film": _film_facts(row.film)})
    return facts | ({} if price is None else {"price": price * estimate.worker_s / HOUR_S})


def _film_facts(film: FilmTiming) -> dict[str, object]:
    """Return the timing of a film; `sound_end_s` is the old name of `audio_end_s`."""
    return asdict(film) | {"sound_end_s": film.audio_end_s}


def _total_facts(
    run: RunEstimate, estimator: Estimator, num_workers: int, price: float | None
) -> dict[str, object]:
    wall_s = run.wall_s(num_workers, estimator.start_s(num_workers))
    held = {"price": price * num_workers * wall_s / HOUR_S} if price is not None else {}
    return {
        "num_rows": run.num_rows,
        "worker_s": run.worker_s,
        "driver_s": run.driver_s,
        "stages_s": run.stages_s,
        "num_workers": num_workers,
        "wall_s": wall_s,
        "memory_bytes": run.peak_bytes,
        "output_bytes": run.output_bytes,
        "work_bytes": run.work_bytes(_rows_in_flight(estimator, num_workers)),
        "is_measured": estimator.calibration.is_measured,
        "spread": estimator.calibration.spread,
        "machine": estimator.calibration.machine,
        **held,
    }
