"""What can be known about the inputs of a row at a bounded cost, before any compute."""

from dataclasses import dataclass

from flows.rows import FaceBox
from sonic_ops.audio import probe_audio
from sonic_ops.config import PortraitConfig
from sonic_ops.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.errors import AudioTooShortError, FieldError
from sonic_ops.faces import Box
from sonic_ops.portrait import Portrait, load_image, prepare_portrait
from sonic_ops.sound import read_sound, unreadable

MIN_SOUND_S = SAMPLES_PER_FRAME / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """Seconds of audio that the row uses, and what the user should know about them."""

    duration_s: float
    notes: tuple[str, ...] = ()


def inspect_audio(audio: str, start: float | None, end: float | None) -> AudioFacts:
    """Probe the header and decode one block. Raises InputError."""
    total_s = probe_audio(audio).duration_s
    if next(read_sound(audio), None) is None:
        raise unreadable(audio, "no sound comes out of it")
    start_s, end_s = start or 0.0, total_s if end is None else end
    if start_s >= total_s > 0:
        raise FieldError(
            f"the audio is {total_s:.2f} s long and has nothing at {start_s:g} s",
            remedy="Let the start lie inside the audio.",
            field="start",
        )
    duration_s = min(end_s, total_s) - start_s
    if duration_s < MIN_SOUND_S:
        raise AudioTooShortError(
            f"{audio} has {duration_s:.3f} s of sound to use, less than a frame",
            remedy=f"Give at least {MIN_SOUND_S:g} s of sound.",
        )
    late = f"the end at {end_s:g} s is past the {total_s:.2f} s of audio: rendered to its end"
    return AudioFacts(duration_s, (late,) if end_s > total_s + MIN_SOUND_S else ())


def portrait_of(portrait: str, face_box: FaceBox | None, settings: PortraitConfig) -> Portrait:
    """The portrait as the model reads it. Raises InputError."""
    return prepare_portrait(
        load_image(portrait),
        resolution=settings.resolution,
        framing=settings.framing,
        face_box=None if face_box is None else Box(*face_box),
        expand=settings.expand,
        mask_area=settings.mask_area,
    )


def inspect_portrait(
    portrait: str, face_box: FaceBox | None, settings: PortraitConfig
) -> tuple[str, ...]:
    """Find the face as the render will; what the user should know about it. Raises InputError."""
    num_faces = portrait_of(portrait, face_box, settings).num_faces
    if num_faces < 2 or face_box is not None:
        return ()
    return (f"{num_faces} faces in the portrait: the largest is used",)
