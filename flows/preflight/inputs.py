"""What can be known about the inputs of a row at a bounded cost, before any compute."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from flows.addresses import sha256_of
from flows.rows.rows import FaceBox
from sonic_ops.audio.quality_check import check_sound, length_warnings
from sonic_ops.audio.reading import probe_audio, read_sound_near, unreadable
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.errors import AudioTooShortError, FieldError
from sonic_ops.core.sizes import scaled_size
from sonic_ops.media.subtitles import cut, read_subtitles
from sonic_ops.picture.compositing import Backdrop, backdrop_size, prepare_backdrop
from sonic_ops.picture.faces import Box
from sonic_ops.picture.images import load_picture
from sonic_ops.picture.portrait import Corners, Portrait, place_face, prepare_portrait, render_size

MIN_SOUND_S = SAMPLES_PER_FRAME / SAMPLE_RATE_HZ
LISTENED_S = 600
"""How much of a part is listened to, so that very long ones do not hold up the others."""

KEPT_PORTRAITS = 8
"""Portraits that are remembered for other rows that use them."""

_HEADER_ROUNDING_S = 0.001
_APART = "a part of the audio is rendered by itself, and not bit for bit as in a video of all of it"


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """Seconds of audio that the row uses, and what the user should know about them."""

    duration_s: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PortraitFacts:
    """Width and height of the whole picture, of its part that is animated, and what the user should
    know about it."""

    size: tuple[int, int]
    part_size: tuple[int, int]
    notes: tuple[str, ...] = ()


def inspect_audio(audio: str, start: float | None, end: float | None) -> AudioFacts:
    """Probe the header and listen to the first ten minutes of the part. Raises InputError."""
    total_s = probe_audio(audio).duration_s
    start_s, end_s = start or 0.0, total_s if end is None else end
    if start_s >= total_s > 0:
        raise FieldError(
            f"the audio is {total_s:.2f} s long and has nothing at {start_s:g} s",
            remedy="Let the start lie inside the audio.",
            field="start",
        )
    duration_s = min(end_s, total_s) - start_s
    heard = tuple(_heard(audio, start_s, duration_s))
    if duration_s < MIN_SOUND_S:
        raise AudioTooShortError(
            f"{audio} has {duration_s:.3f} s of sound to use, less than a frame",
            remedy=f"Give at least {MIN_SOUND_S:g} s of sound.",
        )
    late = f"the end at {end_s:g} s is past the {total_s:.2f} s of audio: rendered to its end"
    notes = (late,) if end_s > total_s + MIN_SOUND_S else ()
    apart = (_APART,) if duration_s < total_s - _HEADER_ROUNDING_S else ()
    return AudioFacts(duration_s, (*notes, *apart, *heard))


def _heard(audio: str, start_s: float, duration_s: float) -> Iterator[str]:
    """What the user should know about the sound of a part. Raises InputError."""
    listened_s = min(duration_s, LISTENED_S)
    checked = check_sound(read_sound_near(audio, start_s, listened_s), start_s)
    if checked is None:
        raise unreadable(audio, "no sound comes out of it")
    yield from length_warnings(duration_s)
    where = "" if listened_s == duration_s else f" (of the first {LISTENED_S // 60} minutes)"
    for warning in checked.warnings():
        yield warning + where


def inspect_subtitles(subtitles: str, start: float | None, end_s: float) -> tuple[str, ...]:
    """Read the subtitles; what the user should know about them. Raises InputError."""
    cues = read_subtitles(subtitles)
    num_shown = len(cut(cues, start or 0.0, end_s))
    if num_shown == len(cues):
        return ()
    return (f"{num_shown} of {len(cues)} subtitles are inside the part that is rendered",)


def portrait_of(
    portrait: str, face_box: FaceBox | None, settings: PortraitConfig, face: int | None = None
) -> Portrait:
    """The portrait as the model reads it; rows that share it share the work. Raises InputError."""
    content = sha256_of(portrait)
    with _PREPARING:
        return _prepared(portrait, content, face_box, settings, face)


_PREPARING = Lock()
"""Rows that begin at one time find the portrait that the first of them has prepared."""


@lru_cache(KEPT_PORTRAITS)
def _prepared(
    portrait: str,
    content: str,
    face_box: FaceBox | None,
    settings: PortraitConfig,
    face: int | None,
) -> Portrait:
    """The portrait at an address, whose content has this hash."""
    return prepare_portrait(
        load_picture(portrait, settings.max_megapixels).image,
        resolution=settings.resolution,
        framing=settings.framing,
        face_box=_box(face_box),
        expand=settings.expand,
        mask_area=settings.mask_area,
        face=face,
    )


def backdrop_of(source: str, settings: PortraitConfig, portrait: Portrait) -> Backdrop:
    """The whole picture, of which the portrait shows a part. Raises InputError."""
    picture = load_picture(source, settings.max_megapixels)
    return prepare_backdrop(picture.image, portrait.crop, portrait.box, moves=picture.is_video)


def inspect_portrait(
    portrait: str,
    face_box: FaceBox | None,
    face: int | None,
    settings: PortraitConfig,
    scale_to: int | None = None,
) -> PortraitFacts:
    """Find the face as the render will. Raises InputError."""
    picture = load_picture(portrait, settings.max_megapixels)
    place = place_face(
        picture.image,
        resolution=settings.resolution,
        framing=settings.framing,
        face_box=_box(face_box),
        expand=settings.expand,
        face=face,
    )
    if scale_to is not None:
        scaled_size(_video_size(picture.image.size, place.crop, settings), scale_to)
    notes = []
    if picture.is_video and settings.framing == "paste":
        notes.append("the portrait is a video: the face of its first picture speaks in all of them")
    elif picture.is_video:
        notes.append("the portrait is a video: its first picture is used")
    elif picture.is_first_of_many:
        notes.append("the portrait is an animation or an album: its first picture is used")
    if place.num_faces > 1 and face_box is None and face is None:
        notes.append(f"{place.num_faces} faces in the portrait: the largest is used")
    left, top, right, bottom = place.crop
    return PortraitFacts(picture.image.size, (right - left, bottom - top), tuple(notes))


def _video_size(
    picture: tuple[int, int], crop: Corners, settings: PortraitConfig
) -> tuple[int, int]:
    """Width and height of the video as it is rendered."""
    if settings.framing == "paste":
        return backdrop_size(picture)
    left, top, right, bottom = crop
    return render_size((right - left, bottom - top), settings.resolution)


def _box(face_box: FaceBox | None) -> Box | None:
    return None if face_box is None else Box(*face_box)
