"""Files of pictures: every kind becomes sRGB of 8 bits, or one sentence says why not."""

import io
import warnings
from pathlib import Path
from typing import Any

import cv2
import fsspec
import numpy as np
import pytest
from PIL import Image, ImageCms

from flows.preflight.inputs import inspect_portrait
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import ImageUnreadableError, MissingFileError
from sonic_ops.picture.images import load_image, load_source_image

FACE = Path(__file__).parents[2] / "golden" / "faces" / "glasses.png"


def test_exif_turns_the_image(tmp_path: Path) -> None:
    picture = Image.new("RGB", (64, 32), "red")
    picture.paste("blue", (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    picture.save(tmp_path / "a.png", exif=exif)
    upright = load_image(str(tmp_path / "a.png"))
    assert upright.size == (32, 64)
    assert upright.getpixel((16, 4)) == (0, 0, 255)
    assert upright.getpixel((16, 60)) == (255, 0, 0)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "PA", "RGBA", "CMYK", "I;16", "1"])
def test_every_pixel_format_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "tiff" if mode in {"CMYK", "PA"} else "png"
    if mode == "I;16":
        picture = Image.fromarray(np.full((8, 8), 0x8000, np.uint16))
    else:
        picture = Image.new("RGB", (8, 8), (128, 128, 128)).convert("L").convert(mode)
    picture.save(tmp_path / f"a.{suffix}")
    image = load_image(str(tmp_path / f"a.{suffix}"))
    assert image.mode == "RGB"
    if mode != "1":
        assert image.getpixel((4, 4)) == (128, 128, 128)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert load_image(str(tmp_path / "a.png")).getpixel((4, 4)) == (255, 255, 255)


def test_a_url_of_another_file_system_is_read() -> None:
    with fsspec.open("memory://pictures/face.png", "wb") as file:
        file.write(FACE.read_bytes())
    assert load_image("memory://pictures/face.png").tobytes() == load_image(str(FACE)).tobytes()


@pytest.mark.parametrize("content", [b"", b"a sentence, not a picture", FACE.read_bytes()[:2000]])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageUnreadableError, match=r"a\.png") as caught:
        load_image(str(tmp_path / "a.png"))
    assert "PNG" in caught.value.remedy


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.png"):
        load_image(str(tmp_path / "nowhere.png"))
    with pytest.raises(MissingFileError):
        load_image(str(tmp_path))


@pytest.mark.parametrize("ending", ["png", "tiff", "ppm", "pgm"])
@pytest.mark.parametrize("num_colours", [1, 3, 4])
def test_16_bits_become_8(tmp_path: Path, ending: str, num_colours: int) -> None:
    if num_colours != {"ppm": 3, "pgm": 1}.get(ending, num_colours):
        return
    wide = np.full((8, 8, num_colours), 0x8000, np.uint16)
    wide[..., 3:] = 0xFFFF
    cv2.imwrite(str(tmp_path / f"a.{ending}"), wide)
    assert load_image(str(tmp_path / f"a.{ending}")).getpixel((4, 4)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [("F", "of the kind F"), ("LAB", "of the kind LAB"), ("I", "numbers of 32 bits")],
)
def test_pixels_that_are_no_colours_are_said(tmp_path: Path, mode: str, reason: str) -> None:
    Image.new(mode, (8, 8), -1 if mode == "I" else 0).save(tmp_path / "a.tiff")
    with pytest.raises(ImageUnreadableError, match=reason):
        load_image(str(tmp_path / "a.tiff"))


def test_colours_of_a_profile_become_those_of_a_video(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    plain = Image.new("RGB", (8, 8), (200, 80, 40))
    plain.save(tmp_path / "srgb.png", icc_profile=srgb.tobytes())
    plain.save(tmp_path / "none.png", icc_profile=b"no profile")
    assert load_image(str(tmp_path / "srgb.png")).getpixel((4, 4)) == (200, 80, 40)
    assert load_image(str(tmp_path / "none.png")).getpixel((4, 4)) == (200, 80, 40)
    plain.save(tmp_path / "swapped.png", icc_profile=swapped_srgb())
    assert load_image(str(tmp_path / "swapped.png")).getpixel((4, 4)) == pytest.approx(
        (40, 80, 200), abs=2
    )
    with_alpha = plain.convert("RGBA")
    with_alpha.putpixel((0, 0), (0, 0, 0, 0))
    with_alpha.save(tmp_path / "alpha.png", icc_profile=swapped_srgb())
    image = load_image(str(tmp_path / "alpha.png"))
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((4, 4)) == pytest.approx((40, 80, 200), abs=2)


def swapped_srgb() -> bytes:
    """A profile of colours whose red is the blue of sRGB; its name says nothing."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for old, new in ((b"rXYZ", b"????"), (b"bXYZ", b"rXYZ"), (b"????", b"bXYZ")):
        profile = profile.replace(old, new, 1)
    return profile.replace("sRGB".encode("utf-16-be"), "XXXX".encode("utf-16-be"))


ANIMATIONS: dict[str, dict[str, Any]] = {
    "gif": {},
    "webp": {"lossless": True},
    "png": {},
    "tiff": {},
}


@pytest.mark.parametrize("ending", ANIMATIONS)
def test_of_an_animation_the_first_image_is_taken_and_that_is_said(
    tmp_path: Path, ending: str
) -> None:
    first = load_image(str(FACE)).resize((96, 96)).quantize(32).convert("RGB")
    path, others = tmp_path / f"a.{ending}", [Image.new("RGB", first.size, "blue")]
    first.save(path, save_all=True, append_images=others, **ANIMATIONS[ending])
    picture = load_source_image(str(path), 1)
    assert picture.is_first_of_many
    assert np.abs(np.asarray(picture.image).astype(int) - np.asarray(first)).max() <= 2
    facts = inspect_portrait(str(path), (20, 20, 50, 50), None, PortraitConfig(resolution=64))
    (note,) = facts.notes
    assert "first image is used" in note
    first.save(path)
    assert not load_source_image(str(path), 1).is_first_of_many


def test_the_gain_map_of_a_phone_is_no_second_image(tmp_path: Path) -> None:
    picture = Image.new("RGB", (8, 8))
    picture.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[picture])
    assert not load_source_image(str(tmp_path / "a.jpg"), 1).is_first_of_many


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    Image.new("1", (7000, 6000)).save(path)
    path.write_bytes(path.read_bytes()[:200])  # decoding would find it damaged
    with pytest.raises(ImageUnreadableError, match="7000 x 6000 pixels, and 41 megapixels") as said:
        load_source_image(str(path), 41)
    assert "portrait.max_megapixels" in said.value.remedy


@pytest.mark.parametrize("action", ["ignore", "error"])
def test_what_pillow_refuses_is_said_in_the_same_words(
    tmp_path: Path, action: "warnings._ActionKind"
) -> None:
    before = Image.MAX_IMAGE_PIXELS
    sizes = {"large": 100_000_000, "vast": 200_000_000}
    for name, num_pixels in sizes.items():
        (tmp_path / name).write_bytes(b"P5 10000 %d 255\n" % (num_pixels // 10_000))
        with (
            warnings.catch_warnings(action=action),
            pytest.raises(ImageUnreadableError, match="and 89 megapixels are the most"),
        ):
            load_source_image(str(tmp_path / name), 89)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"])
def test_half_a_file_is_damaged(tmp_path: Path, kind: str) -> None:
    whole = io.BytesIO()
    load_image(str(FACE)).save(whole, kind)
    (tmp_path / "half").write_bytes(whole.getvalue()[: whole.tell() // 2])
    with pytest.raises(ImageUnreadableError, match=r"half cannot be read: .*it is damaged"):
        load_image(str(tmp_path / "half"))


def test_exif_that_is_damaged_hides_no_image(tmp_path: Path) -> None:
    Image.new("RGB", (16, 8), "red").save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff")
    assert load_image(str(tmp_path / "a.jpg")).size == (16, 8)
