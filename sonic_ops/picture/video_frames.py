"""A video that is given as a picture: its first one, and what it shows at every moment."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from PIL import Image

from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.core.files import LOCAL_ONLY
from sonic_ops.media.encoding import EXACT

_FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_PHOTOS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""What HEIF files call themselves: FFmpeg would show one tile of such a photo as a video."""
_UNSAID = 2  # how H.273 numbers colours that a file does not name
_HD_HEIGHT = 720  # players take BT.709 from here on, and BT.601 below


def size_of(file: IO[bytes]) -> tuple[int, int] | None:
    """Width and height; None if the file is no video."""
    file.seek(0)
    if file.read(12)[8:] in _PHOTOS:
        return None
    file.seek(0)
    with suppress(av.error.FFmpegError, OSError, ValueError), _opened(file) as container:
        if container.format.name in _FORMATS and container.streams.video:
            context = container.streams.video[0].codec_context  # None if the codec is unknown
            return (context.width, context.height) if context else None
    return None


def first_picture(file: IO[bytes]) -> Image.Image:
    """The first picture, RGB. Raises OSError or ValueError if it cannot be decoded."""
    file.seek(0)
    try:
        with _opened(file) as container:
            return _picture(next(container.decode(video=0)))
    except (av.error.FFmpegError, StopIteration) as error:
        raise ValueError(str(error) or "there is no picture in it") from error


def pictures_at(source: Path | IO[bytes], moments: Iterable[Fraction]) -> Iterator[Image.Image]:
    """What is shown at moments in seconds that rise; behind its end the last picture, RGB.

    Raises ImageUnreadableError.
    """
    moments = iter(moments)
    start = next(moments)
    try:
        with _opened(str(source) if isinstance(source, Path) else source) as container:
            frames = _frames_from(container, start)
            _, shown = next(frames)
            picture, following = _picture(shown), next(frames, None)
            for moment in chain((start,), moments):
                while following is not None and following[0] <= moment:
                    shown, following = following[1], next(frames, None)
                    picture = _picture(shown)
                yield picture
    except (av.error.FFmpegError, StopIteration) as error:
        raise ImageUnreadableError(
            f"The video of the portrait cannot be decoded ({error or 'it has no picture'})",
            remedy="Export it once more, or give a picture.",
            field="portrait",
        ) from error


def _opened(file: IO[bytes] | str) -> InputContainer:
    container: InputContainer = av.open(file, options=LOCAL_ONLY)
    return container


def _frames_from(
    container: InputContainer, moment: Fraction
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Frames with their times in seconds, from one that is shown at a moment or before."""
    stream = container.streams.video[0]
    assert stream.time_base is not None
    first, unit = stream.start_time or 0, stream.time_base
    container.seek(first + int(moment / unit), stream=stream)
    is_found = not moment
    for frame in container.decode(stream):
        if frame.pts is None:
            continue
        time = (frame.pts - first) * unit
        if time > moment and not is_found:  # its index is wrong
            yield from _frames_from(container, Fraction(0))
            return
        is_found = True
        yield time, frame


def _picture(frame: VideoFrame) -> Image.Image:
    """A frame as a player shows it: RGB, upright."""
    is_unsaid = int(frame.colorspace) == _UNSAID
    guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
    rgb = frame.reformat(
        format="rgb24",
        src_colorspace=guess if is_unsaid else None,
        interpolation=EXACT,
        threads=1,
    )
    turned_HWC = np.rot90(rgb.to_ndarray(), round(frame.rotation / 90))
    return Image.fromarray(np.ascontiguousarray(turned_HWC))
