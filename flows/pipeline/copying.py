"""A video that is finished under another name is copied: nothing but its name has changed."""

import logging
from dataclasses import replace
from functools import partial
from shutil import copyfile
from typing import TYPE_CHECKING

from cluster.pool.costs import RowCosts
from flows import urls
from flows.pipeline.runs import Run
from flows.preflight.outputs import require_free
from flows.preflight.subtitle_files import side_car_of, write_side_car
from flows.rows.planned import PlannedRow
from flows.state.receipts import announce, finished_result, write_owner, write_receipt
from flows.state.results import RowResult
from sonic_ops.core.errors import SonicError
from sonic_ops.core.files import exists, fetched, remove_folder, written

if TYPE_CHECKING:
    from sonic_ops.media.subtitles import Cue

_log = logging.getLogger(__name__)


def copied(run: Run, planned: PlannedRow) -> RowResult | None:
    """Copy the video of an earlier run with the fingerprint of a row; None if there is none."""
    source = run.finished_with(planned.fingerprint)
    if source is None or source == planned.row.output:
        return None
    try:
        result = _copied(run, planned, source)
    except (SonicError, OSError) as error:  # the render says it, or does without
        _log.warning("%s is not copied: %s", urls.printable(source), error)
        return None
    if result is None:
        return None
    run.reporter.start(planned)
    run.reporter.finish(result)
    return result


def _copied(run: Run, planned: PlannedRow, source: str) -> RowResult | None:
    row, work, overwrite = planned.row, planned.work, run.config.overwrite
    known = finished_result(source, planned.fingerprint)
    subtitles = side_car_of(replace(row, output=source))
    if known is None or (subtitles is not None and not exists(subtitles)):
        return None
    guard = partial(require_free, row, planned.fingerprint, run.config.work, overwrite=overwrite)
    write_owner(work, row.output, planned.fingerprint)
    with written(row.output, guard) as target, fetched(source) as path:
        copyfile(path, target)
        guard()
        if subtitles is not None:
            write_side_car(row, _cues(subtitles), overwrite=overwrite)
        announce(work, target)
    result = _result(planned, known, source)
    write_receipt(result, RowCosts())
    remove_folder(work)
    return result


def _cues(subtitles: str) -> "tuple[Cue, ...]":
    from sonic_ops.media.subtitles import read_subtitles

    return read_subtitles(subtitles, None).cues


def _result(planned: PlannedRow, known: RowResult, source: str) -> RowResult:
    row = planned.row
    note = f"copied from {urls.printable(source)}, which has the same content"
    return replace(
        known,
        row=row.number,
        id=row.id,
        place=row.place,
        status="done",
        output=row.output,
        wall_s=0.0,
        worker_s=0.0,
        planned_worker_s=None,
        notes="; ".join(filter(None, (known.notes, note))),
    )
