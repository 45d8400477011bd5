"""What can be known about the inputs of a row at a bounded cost, before any compute."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from flows.rows.rows import FaceBox
from flows.urls import sha256_of
from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.endings import unreadable
from sonic_ops.audio.quality_check import check_audio, length_warnings
from sonic_ops.audio.reading import duration_s, read_audio
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.errors import AudioTooShortError, FieldError, InputError
from sonic_ops.core.sizes import scaled_size
from sonic_ops.media.subtitles import cut, read_subtitles
from sonic_ops.picture.compositing import Backdrop, backdrop_size, prepare_backdrop
from sonic_ops.picture.faces import Box, turn_of
from sonic_ops.picture.portrait import (
    Corners,
    Portrait,
    load_portrait,
    place_face,
    prepare_portrait,
    render_size,
)
from sonic_ops.picture.portrait_warnings import portrait_warnings

MIN_AUDIO_S = SAMPLES_PER_FRAME / SAMPLE_RATE_HZ
ANALYSED_S = 600
"""How much of a part is analysed; the rest is decoded, for its length and its faults."""

KEPT_PORTRAITS = 8
"""Portraits that are remembered for other rows that use them."""

_EMBEDDED = 128
"""Pixels that the networks of the embedded models see; others know more kinds of portraits."""
_APART = "a part of the audio is rendered by itself, and not bit for bit as in a video of all of it"


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """Seconds of audio that the row uses, and what the user should know about them.

    `rate_hz` counts the samples of all channels.
    """

    duration_s: float
    notes: tuple[str, ...] = ()
    rate_hz: int = SAMPLE_RATE_HZ
    num_channels: int = 1


@dataclass(frozen=True, slots=True)
class PortraitFacts:
    """Size of the whole image and of its animated part, and notes for the user."""

    size: tuple[int, int]
    part_size: tuple[int, int]
    notes: tuple[str, ...] = ()
    timing: None = None  # only films have one


def inspect_audio(audio: str, start: float | None, end: float | None) -> AudioFacts:
    """Decode the part as the render will; listen to its first ten minutes. Raises InputError."""
    start_s = start or 0.0
    part = _Excerpt(read_audio(audio, start_s, end))
    checked = check_audio(part, start_s, analysed_s=ANALYSED_S)
    if checked is None:
        raise _nothing(audio, start_s)
    part_s = checked.length_s
    if part_s < MIN_AUDIO_S:
        raise AudioTooShortError(
            f"{audio} has {part_s:.3f} s of audio to use, less than a frame",
            remedy=f"Give at least {MIN_AUDIO_S:g} s of audio.",
        )
    notes = []
    if end is not None and end > start_s + part_s + MIN_AUDIO_S:
        total_s = start_s + part_s
        notes.append(
            f"the end at {end:g} s is past the {total_s:.2f} s of audio: rendered to its end"
        )
    if start_s > 0 or part.goes_on:
        notes.append(_APART)
    where = f" (of the first {ANALYSED_S // 60} minutes)" if part_s > ANALYSED_S else ""
    levels = (warning + where for warning in checked.levels())
    said = (*notes, *length_warnings(part_s), *checked.faults(), *levels)
    return AudioFacts(part_s, said, *part.form)


class _Excerpt:
    """The blocks of a part, their samples a second and channels, and whether there are more."""

    def __init__(self, blocks: Generator[AudioBlock, None, bool]) -> None:
        self._blocks = blocks
        self.goes_on = False
        self.form = (SAMPLE_RATE_HZ, 1)

    def __iter__(self) -> Iterator[AudioBlock]:
        first = next(self._blocks, None)
        if first is not None:
            num_channels = len(first.samples)
            self.form = (first.sample_rate_hz * num_channels, num_channels)
            yield first
            self.goes_on = yield from self._blocks


def _nothing(audio: str, start_s: float) -> InputError:
    total_s = duration_s(audio)
    if not total_s:
        return unreadable(audio, "no audio comes out of it")
    return FieldError(
        f"the audio is {total_s:.2f} s long and has nothing at {start_s:g} s",
        remedy="Let the start lie inside the audio.",
        field="start",
    )


def inspect_subtitles(
    subtitles: str, language: str | None, start: float | None, end_s: float
) -> tuple[str, ...]:
    """Read the subtitles; what the user should know about them. Raises InputError."""
    found = read_subtitles(subtitles, language)
    num_shown, num_cues = len(cut(found.cues, start or 0.0, end_s)), len(found.cues)
    if num_shown == num_cues:
        return found.notes
    outside = f"{num_shown} of {num_cues} subtitles are inside the part that is rendered"
    return (*found.notes, outside)


def portrait_of(
    portrait: str, face_box: FaceBox | None, settings: PortraitConfig, face: int | None = None
) -> Portrait:
    """Prepare the portrait, once for all rows that share it. Raises InputError."""
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
    """Prepare the portrait at a URL, whose content has this hash."""
    return prepare_portrait(
        load_portrait(portrait, settings, _box(face_box)).image,
        resolution=settings.resolution,
        model_resolution=settings.model_resolution,
        framing=settings.framing,
        face_box=_box(face_box),
        expand=settings.expand,
        mask_area=settings.mask_area,
        face=face,
    )


def backdrop_of(
    source: str, face_box: FaceBox | None, settings: PortraitConfig, portrait: Portrait
) -> Backdrop:
    """Load the whole image around the portrait. Raises InputError."""
    loaded = load_portrait(source, settings, _box(face_box))
    return prepare_backdrop(loaded.image, portrait.crop, portrait.box, moves=loaded.is_video)


def inspect_portrait(
    portrait: str,
    face_box: FaceBox | None,
    face: int | None,
    settings: PortraitConfig,
    scale_to: int | None = None,
) -> PortraitFacts:
    """Find the face as the render will. Raises InputError."""
    loaded = load_portrait(portrait, settings, _box(face_box))
    place = place_face(
        loaded.image,
        resolution=settings.resolution,
        framing=settings.framing,
        face_box=_box(face_box),
        expand=settings.expand,
        face=face,
    )
    if scale_to is not None:
        scaled_size(_video_size(loaded.image.size, place.crop, settings), scale_to)
    notes = []
    if loaded.is_video:
        which = f"frame at {loaded.at_s:.1f} s" if loaded.at_s else "first frame"
        is_pasted = settings.framing == "paste"
        use = (
            f"the face of its {which} speaks in all of them"
            if is_pasted
            else f"its {which} is used"
        )
        why = ", since no face was found before" if loaded.at_s and face_box is None else ""
        notes.append(f"the portrait is a video: {use}{why}")
    elif loaded.is_first_of_many:
        notes.append("the portrait is an animation or an album: its first image is used")
    if place.num_faces > 1 and face_box is None and face is None:
        notes.append(f"{place.num_faces} faces in the portrait: the largest is used")
    if turn := turn_of(loaded.image):
        how = "stands upside down" if turn == 180 else "lies on its side"
        notes.append(f"the face {how}: turned by {turn} degrees to the left it is upright")
    if place.num_faces and (settings.model_resolution or settings.resolution) <= _EMBEDDED:
        notes += portrait_warnings(np.asarray(loaded.image.convert("RGB")), place.box)
    left, top, right, bottom = place.crop
    return PortraitFacts(loaded.image.size, (right - left, bottom - top), tuple(notes))


def _video_size(size: tuple[int, int], crop: Corners, settings: PortraitConfig) -> tuple[int, int]:
    """Return width and height of the video as it is rendered."""
    if settings.framing == "paste":
        return backdrop_size(size)
    left, top, right, bottom = crop
    return render_size((right - left, bottom - top), settings.resolution)


def _box(face_box: FaceBox | None) -> Box | None:
    return None if face_box is None else Box(*face_box)
