"""What became of a row that was rendered: its result, its receipt, and its work folder."""

import re
import traceback
from dataclasses import dataclass, field, replace

from cluster.pool.costs import RowCosts
from cluster.pool.peaks import process_peak_bytes
from cluster.video.jobs import SPEAKERS, TAKES, low_memory_folder, zeros_folder
from flows import urls
from flows.rows.planned import PlannedRow
from flows.state.leases import Leases
from flows.state.receipts import lease_target, write_receipt
from flows.state.results import BUG_REMEDY, NOT_MARKED, RowResult, sentence_of
from sonic_ops.core.constants import FAILED
from sonic_ops.core.errors import LockedError, SonicError
from sonic_ops.core.files import names_in, reason_of, remove_folder, written
from sonic_ops.core.shown import without_secrets
from sonic_ops.media.inspection import VideoInfo
from sonic_ops.provenance.c2pa import SIGNED

_LOW_MEMORY_NOTE = re.compile(r"(\w+)-(\d+)-(\d+)\.\w+")
"""The name of a note: the method, and the frames that it was called for."""


@dataclass(frozen=True, slots=True)
class RunCosts:
    """What a row has cost: its time, the tries that a machine failed, and its jobs."""

    wall_s: float = 0.0
    num_failures: int = 0
    costs: RowCosts = field(default_factory=RowCosts)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished video: the frames that were denoised, which its audio decides, and the file."""

    num_frames: int
    video: VideoInfo


def done(planned: PlannedRow, rendered: Rendered, run_costs: RunCosts) -> RowResult:
    """Make the result of a row whose video is finished."""
    offset_s, base = rendered.video.audio_offset_s, _base(planned, run_costs)
    return replace(
        base,
        notes=_joined(base.notes, *rendered.video.notes),
        status="done",
        num_frames=rendered.num_frames,
        video_s=rendered.video.duration_s,
        width=rendered.video.width,
        height=rendered.video.height,
        audio_offset_ms=None if offset_s is None else 1000 * offset_s,
        provenance=_provenance(rendered.video.provenance),
        attempts=run_costs.num_failures + 1,
    )


def finish_work(
    planned: PlannedRow, result: RowResult, run_costs: RunCosts, leases: Leases, *, keep_work: bool
) -> RowResult:
    """Write the receipt of a finished row and remove its work folder.

    Who has lost the lease of the row leaves the folder to the command that has it now.
    """
    try:
        write_receipt(result, run_costs.costs)
        if not keep_work and leases.holds(lease_target(planned.row.output)):
            remove_folder(planned.work)
    except (OSError, SonicError) as error:
        return replace(result, notes=_joined(result.notes, _untidy(error)))
    return result


def _provenance(found: str) -> str:
    """Return how a finished file says what made it, and what is missing of that."""
    if not found:
        return NOT_MARKED
    return found if SIGNED in found else f"{found}, not signed"


def skipped(planned: PlannedRow, known: RowResult) -> RowResult:
    """Return the result of a row that another command has finished since the preflight."""
    row = planned.row
    return replace(known, row=row.number, id=row.id, place=row.place, status="skipped")


def locked(planned: PlannedRow, error: LockedError) -> RowResult:
    """Return the result of a row that another command renders."""
    result = replace(_base(planned, RunCosts()), status="locked", peak_memory_mb=None, wall_s=None)
    return replace(result, notes=_joined(result.notes, error.message), remedy=error.remedy)


def failed(planned: PlannedRow, error: BaseException, run_costs: RunCosts) -> RowResult:
    """Return the result of a failed row; its work folder stays for the next try."""
    if isinstance(error, SonicError):
        said, remedy = sentence_of(error), error.remedy
    else:
        said, remedy = _noted(planned, error), BUG_REMEDY
    return replace(
        _base(planned, run_costs),
        verdict=FAILED,
        reason=said,
        error_class=type(error).__name__,
        error=said,
        remedy=remedy,
        attempts=max(run_costs.num_failures, 1),
    )


def _base(planned: PlannedRow, run_costs: RunCosts) -> RowResult:
    return RowResult(
        row=planned.row.number,
        id=planned.row.id,
        status="failed",
        output=planned.row.output,
        portrait=planned.row.shown,
        place=planned.row.place,
        wall_s=run_costs.wall_s,
        worker_s=run_costs.costs.worker_s,
        planned_worker_s=planned.planned_worker_s,
        peak_memory_mb=peak_memory_mb(),
        fingerprint=planned.fingerprint,
        notes=_joined(
            *planned.notes,
            _retries(run_costs.costs),
            _lowered(planned),
            _zeros(planned),
        ),
    )


def _noted(planned: PlannedRow, error: BaseException) -> str:
    """Keep the traceback of an error that nobody expected; say where."""
    url = urls.join(planned.work, "error.txt")
    try:
        with written(url) as path:
            path.write_text(without_secrets("".join(traceback.format_exception(error))))
    except OSError as problem:
        return f"{error} (its traceback could not be kept: {reason_of(problem)})"
    return f"{error} (see {url})"


def _retries(costs: RowCosts) -> str:
    """Say which jobs ran twice."""
    jobs = ", ".join(f"{count} x {name}" for name, count in sorted(costs.retries.items()))
    return f"run again because workers were lost: {jobs}" if jobs else ""


def _work_folders(planned: PlannedRow) -> dict[str, str]:
    """Return the folders that may have notes, each with what it is: a film has one per take.

    Raises OSError.
    """
    found = {planned.work: ""}
    if planned.film is None:
        return found
    people = {planned.work: ""}
    for name in _numbered(urls.join(planned.work, SPEAKERS)):
        people[urls.join(planned.work, SPEAKERS, name)] = f" of speaker {int(name) + 1}"
    for person, of_whom in people.items():
        for name in _numbered(urls.join(person, TAKES)):
            found[urls.join(person, TAKES, name)] = f" of take {int(name) + 1}{of_whom}"
    return found


def _numbered(folder: str) -> list[str]:
    return sorted(filter(str.isdecimal, names_in(folder)), key=int)


def _lowered(planned: PlannedRow) -> str:
    """Say what was made in the low-memory form, in this run or an earlier one."""
    jobs: list[str] = []
    try:
        for folder, what in _work_folders(planned).items():
            notes = map(_LOW_MEMORY_NOTE.fullmatch, sorted(names_in(low_memory_folder(folder))))
            jobs += [f"{n[1]} {int(n[2])}-{int(n[3])}{what}" for n in notes if n]
    except OSError as error:
        return f"what was computed in the low-memory form cannot be read ({reason_of(error)})"
    return f"computed in the low-memory form: {', '.join(jobs)}" if jobs else ""


def _zeros(planned: PlannedRow) -> str:
    """Return which networks gave nothing but zeros."""
    try:
        folders = map(zeros_folder, _work_folders(planned))
        found = {name for folder in folders for name in names_in(folder)}
    except OSError:
        return ""
    names = sorted(name for name in found if name[0] != ".")
    return f"gave nothing but zeros, which no trained network does: {', '.join(names)}" * bool(
        names
    )


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _untidy(error: Exception) -> str:
    reason = reason_of(error)
    return f"no receipt could be kept or work removed ({reason}): the next run may render it again"


def peak_memory_mb() -> float:
    """Measure the most memory that this process has held so far, without its workers."""
    return process_peak_bytes() / 2**20
