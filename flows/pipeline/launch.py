"""Opens what a render needs, once per run: the pool, the terminal, the flow."""

from dataclasses import dataclass
from itertools import islice

from flows.console.live import Tally, open_reporter
from flows.console.terminal import Terminal
from flows.rows.config import MAX_ROWS, RenderConfig
from flows.rows.plan import most_workers
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.row_store import RowStore
from flows.supervisor.channel import watched
from flows.supervisor.prefect_settings import EarlyPrefect

_FEW_S, _FEW_ROWS = 15.0, 16
"""Seconds of work that one process ends before Ray has started two workers and they have: on two
cores `python -m tests.bench.start` saw the first UNet call after 6 s without Ray, and 13 s with."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What Prefect's pages say of a run; `report` is where its report will be, if it gets one."""

    name: str
    tags: tuple[str, ...] = ()
    report: str | None = None
    preset: str = ""


def launch(
    labels: Labels,
    config: RenderConfig,
    store: RowStore,
    journal: Journal,
    leases: Leases,
    terminal: Terminal,
    prefect: EarlyPrefect,
) -> None:
    """Render the planned rows; store and journal take what becomes of each as it is known."""
    terminal.say("starting Prefect and the workers")
    prefect.start()
    from cluster.video.pools import open_pool
    from flows.pipeline.runs import ManifestRun

    most = most_workers_of(store, config)
    tally = Tally.of(row.plan for row in store.planned())
    with open_pool(config.cluster, config.models, most=most, watch=watched) as pool:
        prefect.wait()
        # Now: of two threads that import one package, one may find half of it.
        from prefect import tags
        from prefect.settings import temporary_settings

        from flows.pipeline.prefect_flows import render_manifest

        with (
            open_reporter(terminal, tally, pool) as reporter,
            tags(*labels.tags),
            temporary_settings(prefect.settings()),
        ):
            run = ManifestRun(config, pool, reporter, store, journal, leases, labels.report)
            run.preset = labels.preset
            render_manifest(labels.name, run)


def most_workers_of(store: RowStore, config: RenderConfig) -> int:
    """Count the workers that have something to do; 1 for less work than starting Ray takes."""
    costs = [row.planned_worker_s for row in islice(store.planned(), _FEW_ROWS + 1)]
    is_little = len(costs) <= _FEW_ROWS and None not in costs
    if is_little and sum(cost or 0 for cost in costs) < _FEW_S:
        return 1
    return most_workers(
        (row.plan for row in store.planned()),
        segment_frames=config.segment_frames,
        rows_in_flight=config.rows_in_flight or MAX_ROWS,
    )
