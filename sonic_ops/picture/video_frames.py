"""A film that is given as a portrait: what it shows at its start, later, and at every moment.

A film is shown as players do: upright, with square pixels, in the colours of ordinary video, on
white where it is transparent, and on the clock of its file.
"""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class FilmFrame:
    """A frame as the file has it, and when it is shown, counted from the start of the film.

    It may be used when the file is closed: FFmpeg's streams may not, and crash.
    """

    time_s: Fraction
    raw: VideoFrame
    pixel_shape: Fraction | None  # width against height; None if the file does not say
    average_rate: Fraction | None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height as players show it, with square pixels and upright."""
        width, height = self._size
        return (height, width) if round(self.raw.rotation / 90) % 2 else (width, height)

    def shown(self, long_side: int | None = None) -> NDArray[np.uint8]:
        """Return what players show (H W 3), made smaller if its long side is longer than that."""
        size = self._size
        scale = min((long_side or max(size)) / max(size), 1.0)
        return _upright(self.raw, (max(round(size[0] * scale), 2), max(round(size[1] * scale), 2)))

    @property
    def _size(self) -> tuple[int, int]:
        """Width and height with square pixels, before the frame is turned."""
        return _square_size(self.raw.width, self.raw.height, self.pixel_shape)

    @property
    def display_matrix(self) -> tuple[int, ...] | None:
        """Return how the file asks players to turn its frames, as FFmpeg has it."""
        return _display_matrix(self.raw)

    @property
    def to_raw(self) -> NDArray[np.float64]:
        """Return the map (2 x 3) from places in what is shown to places in the frame as it is."""
        wide, high = self._size
        x, y = self.raw.width / wide, self.raw.height / high
        matrix = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
        quarters = round(self.raw.rotation / 90)
        if _is_mirrored(self.raw):
            flip = np.array([[-1, 0, wide - 1], [0, 1, 0], [0, 0, 1]])
            matrix, quarters = matrix @ flip, quarters + 2
        for _ in range(quarters % 4):  # np.rot90 puts (x, y) at (y, width - 1 - x)
            back = np.array([[0, -1, wide - 1], [1, 0, 0], [0, 0, 1]])
            matrix, wide, high = matrix @ back, high, wide
        return np.asarray(matrix[:2])


def film_frames(
    file: IO[bytes], start_s: Fraction = Fraction(0), stop_s: Fraction | None = None
) -> Iterator[FilmFrame]:
    """Yield the frames shown from `start_s` on and before `stop_s`, as they can be decoded.

    Raises ImageUnreadableError if there is none in the whole film.
    """
    try:
        with open_film(file) as (container, stream):
            shape, rate = _pixel_shape(stream), stream.average_rate
            for time_s, frame in _frames_from(container, stream, start_s):
                if stop_s is not None and time_s >= stop_s:
                    return
                if time_s >= start_s:
                    yield FilmFrame(time_s, frame, shape, rate)
    except MediaError as error:
        raise _undecodable(error) from error


def film_size(file: IO[bytes]) -> tuple[int, int] | None:
    """Return width and height as shown; None if the file is no film."""
    file.seek(0)
    if file.read(12)[8:] in _PHOTOS:
        return None
    with suppress(MediaError), open_film(file) as (_, stream):
        return _shown_size(stream)
    return None


def is_film(file: IO[bytes]) -> bool:
    """Return whether a file is a film; album covers are not."""
    with open_film(file) as (_, stream):
        return not is_cover(stream)


def frames_every(file: IO[bytes], step_s: float) -> Iterator[tuple[float, Image.Image]]:
    """Yield frames in the order of the film, the first, and then one of every `step_s` seconds.

    Raises MediaError if none can be decoded.
    """
    with open_film(file) as (container, stream):
        start, due = film_start(container, stream), -1.0
        for frame in _frames(container, stream):
            time_s = float((frame.time or 0) - start)
            if time_s >= due:
                yield max(time_s, 0.0), _image(frame, stream)
                due = time_s + step_s
        if due < 0:
            raise MediaError("it is damaged: none of its frames can be decoded")


def frames_at(source: Path | IO[bytes], moments: Iterable[Fraction]) -> Iterator[Image.Image]:
    """Yield the RGB frame at rising times in seconds; beyond the end, the last one.

    Raises ImageUnreadableError.
    """
    moments = iter(moments)
    start = next(moments)
    try:
        with open_film(str(source) if isinstance(source, Path) else source) as (container, stream):
            frames = _frames_from(container, stream, start)
            _, shown = next(frames)
            image, following = _image(shown, stream), next(frames, None)
            for moment in chain((start,), moments):
                has_changed = False
                while following is not None and following[0] <= moment:
                    shown, following, has_changed = following[1], next(frames, None), True
                if has_changed:
                    image = _image(shown, stream)
                yield image
    except (MediaError, StopIteration) as error:
        raise _undecodable(error) from error


def _undecodable(error: Exception) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"The video cannot be decoded ({error or 'it has no image'})",
        remedy="Export it once more, or give an image.",
    )


@contextmanager
def open_film(file: IO[bytes] | str) -> Iterator[tuple[InputContainer, VideoStream]]:
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
    """Yield frames with their times in seconds, from one that is shown at a moment or before."""
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
    """Return width and height with square pixels: the side grows that is too short."""
    shape = frame or stream.codec_context
    return _square_size(shape.width, shape.height, _pixel_shape(stream))


def _pixel_shape(stream: VideoStream) -> Fraction | None:
    ratio: Fraction | None = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return ratio


def _square_size(width: int, height: int, shape: Fraction | None) -> tuple[int, int]:
    ratio = shape or Fraction(1)
    if not Fraction(1, _MAX_STRETCH) <= ratio <= _MAX_STRETCH:
        ratio = Fraction(1)
    wider, higher = max(ratio, Fraction(1)), max(1 / ratio, Fraction(1))
    return round(width * wider), round(height * higher)


def _image(frame: VideoFrame, stream: VideoStream) -> Image.Image:
    """Convert a frame to what players show: RGB, upright, square pixels."""
    return Image.fromarray(_upright(frame, _shown_size(stream, frame)))


def _upright(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Convert a frame to RGB of a width and height, then turn it as the file asks."""
    shown_HWC = ordinary(frame, size) if is_hdr(frame) else _rgb(frame, size)
    quarters = round(frame.rotation / 90)
    if _is_mirrored(frame):
        shown_HWC, quarters = shown_HWC[:, ::-1], quarters + 2  # a mirror counts as half a turn
    return np.ascontiguousarray(np.rot90(shown_HWC, quarters))


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
    image = Image.fromarray(shown_HWC)
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    data: Any  # the stubs of PyAV take the container for a mapping
    for data in frame.side_data:
        if data.type == Type.DISPLAYMATRIX:
            return struct.unpack("<9i", bytes(data)[:36])
    return None


def _is_mirrored(frame: VideoFrame) -> bool:
    """Return whether the file asks for a mirrored frame, as some phones do."""
    a, b, _, c, d, *_ = _display_matrix(frame) or (1, 0, 0, 0, 1)
    return a * d < b * c
