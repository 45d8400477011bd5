"""Pictures and films of the field as portraits: they look as players show them."""

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from flows.preflight.inputs import PortraitFacts, inspect_portrait, portrait_of
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import ImageUnreadableError, NoFaceError
from sonic_ops.picture.images import load_source_image
from sonic_ops.picture.video_frames import frames_at
from tests.field.media import DATA, EXAMPLES, SPEECH, ffmpeg

ADA = EXAMPLES / "ada.png"
SETTINGS = PortraitConfig(resolution=128)


def pixels(source: Path) -> NDArray[np.uint8]:
    return np.asarray(load_source_image(str(source), 50).image)


def ada(width: int = 512, height: int = 512) -> NDArray[np.uint8]:
    return np.asarray(Image.open(ADA).convert("RGB").resize((width, height)))


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


def facts(source: Path, framing: str = "face") -> PortraitFacts:
    settings = SETTINGS.model_copy(update={"framing": framing})
    return inspect_portrait(str(source), None, None, settings)


def film(target: Path, *arguments: str, seconds: float = 1) -> Path:
    """Ada, standing still."""
    still = ["-loop", "1", "-framerate", "25", "-t", str(seconds), "-i", ADA]
    ffmpeg(*still, "-pix_fmt", "yuv420p", *arguments, target)
    return target


def test_a_film_for_bright_screens_gets_its_colours_back() -> None:
    shown = pixels(DATA / "phone_hlg.mov")
    assert likeness(shown, ada()) > 0.99
    assert np.abs(shown.astype(float) - ada()).mean() < 12
    (later,) = frames_at(DATA / "phone_hlg.mov", [Fraction(1, 5)])
    assert likeness(np.asarray(later), ada()) > 0.99


def test_hdr_of_television_is_tone_mapped_too(tmp_path: Path) -> None:
    """PQ, in which ordinary white is at 0.58."""
    grey = np.full((64, 64, 3), 0.58 * 65_535, np.uint16)
    (tmp_path / "a.rgb").write_bytes(grey.tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb48le", "-s", "64x64", "-i", tmp_path / "a.rgb"]
    tags = ["-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"]
    x265 = ["-x265-params", "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=0"]
    ffmpeg(*raw, "-c:v", "libx265", "-pix_fmt", "yuv420p10le", *tags, *x265, tmp_path / "a.mp4")
    assert pixels(tmp_path / "a.mp4").mean() == pytest.approx(230, abs=12)


def test_pixels_that_are_not_square() -> None:
    shown = pixels(DATA / "hdv.mp4")
    assert shown.shape == (1080, 1920, 3)
    (later,) = frames_at(DATA / "hdv.mp4", [Fraction(1, 5)])
    assert later.size == (1920, 1080)
    assert facts(DATA / "hdv.mp4").size == (1920, 1080)


@pytest.mark.parametrize("ratio", ["32/27", "8/9", "2", "1/2"])
def test_faces_keep_their_shape(ratio: str, tmp_path: Path) -> None:
    """As DVDs and DV cassettes are: squeezed in the file, and shown as they were."""
    squeeze = f"scale=trunc(iw/2/({ratio})/2)*2:trunc(ih/4)*2,setsar={ratio}"
    source = film(tmp_path / "a.mkv", "-vf", squeeze)
    width, height = load_source_image(str(source), 50).image.size
    assert width / height == pytest.approx(1, abs=0.02)
    assert likeness(pixels(source), ada(width, height)) > 0.98


@pytest.mark.parametrize(
    ("ending", "more"),
    [
        ("avi", ["-c:v", "mjpeg", "-q:v", "2"]),
        ("mts", ["-f", "mpegts"]),
        ("mpg", ["-b:v", "4M"]),
        ("wmv", ["-b:v", "4M"]),
        ("mxf", ["-c:v", "mpeg2video", "-b:v", "4M"]),
        ("flv", ["-q:v", "2"]),
        ("ogv", ["-q:v", "9"]),
        ("3gp", ["-c:v", "mpeg4", "-q:v", "2"]),
        ("m4v", ["-c:v", "mpeg4", "-q:v", "2"]),
    ],
)
def test_films_of_every_kind_are_portraits(ending: str, more: list[str], tmp_path: Path) -> None:
    source = film(tmp_path / f"a.{ending}", "-vf", "fps=25", *more, seconds=2)
    assert likeness(pixels(source), ada()) > 0.98
    assert facts(source, "paste").notes == (
        "the portrait is a video: the face of its first frame speaks in all of them",
    )
    moments = [Fraction(n, 25) for n in range(0, 70, 7)]
    for one in (0, 3, 9):
        (alone,) = frames_at(source, [moments[one]])
        together = list(frames_at(source, moments))[one]
        assert np.array_equal(np.asarray(alone), np.asarray(together))


def test_the_photo_of_a_phone() -> None:
    assert likeness(pixels(DATA / "phone.heic"), ada(*Image.open(ADA).size)) > 0.9
    assert facts(DATA / "phone.heic").notes == ()


def test_a_damaged_photo_of_a_phone_ends_no_process() -> None:
    """A file from pillow-heif's tests, on which older decoders crash."""
    assert load_source_image(str(DATA / "invalid_metadata_type.heic"), 50).image.size == (16, 16)


def test_a_film_that_fades_in_is_looked_at_later() -> None:
    (note,) = facts(DATA / "fade_in.mp4").notes
    assert (
        note
        == "the portrait is a video: its frame at 0.5 s is used, since no face was found before"
    )
    portrait = portrait_of(str(DATA / "fade_in.mp4"), None, SETTINGS)
    assert portrait.num_faces == 1
    assert portrait.image_CHW.std() > 0.1


def test_a_film_without_a_face_is_refused(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=gray:d=2:s=64x64", tmp_path / "a.mp4")
    with pytest.raises(NoFaceError):
        facts(tmp_path / "a.mp4")


def test_a_title_that_is_no_utf_8_harms_nothing() -> None:
    assert likeness(pixels(DATA / "shift_jis.mp4"), ada()) > 0.95


@pytest.mark.parametrize(("quarters", "how"), [(1, "lies on its side"), (2, "stands upside down")])
def test_a_face_that_does_not_stand_is_told(quarters: int, how: str, tmp_path: Path) -> None:
    """Of `full`, which takes any picture; the others refuse what shows no face."""
    Image.fromarray(np.rot90(ada(), quarters)).save(tmp_path / "a.png")
    said = ""
    try:
        said = "; ".join(facts(tmp_path / "a.png", "full").notes)
    except NoFaceError as error:
        said = error.message
    assert how in said
    assert f"turned by {360 - 90 * quarters} degrees" in said
    assert facts(ADA).notes == ()


def test_the_cover_of_an_album_is_an_image(tmp_path: Path) -> None:
    cover = ["-i", SPEECH, "-i", ADA, "-map", "0:a", "-map", "1:v", "-c:v", "copy"]
    ffmpeg(*cover, "-disposition:v", "attached_pic", tmp_path / "a.m4a")
    assert np.array_equal(pixels(tmp_path / "a.m4a"), pixels(ADA))
    assert facts(tmp_path / "a.m4a").notes == ()


def test_a_cover_before_the_film_is_not_the_film(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", tmp_path / "cover.png")
    both = ["-i", tmp_path / "cover.png", "-i", film(tmp_path / "a.mp4")]
    streams = ["-map", "0:v", "-map", "1:v", "-c", "copy", "-disposition:v:0", "attached_pic"]
    ffmpeg(*both, *streams, tmp_path / "b.mp4")
    assert likeness(pixels(tmp_path / "b.mp4"), ada()) > 0.98


@pytest.mark.parametrize(
    ("ending", "codec"), [("mov", "qtrle"), ("webm", "libvpx-vp9"), ("mov", "png")]
)
def test_what_is_transparent_is_white(ending: str, codec: str, tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, :32] = (255, 0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "a.png")
    still = ["-loop", "1", "-t", "1", "-i", tmp_path / "a.png", "-c:v", codec]
    ffmpeg(
        *still, *(["-pix_fmt", "yuva420p"] if ending == "webm" else []), tmp_path / f"b.{ending}"
    )
    shown = pixels(tmp_path / f"b.{ending}").astype(int)
    assert np.abs(shown[:, 2:28] - (255, 0, 0)).max() < 12
    assert shown[:, 36:].min() > 245


def test_a_mirrored_film_is_mirrored(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4")
    content = bytearray(source.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    assert content[matrix : matrix + 4] == b"\0\1\0\0"
    content[matrix : matrix + 4] = b"\xff\xff\0\0"
    (tmp_path / "b.mp4").write_bytes(content)
    assert np.array_equal(pixels(tmp_path / "b.mp4"), pixels(source)[:, ::-1])


def test_damaged_images_of_a_film_are_passed_over(tmp_path: Path) -> None:
    source = film(tmp_path / "a.avi", "-c:v", "mjpeg", "-q:v", "2")
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60_000] = bytes(60_000)
    (tmp_path / "b.avi").write_bytes(content)
    for picture in frames_at(tmp_path / "b.avi", [Fraction(n, 5) for n in range(6)]):
        assert np.asarray(picture)[:100].mean() > 60


def test_images_go_by_the_clock_of_the_file(tmp_path: Path) -> None:
    """Sound first, pictures 0.6 s later: at 0.8 s the sixth picture is shown, not the twentieth."""
    levels = ["-f", "lavfi", "-i", "color=black:s=64x64:r=25:d=2,geq=lum='16+4*N':cb=128:cr=128"]
    ffmpeg("-i", SPEECH, "-itsoffset", "0.6", *levels, "-c:a", "aac", tmp_path / "a.mp4")
    first, sixth = frames_at(tmp_path / "a.mp4", [Fraction(0), Fraction(41, 50)])
    ratio = 255 / 219
    assert np.asarray(first).mean() == pytest.approx(0, abs=4)
    assert np.asarray(sixth).mean() == pytest.approx(4 * 5 * ratio, abs=5)


@pytest.mark.parametrize("form", ["TGA", "PCX", "ICO"])
def test_images_of_other_kinds_are_named(form: str, tmp_path: Path) -> None:
    Image.open(ADA).convert("RGB").resize((64, 64)).save(tmp_path / "ada.png", form)
    with pytest.raises(ImageUnreadableError, match=f"it is {form}, which is not read") as caught:
        load_source_image(str(tmp_path / "ada.png"), 50)
    assert "Save it as PNG or JPEG" in caught.value.remedy


def test_endings_do_not_count(tmp_path: Path) -> None:
    shutil.copy(film(tmp_path / "a.mpg"), tmp_path / "b.png")
    assert load_source_image(str(tmp_path / "b.png"), 50).is_video
