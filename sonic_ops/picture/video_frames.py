"""A film that is given as a picture: what it shows at its start, later, and at every moment.

A film is shown as players do: upright, with square pixels, in the colours of ordinary video, on
white where it is transparent, and on the clock of its file.
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.containers import (
    FAULTS,
    CutOffError,
    MediaError,
    film_start,
    film_stream,
    frames_of,
    is_cover,
    is_still,
    open_container,
    packets_of,
    translated,
)
from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.media.encoding import EXACT
from sonic_ops.picture.tone_mapping import is_hdr, ordinary

_PHOTOS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
"""What HEIF files call themselves: FFmpeg would show one tile of such a photo as a video."""
_UNSAID = 2  # how H.273 numbers colours that a file does not name
_HD_HEIGHT = 720  # players take BT.709 from here on, and BT.601 below
_MAX_STRETCH = 8  # of pixels; what says more is damaged
_INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
_BACK_S = (0, 10, 60)  # from where on a moment is looked for, until it is found


def film_size(file: IO[bytes]) -> tuple[int, int] | None:
    """Width and height as shown; None if the file is no film."""
    file.seek(0)
    if file.read(12)[8:] in _PHOTOS:
        return None
    with suppress(MediaError), _opened(file) as (_, stream):
        return _shown_size(stream)
    return None


def is_film(file: IO[bytes]) -> bool:
    """Return whether a file is a film; album covers are not."""
    with _opened(file) as (_, stream):
        return not is_cover(stream)


def pictures_every(file: IO[bytes], step_s: float) -> Iterator[tuple[float, Image.Image]]:
    """Pictures in the order of the film, the first, and then one of every `step_s` seconds.

    Raises MediaError if none can be decoded.
    """
    with _opened(file) as (container, stream):
        start, due = film_start(container, stream), -1.0
        for frame in _frames(container, stream):
            time_s = float((frame.time or 0) - start)
            if time_s >= due:
                yield max(time_s, 0.0), _picture(frame, stream)
                due = time_s + step_s
        if due < 0:
            raise MediaError("it is damaged: none of its pictures can be decoded")


def pictures_at(source: Path | IO[bytes], moments: Iterable[Fraction]) -> Iterator[Image.Image]:
    """Yield the RGB picture at rising times in seconds; beyond the end, the last one.

    Raises ImageUnreadableError.
    """
    moments = iter(moments)
    start = next(moments)
    try:
        with _opened(str(source) if isinstance(source, Path) else source) as (container, stream):
            frames = _frames_from(container, stream, start)
            _, shown = next(frames)
            picture, following = _picture(shown, stream), next(frames, None)
            for moment in chain((start,), moments):
                has_changed = False
                while following is not None and following[0] <= moment:
                    shown, following, has_changed = following[1], next(frames, None), True
                if has_changed:
                    picture = _picture(shown, stream)
                yield picture
    except (MediaError, StopIteration) as error:
        raise ImageUnreadableError(
            f"The video of the portrait cannot be decoded ({error or 'it has no picture'})",
            remedy="Export it once more, or give a picture.",
            field="portrait",
        ) from error


@contextmanager
def _opened(file: IO[bytes] | str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a film and its video track. Raises MediaError."""
    if not isinstance(file, str):
        file.seek(0)
    with translated(file), open_container(file) as container:
        stream = film_stream(container)
        if stream is None or is_still(container):
            raise MediaError("its format is unknown, or it is damaged")
        if stream.codec_context is None or not stream.codec_context.width:
            raise MediaError("its codec is unknown")
        yield container, stream


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames that can be decoded."""
    decoder = _alpha_decoder(stream)
    with suppress(CutOffError):
        for packet in packets_of(container):
            if packet is None or packet.stream.index != stream.index:
                continue
            if decoder is None:
                frames = frames_of(packet) or []
            else:
                frames = []
                with suppress(*FAULTS):
                    frames = list(decoder.decode(packet if packet.size else None))
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                yield frame


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """Return a decoder for transparent VP8 and VP9, which FFmpeg's own ignores."""
    name = stream.codec_context.name
    if stream.metadata.get("alpha_mode") != "1" or name not in {"vp8", "vp9"}:
        return None
    decoder = VideoCodecContext.create("libvpx" if name == "vp8" else "libvpx-vp9", "r")
    assert isinstance(decoder, VideoCodecContext)
    return decoder


def _frames_from(
    container: InputContainer, stream: VideoStream, moment: Fraction
) -> Iterator[tuple[Fraction, VideoFrame]]:
    """Frames with their times in seconds, from one that is shown at a moment or before."""
    assert stream.time_base is not None
    start = film_start(container, stream)
    for back_s in _BACK_S if container.format.name in _INDEXED else _BACK_S[1:]:
        if moment <= back_s and back_s:
            break
        container.seek(int((start + moment - back_s) / stream.time_base), stream=stream)
        frames = _timed(container, stream, start)
        first = next((each for each in frames if each[1].key_frame), None)
        if first is not None and first[0] <= moment:
            yield first
            yield from frames
            return
    container.seek(int(start / stream.time_base), stream=stream)
    yield from _timed(container, stream, start)


def _timed(
    container: InputContainer, stream: VideoStream, start: Fraction
) -> Iterator[tuple[Fraction, VideoFrame]]:
    for frame in _frames(container, stream):
        if frame.pts is not None and stream.time_base is not None:
            yield frame.pts * stream.time_base - start, frame


def _shown_size(stream: VideoStream, frame: VideoFrame | None = None) -> tuple[int, int]:
    """Width and height with square pixels: the side grows that is too short."""
    shape = frame or stream.codec_context
    ratio: Fraction = (
        stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    )
    if not Fraction(1, _MAX_STRETCH) <= ratio <= _MAX_STRETCH:
        ratio = Fraction(1)
    wider, higher = max(ratio, Fraction(1)), max(1 / ratio, Fraction(1))
    return round(shape.width * wider), round(shape.height * higher)


def _picture(frame: VideoFrame, stream: VideoStream) -> Image.Image:
    """Convert a frame to what players show: RGB, upright, square pixels."""
    size = _shown_size(stream, frame)
    shown_HWC = ordinary(frame, size) if is_hdr(frame) else _rgb(frame, size)
    quarters = round(frame.rotation / 90)
    if _is_mirrored(frame):
        shown_HWC, quarters = shown_HWC[:, ::-1], quarters + 2  # a mirror counts as half a turn
    turned_HWC = np.rot90(shown_HWC, quarters)
    return Image.fromarray(np.ascontiguousarray(turned_HWC))


def _rgb(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    is_unsaid = int(frame.colorspace) == _UNSAID
    guess = Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601
    has_alpha = any(part.is_alpha for part in frame.format.components)
    shown = frame.reformat(
        *size,
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=guess if is_unsaid else None,
        interpolation=EXACT,
        threads=1,
    )
    shown_HWC = np.asarray(shown.to_ndarray(), np.uint8)
    if not has_alpha:
        return shown_HWC
    picture = Image.fromarray(shown_HWC)
    white = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(white, picture).convert("RGB"))


def _is_mirrored(frame: VideoFrame) -> bool:
    """Return whether the file asks for a mirrored picture, as some phones do."""
    data: Any  # the stubs of PyAV take the container for a mapping
    for data in frame.side_data:
        if data.type == Type.DISPLAYMATRIX:
            a, b, _, c, d, *_ = struct.unpack("<9i", bytes(data)[:36])
            return bool(a * d < b * c)
    return False
