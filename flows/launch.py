"""Opens what a render needs, once per run: the pool, the terminal, the flow."""

from rich.console import Console

from flows.config import MAX_ROWS, RenderConfig
from flows.journal import Journal
from flows.leases import Leases
from flows.ledger import Ledger
from flows.plan import most_workers
from flows.prefect_settings import prepare_prefect, reach_prefect
from flows.progress import open_reporter, say_to


def launch(
    manifest: str,
    config: RenderConfig,
    ledger: Ledger,
    journal: Journal,
    leases: Leases,
    console: Console,
) -> None:
    """Render the planned rows; ledger and journal take what becomes of each as it is known."""
    say_to(console)("starting Prefect and the workers")
    prepare_prefect()
    reach_prefect()
    from cluster.pool import open_pool
    from flows.render import render_manifest
    from flows.session import Session, opened

    most = most_workers(
        (row.plan for row in ledger.planned()),
        segment_frames=config.segment_frames,
        rows_in_flight=config.rows_in_flight or MAX_ROWS,
    )
    with (
        open_reporter(console) as reporter,
        open_pool(config.cluster, config.models, most=most) as pool,
        opened(Session(config, pool, reporter, ledger, journal, leases)),
    ):
        render_manifest(manifest)
