"""A row that passed its checks, with the work that it takes."""

from dataclasses import dataclass

from flows.rows.plan import RowPlan
from flows.rows.rows import Row
from sonic_ops.core.constants import SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class FilmTiming:
    """How long a film is, and where film and sound end, in seconds; times of films are fractions.

    None: at their own end. `num_frames` are those of the whole file; `faces` is the share of the
    moments that were looked at in which there is a face, `num_shots` how many shots they are of at
    least.
    """

    film_s: str
    stop_s: str | None = None
    sound_end_s: float | None = None
    num_frames: int = 0
    faces: float = 1.0
    num_shots: int = 1


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row to render: what, how much, where its work lies, and what to tell the user.

    Sizes are width and height, of the portrait and of its part that is animated; `sound_form` are
    the samples of all channels in a second, and the channels.
    """

    row: Row
    fingerprint: str
    work: str
    plan: RowPlan
    notes: tuple[str, ...]
    picture_size: tuple[int, int]
    part_size: tuple[int, int]
    sound_form: tuple[int, int] = (SAMPLE_RATE_HZ, 1)
    planned_worker_s: float | None = None
    film: FilmTiming | None = None  # of a row that dubs one
