"""From the file of a picture to its pixels, as a viewer shows them."""

import io
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import ImageUnreadableError
from sonic_ops.core.files import open_address
from sonic_ops.picture.video_frames import first_picture, size_of

# What Pillow raises for files that are damaged; it warns of large ones, and tests make that raise.
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DAMAGE = (OSError, RuntimeError, SyntaxError, ValueError, TypeError, LookupError, struct.error)
_FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
_ALBUM = "MPO"  # JPEG files of phones: what follows the picture is a map of its brightness
_MOST_16_BIT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Picture:
    """The first picture of a file, RGB, and whether others follow it."""

    image: Image.Image
    is_first_of_many: bool
    is_video: bool = False


def load_image(source: str, max_megapixels: float = PortraitConfig().max_megapixels) -> Image.Image:
    """The picture of a file. Raises as `load_picture`."""
    return load_picture(source, max_megapixels).image


def load_picture(source: str, max_megapixels: float) -> Picture:
    """The picture as a viewer shows it: sRGB, turned by its EXIF, transparency on white.

    Colours of 16 bits become 8; of an animation or a video (MP4, QuickTime, Matroska, WebM) the
    first picture is taken. What is larger than
    `max_megapixels` is not decoded. Raises MissingFileError or ImageUnreadableError.
    """
    with open_address(source) as file:
        try:
            with Image.open(file, formats=_FORMATS) as image:
                _check_size(source, image.size, max_megapixels)
                is_many = image.format != _ALBUM and getattr(image, "is_animated", False)
                return Picture(_rgb(source, _upright(image)), is_many)
        except _TOO_LARGE as error:
            raise _too_large(source, "more", max_megapixels) from error
        except UnidentifiedImageError as error:
            size = size_of(file)
            if size is None:
                raise _unreadable(source, "its format is unknown, or it is damaged") from error
            return _first_of_video(source, file, size, max_megapixels)
        except _DAMAGE as error:
            raise _unreadable(source, f"it is damaged ({error})") from error


def _first_of_video(
    source: str, file: IO[bytes], size: tuple[int, int], max_megapixels: float
) -> Picture:
    _check_size(source, size, max_megapixels)
    try:
        return Picture(first_picture(file), is_first_of_many=True, is_video=True)
    except _DAMAGE as error:
        raise _unreadable(source, f"it is damaged ({error})") from error


def _check_size(source: str, size: tuple[int, int], max_megapixels: float) -> None:
    width, height = size
    if width * height > max_megapixels * 1e6:
        raise _too_large(source, f"{width} x {height}", max_megapixels)


def _too_large(source: str, size: str, max_megapixels: float) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"The picture {source} is too large: it has {size} pixels, and {max_megapixels:g} "
        "megapixels are the most",
        remedy="Make it smaller, or raise portrait.max_megapixels in the preset.",
    )


def _unreadable(source: str, reason: str) -> ImageUnreadableError:
    return ImageUnreadableError(
        f"The picture {source} cannot be read: {reason}",
        remedy="Give a PNG, JPEG, WebP or TIFF file that a picture viewer can show.",
    )


def _upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says; EXIF that is damaged says nothing, and viewers pass over it."""
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
    """The upper 8 of 16 bits."""
    wide = np.asarray(image)
    if image.mode == "I" and (wide.min() < 0 or wide.max() > _MOST_16_BIT):
        raise _unreadable(source, "its pixels are numbers of 32 bits, and no RGB colours")
    return Image.fromarray((wide // 256).astype(np.uint8))


def _in_srgb(pixels: Image.Image, original: Image.Image) -> Image.Image:
    """The pixels in the colours that the video has, if a profile says that they are in others."""
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
