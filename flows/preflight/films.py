"""A film whose face is replaced at one place: whether the face stays there, and how long it is.

Until faces are followed through a film, a face that leaves its place would be seen twice.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av

from flows.rows.rows import FaceBox
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.containers import film_stream, open_container
from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.core.files import open_url
from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.portrait import load_portrait, place_face
from sonic_ops.picture.video_frames import frames_at

LOOKED_S = 600
MOMENTS = 60
"""How much of a film is looked at, and at how many moments at most."""

NEAR = 0.35
"""How far a face may be from its place, in sizes of it."""


def inspect_film(
    source: str,
    face_box: FaceBox | None,
    face: int | None,
    settings: PortraitConfig,
    start_s: float,
    duration_s: float,
) -> Iterator[str]:
    """Say what the user should know about a film whose face is replaced; nothing of an image.

    Raises ImageUnreadableError if the face moves away from its place.
    """
    box = None if face_box is None else Box(*face_box)
    loaded = load_portrait(source, settings, box)
    if settings.framing != "paste" or not loaded.is_video:
        return
    film_s = _length_s(source)
    left_s = max(film_s - start_s, 0.0)
    if abs(left_s - duration_s) > 0.1:
        what = "its last frame is held" if left_s < duration_s else "the rest is left out"
        yield f"the film has {left_s:.2f} s and the audio {duration_s:.2f} s: {what}"
    place = place_face(
        loaded.image,
        resolution=settings.resolution,
        framing=settings.framing,
        face_box=box,
        expand=settings.expand,
        face=face,
    ).box
    looked_s = min(left_s, duration_s, LOOKED_S)
    step_s = max(looked_s / MOMENTS, 0.5)
    moments = [start_s + n * step_s for n in range(int(looked_s / step_s) + 1)]
    moments = [moment for moment in moments if moment >= loaded.at_s]  # it fades in before
    if moments and _is_near(find_faces(loaded.image), place):  # else no detector could tell
        _check_faces(source, place, moments)


def _length_s(source: str) -> float:
    """Return the time from the first frame to the end of the last, by the clock of the file."""
    with open_url(source) as file, open_container(file) as container:
        stream = film_stream(container)
        if stream is not None and stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        return float((container.duration or 0) / av.time_base)


def _check_faces(source: str, place: Box, moments: Sequence[float]) -> None:
    gone_s: list[float] = []
    with open_url(source) as file:
        times = [Fraction(moment).limit_denominator(1000) for moment in moments]
        frames = frames_at(file, times)
        for moment, frame in zip(moments, frames, strict=False):
            faces = find_faces(frame)
            gone_s = [] if _is_near(faces, place) else [*gone_s, moment]
            if gone_s and (faces or len(gone_s) > 1):
                raise ImageUnreadableError(
                    f"The face of the film {source} is not at its place any more at "
                    f"{gone_s[0]:.1f} s, and the video would show two",
                    remedy="Give a film in which the face stays where it is in the first frame, "
                    "cut it with start and end, or give an image.",
                    field="portrait",
                )


def _is_near(faces: Sequence[Box], place: Box) -> bool:
    return any(face.is_near(place, NEAR) for face in faces)
