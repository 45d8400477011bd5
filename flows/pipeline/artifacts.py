"""What Prefect's own pages show of a run: how far it is, its results, the report.

Nothing here may end a run: a server that does not take an artifact is named in the log.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from uuid import UUID

from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.report.links import link_of
from flows.state.results import RowResult
from flows.urls import name_of, printable
from sonic_ops.core.constants import FAILED, LOOK, READY

_log = logging.getLogger(__name__)

SHOWN_ROWS = 500
"""Rows of the table: the server keeps it as one text. The results file has them all."""

_COLUMNS = (
    "id", "verdict", "reason", "status", "output", "video_s", "wall_s", "provenance", "remedy",
    "notes",
)  # fmt: skip


class Shown:
    """The progress of a manifest: rows that have ended, of those to render."""

    def __init__(self, manifest: str, num_rows: int) -> None:
        self._name, self._num_rows, self._num_ended = manifest, num_rows, 0
        self._lock = Lock()
        self._artifact: UUID | None = None
        with _harmless():
            made = create_progress_artifact(0.0, key_of("rows", manifest), self._words())
            assert isinstance(made, UUID), "here is no event loop"
            self._artifact = made

    def count(self) -> None:
        """Count a finished row; called from several threads."""
        with self._lock, _harmless():
            self._num_ended += 1
            if self._artifact is not None:
                share = 100 * self._num_ended / max(self._num_rows, 1)
                update_progress_artifact(self._artifact, min(share, 100.0), self._words())

    def _words(self) -> str:
        return f"{self._num_ended} of {self._num_rows} rows of {self._name}"


def show_results(manifest: str, results: Callable[[], Iterator[RowResult]]) -> None:
    """Show a table of the results."""
    rows = worst_first(results)
    table = [{name: _shown(getattr(result, name)) for name in _COLUMNS} for result in rows]
    with _harmless():
        create_table_artifact(table, key_of("results", manifest), f"Results of {manifest}")


def worst_first(results: Callable[[], Iterator[RowResult]]) -> list[RowResult]:
    """Choose the rows of the table: what failed first, then what somebody should look at."""
    rows: list[RowResult] = []
    for kinds in ({FAILED}, {LOOK}, {READY, None}):
        found = (result for result in results() if result.verdict in kinds)
        rows += islice(found, SHOWN_ROWS - len(rows))
    return rows


def _shown(value: object) -> object:
    return printable(value) if isinstance(value, str) else value


def show_report(manifest: str, report: str) -> None:
    """Show a link to a report: a browser opens it from here if its folder is served."""
    link = link_of(report)
    with _harmless():
        text = printable(f"Report of {name_of(manifest)}")
        create_link_artifact(link, text, key_of("report", manifest), f"`{printable(report)}`")


def key_of(kind: str, manifest: str) -> str:
    """Return the key of a manifest's artifacts: letters, digits, dashes."""
    return f"{kind}-{re.sub(r'[^a-z0-9]+', '-', name_of(manifest).lower()).strip('-')}"


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever a server answers; the videos are what counts
        _log.warning("Prefect does not show an artifact: %s", error)
