"""Check that a finished file shows and plays something: images of some moments, and the audio.

A container can be whole and its frames black. What is looked at does not grow with the length.
Shape letters: N moments, H, W rows and columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from sonic_ops.core.containers import open_own_container
from sonic_ops.core.errors import BrokenOutputError

MOMENTS = 8
"""Moments of a video that are looked at."""
AFTER_FRAMES = 8
WHOLE_S = 4.5
"""A video up to this length, about a GOP, is decoded whole: one may stand alone."""
SEEN_SIDE = 96
"""Frames are made about as small as this: what a codec adds is gone, and what moves is not."""
PLAIN_DEVIATION = 1.0  # of luma, 0 to 255, within a frame that shows nothing
BLACK = 8.0
STILL_DIFFERENCE = 3  # of the luma of any place, at most, between frames of a video that stands
MIN_MOVING_S = 1.0  # a shorter video may stand


@dataclass(frozen=True, slots=True)
class Expected:
    """What a video may lack: the frames are of one colour, or nothing is asked to move."""

    plain: bool = False
    still: bool = False


MOVING = Expected()


def check_frames(path: Path, duration_s: float, expected: Expected) -> tuple[str, ...]:
    """Look at the frames of a finished file; what the user should know about them.

    Raises BrokenOutputError if they are black, of one colour or frozen, and are not to be.
    """
    seen_NHW = _seen(path, duration_s)
    plain = [image for image in seen_NHW if image.std() < PLAIN_DEVIATION]
    if plain:
        what = "black" if max(image.mean() for image in plain) < BLACK else "of one colour"
        said = f"{what} at {len(plain)} of {len(seen_NHW)} moments that were looked at"
        return _said(path, said, "as the portrait is", is_expected=expected.plain)
    differences = [np.abs(image - seen_NHW[0]).max() for image in seen_NHW[1:]]
    if duration_s >= MIN_MOVING_S and differences and max(differences) <= STILL_DIFFERENCE:
        return _said(path, "frozen", "with nothing to move it", is_expected=expected.still)
    return ()


def broken(path: Path, what: str) -> BrokenOutputError:
    """Make the error of a finished file without frames or audio."""
    return BrokenOutputError(
        f"the video {path.name} {what}",
        remedy="Check the weights and models.dtype of the preset, remove the work folder of the "
        "row (it is in .sonic beside the output), and render it again.",
    )


def _said(path: Path, what: str, why: str, *, is_expected: bool) -> tuple[str, ...]:
    if not is_expected:
        raise broken(path, f"is {what}")
    return (f"the video is {what}, {why}",)


def _seen(path: Path, duration_s: float) -> list[NDArray[np.int16]]:
    """Small frames of some moments, in gray."""
    if path.suffix.lower() in {".gif", ".webp"}:
        with Image.open(path) as image:
            images = [_small(frame.convert("L")) for frame in ImageSequence.Iterator(image)]
        return _spread(images)
    with open_own_container(path) as container:
        if duration_s <= WHOLE_S:
            return _spread([_gray(frame) for frame in container.decode(video=0)])
        return [_gray(frame) for frame in _frames_at(container, duration_s)]


def _frames_at(container: InputContainer, duration_s: float) -> Iterator[VideoFrame]:
    """Decode the key frame before each moment and a frame soon after it."""
    stream, seen = container.streams.video[0], set[int | None]()
    for moment in range(MOMENTS // 2):
        at_s = duration_s * (moment + 0.5) / (MOMENTS // 2)
        container.seek(round(at_s / (stream.time_base or 1)), stream=stream)
        for frame in list(islice(container.decode(stream), AFTER_FRAMES))[:: AFTER_FRAMES - 1]:
            if frame.pts not in seen:
                seen.add(frame.pts)
                yield frame


def _spread(images: list[NDArray[np.int16]]) -> list[NDArray[np.int16]]:
    chosen = np.linspace(0, len(images) - 1, min(MOMENTS, len(images))).round().astype(int)
    return [images[index] for index in chosen]


def _gray(frame: VideoFrame) -> NDArray[np.int16]:
    size = _seen_size(frame.width, frame.height)
    small = frame.reformat(*size, format="gray", interpolation="AREA")
    return small.to_ndarray().astype(np.int16)


def _small(image: Image.Image) -> NDArray[np.int16]:
    size = _seen_size(*image.size)
    return np.asarray(image.resize(size, Image.Resampling.BOX)).astype(np.int16)


def _seen_size(width: int, height: int) -> tuple[int, int]:
    factor = max(min(width, height) // SEEN_SIDE, 1)
    return max(width // factor, 1), max(height // factor, 1)
