"""Opens what a render needs, once per run: the pool, the terminal, the flow."""

from collections.abc import Sequence

from rich.console import Console

from flows.config import RenderConfig
from flows.plan import most_workers
from flows.prefect_settings import prepare_prefect, reach_prefect
from flows.preflight import PlannedRow
from flows.progress import open_reporter, say_to
from flows.results import RowResult


def launch(
    manifest: str,
    config: RenderConfig,
    planned: Sequence[PlannedRow],
    results: list[RowResult],
    console: Console,
) -> None:
    """Render the planned rows; `results` takes what becomes of each as soon as it is known."""
    say_to(console)("starting Prefect and the workers")
    prepare_prefect()
    reach_prefect()
    from cluster.pool import open_pool
    from flows.render import render_manifest
    from flows.session import Session, opened

    rows = {row.row.id: row for row in planned}
    most = most_workers(
        (row.plan for row in planned),
        segment_frames=config.segment_frames,
        rows_in_flight=config.num_rows_in_flight,
    )
    with (
        open_reporter(console) as reporter,
        open_pool(config.cluster, config.models, most=most) as pool,
        opened(Session(config, pool, reporter, rows, results)),
    ):
        render_manifest(manifest)
