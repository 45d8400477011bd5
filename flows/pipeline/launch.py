"""Opens what a render needs, once per run: the pool, the terminal, the flow."""

from dataclasses import dataclass

from flows.console.live import Tally, open_reporter
from flows.console.terminal import Terminal
from flows.planning.estimator import most_workers_of
from flows.rows.config import RenderConfig
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.row_store import RowStore
from flows.supervisor.channel import watched
from flows.supervisor.prefect_settings import EarlyPrefect


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
