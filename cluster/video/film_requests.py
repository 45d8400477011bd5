"""What is sent to a worker that dubs a film: plans in numbers, URLs, settings."""

from dataclasses import dataclass
from fractions import Fraction

from sonic_ops.core.config import DecodingConfig, MediaConfig, PortraitConfig
from sonic_ops.core.timeline import Segment
from sonic_ops.film.choice import Choice
from sonic_ops.film.footage import Footage
from sonic_ops.media.film_encoding import FilmForm


@dataclass(frozen=True, slots=True)
class Film:
    """The URL of a film, and what is shown of it."""

    url: str
    footage: Footage


@dataclass(frozen=True, slots=True)
class TakeRequest:
    """A take of a film: a timeline of its own, at a place in the audio of the whole film.

    `file` has its numbers, `tokens_work` has the tokens of the track.
    """

    file: str
    film: Film
    first_frame: int
    num_frames: int
    tokens_work: str


@dataclass(frozen=True, slots=True)
class TakeJob:
    """Show the model the reference frame of a take: write it as a portrait."""

    film: Film
    take: str
    portrait: PortraitConfig
    target: str


@dataclass(frozen=True, slots=True)
class SourceJob:
    """Encode the frames of a film that a segment is made over; `portrait` has their size."""

    segment: Segment
    film: Film
    take: str
    portrait: str
    target: str


@dataclass(frozen=True, slots=True)
class MadeFrames:
    """The latents of a take around some frames of the film, and the take's files."""

    take: str
    portrait: str
    segments: tuple[Segment, ...]
    latents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrackJob:
    """Follow a face through a film; `choices` say which of several, in the order of their start."""

    film: Film
    target: str
    choices: tuple[Choice, ...] = (Choice(),)


@dataclass(frozen=True, slots=True)
class DubJob:
    """Decode what was made for frames `[start, stop)` of a film, paste it and encode them.

    The film is shown from `start_s` on and before `stop_s`.
    """

    film: Film
    start: int
    start_s: Fraction
    stop_s: Fraction
    made: tuple[MadeFrames, ...]
    target: str
    media: MediaConfig
    decoding: DecodingConfig
    low_memory: bool
    low_memory_note: str  # where to note that it had to be
    fps: Fraction
    form: FilmForm
    label: str | None = None
