"""From the file of an image to its pixels, as a viewer shows them."""

import io
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.containers import MediaError, reason_of
from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.core.files import open_url
from sonic_ops.picture.video_frames import film_size, frames_every, is_film

# What Pillow raises for files that are damaged; it warns of large ones, and tests make that raise.
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    struct.error,
)
pillow_heif.register_heif_opener()  # photos of phones
_FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SEARCHED_S = 60.0  # of a film for an image that is wanted
_SEARCH_STEP_S = 0.5
_BLANK = 4.0  # levels of 255 by which an image varies that shows nothing
_ALBUMS = ("MPO", "HEIF")  # of phones: what follows the image is a map of its brightness
_MOST_16_BIT = 0xFFFF


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image of a file, RGB, whether others follow it, and when a film shows it."""

    image: Image.Image
    is_first_of_many: bool
    is_video: bool = False
    at_s: float = 0.0


def load_image(source: str, max_megapixels: float = PortraitConfig().max_megapixels) -> Image.Image:
    """Load the image of a file. Raises as `load_source_image`."""
    return load_source_image(source, max_megapixels).image


def load_source_image(
    source: str, max_megapixels: float, is_wanted: Callable[[Image.Image], bool] | None = None
) -> SourceImage:
    """Load an image as viewers show it: sRGB, turned by EXIF, transparency on white.

    Colours of 16 bits become 8; of an animation the first image is taken. Of a film (any that
    FFmpeg reads) it is the first that `is_wanted` in its first minute, or else its first; of an
    album with a cover, the cover. What is larger than `max_megapixels` is not decoded. Raises
    MissingFileError or ImageUnreadableError.
    """
    with open_url(source) as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _check_size(source, image.size, max_megapixels)
                is_many = image.format not in _ALBUMS and getattr(image, "is_animated", False)
                return SourceImage(_rgb(source, _upright(image)), is_many)
        except _TOO_LARGE as error:
            raise _too_large(source, "more", max_megapixels) from error
        except UnidentifiedImageError as error:
            size = film_size(file)
            if size is None:
                raise _unreadable(source, _what_it_is(file)) from error
            _check_size(source, size, max_megapixels)
            return _of_film(source, file, is_wanted)
        except _DAMAGE as error:
            raise _unreadable(source, "it is damaged") from error


def is_blank(image: Image.Image) -> bool:
    """Return whether an image is blank, as when a film fades in."""
    return float(np.asarray(image.convert("L")).std()) < _BLANK


def _of_film(
    source: str, file: IO[bytes], is_wanted: Callable[[Image.Image], bool] | None
) -> SourceImage:
    first: Image.Image | None = None
    try:
        moves = is_film(file)
        for at_s, image in frames_every(file, _SEARCH_STEP_S):
            first = first or image
            if is_wanted is None or at_s > SEARCHED_S:
                break
            if is_wanted(image):
                return SourceImage(image, moves, moves, at_s)
    except MediaError as error:
        if first is None:
            raise _unreadable(source, str(error)) from error
    assert first is not None, "there is one, or an error"
    return SourceImage(first, moves, moves)


def _what_it_is(file: IO[bytes]) -> str:
    """Explain why a file is not a readable image."""
    file.seek(0)
    with suppress(*_DAMAGE, *_TOO_LARGE), Image.open(file) as image:
        return f"it is {image.format}, which is not read"
    return reason_of(ValueError(), file)


def _check_size(source: str, size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise _too_large(source, f"{width} x {height}", max_megapixels)


def _too_large(source: str, size: str, max_megapixels: float) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"The image {source} is too large: it has {size} pixels, and {max_megapixels:g} "
        "megapixels are the most",
        remedy="Make it smaller, or raise portrait.max_megapixels in the preset.",
    )


def _unreadable(source: str, reason: str) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"The image {source} cannot be read: {reason}",
        remedy="Save it as PNG or JPEG, or give another image or film.",
    )


def _upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF says; like viewers, ignore damaged EXIF."""
    with suppress(*_DAMAGE):
        return ImageOps.exif_transpose(image)
    return image


def _rgb(source: str, image: Image.Image) -> Image.Image:
    image.load()  # before its mode is asked: some formats know it only then
    if image.mode.startswith("I;16") or image.mode == "I":
        image = _8_bit(source, image)
    elif image.mode in {"F", "LAB"}:
        raise _unreadable(source, f"its pixels are of the kind {image.mode}, and no RGB colours")
    if image.has_transparency_data:
        rgba = _in_srgb(image.convert("RGBA"), image)
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    is_print = image.mode == "CMYK"
    return _in_srgb(image if is_print else image.convert("RGB"), image).convert("RGB")


def _8_bit(source: str, image: Image.Image) -> Image.Image:
    """Keep the upper 8 of 16 bits."""
    wide = np.asarray(image)
    if image.mode == "I" and (wide.min() < 0 or wide.max() > _MOST_16_BIT):
        raise _unreadable(source, "its pixels are numbers of 32 bits, and no RGB colours")
    return Image.fromarray((wide // 256).astype(np.uint8))


def _in_srgb(pixels: Image.Image, original: Image.Image) -> Image.Image:
    """Convert the pixels to sRGB if a profile says they are in other colours."""
    profile = original.info.get("icc_profile")
    if not profile:
        return pixels
    with suppress(ImageCms.PyCMSError, *_DAMAGE):  # a profile that is no profile
        named = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" not in ImageCms.getProfileDescription(named):
            mode = "RGBA" if pixels.mode == "RGBA" else "RGB"
            srgb = ImageCms.createProfile("sRGB")
            turned = ImageCms.profileToProfile(pixels, named, srgb, outputMode=mode)
            return turned or pixels
    return pixels
