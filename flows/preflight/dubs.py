"""What can be known about a film to dub at a bounded cost, before any compute."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import numpy as np

from flows.rows.config import RenderConfig
from flows.rows.planned import FilmTiming
from flows.rows.rows import Row, in_column
from sonic_ops.core.errors import (
    FieldError,
    ImageUnreadableError,
    NoFaceError,
    VideoUnreadableError,
)
from sonic_ops.core.files import open_url
from sonic_ops.core.formats import format_of
from sonic_ops.film.footage import FilmFacts, film_facts
from sonic_ops.film.lengths import lengths_of, moment
from sonic_ops.film.shots import CutDetector
from sonic_ops.picture.faces import find_faces
from sonic_ops.picture.video_frames import frames_at

MOMENTS = 20
"""At how many moments a film is looked at, at most."""
SURE_S = 600
"""Length up to which a film that shows no face at these moments is taken for one without."""
IN_TURN_S = 20
"""Length up to which a film is decoded from moment to moment; a longer one is sought in."""


@dataclass(frozen=True, slots=True)
class DubFacts:
    """Size of the film and of what is animated, its timing, and notes for the user."""

    size: tuple[int, int]
    part_size: tuple[int, int]
    timing: FilmTiming
    notes: tuple[str, ...] = ()


def inspect_dub(row: Row, config: RenderConfig, audio_s: float) -> DubFacts:
    """Look at the film of a row. Raises InputError."""
    assert row.video is not None
    _check_output(row.output)
    with open_url(row.video) as file:
        facts = film_facts(file)
    _check_colours(facts)
    num_people, said = _speakers(row, facts.size, audio_s)
    film_s = facts.film_s if row.end is None else min(facts.film_s, moment(row.end))
    shown = lengths_of(config.film.length, film_s, audio_s)
    stop_s = shown.stop_s
    if stop_s is None and film_s < facts.film_s:
        stop_s = film_s
    seen = _look(row, float(film_s))
    timing = FilmTiming(
        str(facts.film_s),
        None if stop_s is None else str(stop_s),
        shown.audio_end_s,
        facts.num_frames,
        seen.faces,
        seen.num_shots,
        seen.num_face_shots,
        num_people,
    )
    notes = [shown.note] if shown.note else []
    if facts.is_interlaced:
        notes.append("the film is interlaced: both fields are edited as one frame")
    notes += [*seen.notes, *said]
    side = config.portrait.resolution
    return DubFacts(facts.size, (side, side), timing, tuple(notes))


def _speakers(row: Row, size: tuple[int, int], audio_s: float) -> tuple[int, tuple[str, ...]]:
    """Count the speakers of a film, and return notes on their table."""
    if row.speakers is None:
        return 1, ()
    from flows.preflight.speakers import inspect_speakers  # late: few rows have a table

    with in_column("speakers"):
        return inspect_speakers(row, row.speakers, size, audio_s)


def _check_output(output: str) -> None:
    if format_of(output).is_animation:
        raise FieldError(
            f"{output} is an animation, which has no audio and no times of its own",
            remedy="Let the output of a film end in .mp4, .mov, .mkv or .webm.",
            field="output",
        )


def _check_colours(facts: FilmFacts) -> None:
    if facts.is_hdr:
        raise VideoUnreadableError(
            "the film is HDR, and what is pasted into it would have other colours",
            remedy="Convert it to ordinary colours (BT.709) first.",
            field="video",
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """The share of some moments with a face, the shots they are of at least, and notes.

    `num_face_shots` are those in which a face was seen.
    """

    faces: float
    num_shots: int
    num_face_shots: int
    notes: tuple[str, ...]


def _look(row: Row, film_s: float) -> _Seen:
    """Look for faces at some moments. Raises NoFaceError if a short film shows none."""
    assert row.video is not None
    num = max(min(MOMENTS, int(film_s * 4)), 1)
    moments = [Fraction((n + 0.5) * film_s / num).limit_denominator(1000) for n in range(num)]
    runs = [moments] if film_s <= IN_TURN_S else [[moment] for moment in moments]
    counts, num_shots, cuts = list[int](), 0, CutDetector()
    face_shots = set[int]()
    with open_url(row.video) as file:
        try:
            for frame in chain.from_iterable(frames_at(file, run) for run in runs):
                counts.append(len(find_faces(frame)))
                num_shots += cuts.is_cut(np.asarray(frame.convert("RGB")))
                face_shots.update([num_shots] * (counts[-1] > 0))
        except ImageUnreadableError as error:
            raise VideoUnreadableError(
                error.message, remedy="Export the film once more.", field="video"
            ) from error
    seen = sum(count > 0 for count in counts)
    if not seen and film_s <= SURE_S:
        raise NoFaceError(
            f"No face was found in the film at {num} moments that were looked at",
            remedy="Give a film that shows a face from the front.",
            field="video",
        )
    notes = []
    if seen < len(counts):
        notes.append(
            f"no face at {len(counts) - seen} of {len(counts)} moments of the film that were "
            "looked at: those parts stay as they are"
        )
    if max(counts) > 1 and (row.face, row.face_box, row.speakers) == (None, None, None):
        notes.append(f"{max(counts)} faces in the film: the largest of each shot is dubbed")
    return _Seen(seen / len(counts), num_shots, max(len(face_shots), 1), tuple(notes))
