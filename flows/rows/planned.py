"""A row that passed its checks, with the work that it takes."""

from dataclasses import dataclass, replace
from fractions import Fraction

from flows.rows.plan import RowPlan, plan_row
from flows.rows.rows import Row
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import MODEL_FPS, SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class FilmTiming:
    """How long a film is, and where film and audio end, in seconds; times of films are fractions.

    None: at their own end. `num_frames` are those of the whole file; `faces` is the share of the
    moments that were looked at in which there is a face, `num_shots` how many shots they are of at
    least, and `num_face_shots` those of them with a face.
    """

    film_s: str
    stop_s: str | None = None
    audio_end_s: float | None = None
    num_frames: int = 0
    faces: float = 1.0
    num_shots: int = 1
    num_face_shots: int = 1
    num_people: int = 1

    def plan(self, sampling: SamplingConfig) -> RowPlan:
        """Plan the work: of every shot with a face, the frames with it, for every speaker."""
        film_s = Fraction(self.film_s)
        shown_s = film_s if self.stop_s is None else Fraction(self.stop_s)
        number = self.num_face_shots * self.num_people
        face_s = float(shown_s) * self.faces / self.num_face_shots
        shot = plan_row(max(face_s, float(1 / MODEL_FPS)), sampling)
        return replace(
            shot,
            num_frames=number * shot.num_frames,
            num_windows=number * shot.num_windows,
            num_output_frames=round(self.num_frames * shown_s / film_s),
            video_s=float(shown_s),
        )


def plan_of(
    film: FilmTiming | None, duration_s: float, sampling: SamplingConfig, fps: Fraction
) -> RowPlan:
    """Plan a row whose audio has some seconds; of a film, what is dubbed of it."""
    return plan_row(duration_s, sampling, fps) if film is None else film.plan(sampling)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row to render: what, how much, where its work lies, and what to tell the user.

    Sizes are width and height, of the portrait and of its part that is animated; `audio_form` are
    the samples of all channels in a second, and the channels.
    """

    row: Row
    fingerprint: str
    work: str
    plan: RowPlan
    notes: tuple[str, ...]
    image_size: tuple[int, int]
    part_size: tuple[int, int]
    audio_form: tuple[int, int] = (SAMPLE_RATE_HZ, 1)
    planned_worker_s: float | None = None
    film: FilmTiming | None = None  # of a row that dubs one
