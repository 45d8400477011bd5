"""What is pasted moves, the rest of the picture stays as it is, and no edge shows between them.

Shape letters: H, W rows and columns, C colours.
"""

from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.picture.compositing import (
    RIM,
    Backdrop,
    backdrop_from,
    backdrop_tensors,
    feather,
    paste,
    prepare_backdrop,
)
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import place_face
from tests.scene import draw_scene

FACE = Path(__file__).parents[2] / "golden" / "faces" / "glasses.png"
HEIGHT = 270
CROP = (600, 200, 1200, 800)
FACE_BOX = Box(807, 382, 186, 210)
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    """A face in a picture of 1920 x 1080 that is bright on one side and dark on the other."""
    ramp = np.linspace(40, 210, 1920)[None, :, None] * np.array([1.0, 0.9, 0.8])
    wave = 12 * np.sin(np.arange(1080) / 40)[:, None, None]
    picture = Image.fromarray(np.clip(ramp + wave, 0, 255).astype(np.uint8))
    with Image.open(FACE) as face:
        picture.paste(face.convert("RGB").resize((280, 280)), (760, 340))
    return prepare_backdrop(picture, CROP, FACE_BOX)


def part(backdrop: Backdrop) -> Pixels:
    left, top, right, bottom = backdrop.crop
    return backdrop.image_HWC[top:bottom, left:right]


def rendered(backdrop: Backdrop, shift: tuple[int, int, int] = (0, 0, 0)) -> Pixels:
    """The part in 256 pixels, as a model gives it: another size, other colours, an open mouth."""
    small = np.asarray(Image.fromarray(part(backdrop)).resize((256, 256))).astype(int)
    small = small.clip(30, 220)  # so that no colour is cut off below
    small[150:165, 110:145] = 30
    return (small + shift).clip(0, 255).astype(np.uint8)


def test_outside_of_the_part_nothing_changes(backdrop: Backdrop) -> None:
    (pasted,) = paste([rendered(backdrop, (9, -7, 4))], backdrop)
    outside = np.ones(pasted.shape[:2], bool)
    left, top, right, bottom = CROP
    outside[top:bottom, left:right] = False
    assert np.array_equal(pasted[outside], backdrop.image_HWC[outside])
    for edge in (pasted[top, left:right], pasted[bottom - 1, left:right]):
        assert edge.shape == (600, 3)
    assert np.array_equal(pasted[top, left:right], backdrop.image_HWC[top, left:right])
    mouth = pasted[top + 352 : top + 386, left + 260 : left + 338]
    assert mouth.mean() < 80


def test_after_the_codec_the_rest_is_the_source(backdrop: Backdrop, tmp_path: Path) -> None:
    frames = paste([rendered(backdrop, (9, -7, 4))] * 3, backdrop)
    pasted = luma_of(frames, EncodeSettings(preset="veryfast"), tmp_path)
    source = luma_of([backdrop.image_HWC], EncodeSettings(crf=0, preset="veryfast"), tmp_path)
    assert pasted.shape == (1080, 1920)
    error = (pasted - source)[:, : CROP[0] - 8]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 45


def luma_of(
    frames: Iterable[Pixels], settings: EncodeSettings, folder: Path
) -> NDArray[np.float64]:
    """The luma of the first frame as it is decoded."""
    encode_frames(frames, folder / "a.mp4", settings)
    with av.open(str(folder / "a.mp4")) as container:
        frame = next(container.decode(video=0))
        return frame.to_ndarray()[: frame.height].astype(float)


@pytest.mark.parametrize("shift", [(0, 0, 0), (9, -7, 4), (-25, -25, -25)])
def test_along_the_border_there_is_no_more_of_an_edge_than_in_the_source(
    backdrop: Backdrop, shift: tuple[int, int, int]
) -> None:
    (pasted,) = paste([rendered(backdrop, shift)], backdrop)
    left, top, right, bottom = CROP
    for across, line in ((1, left), (1, right), (0, top), (0, bottom)):
        found, source = (steps(image, across, line) for image in (pasted, backdrop.image_HWC))
        assert found.max() <= source.max() + 1


def steps(image: Pixels, axis: int, line: int) -> NDArray[np.float64]:
    """Mean difference of neighbouring rows or columns within 40 pixels of a border of the part."""
    side = slice(CROP[1], CROP[3]) if axis == 1 else slice(CROP[0], CROP[2])
    near = slice(line - 40, line + 40)
    region = image[side, near] if axis == 1 else image[near, side]
    return np.abs(np.diff(region.astype(float), axis=axis)).mean(axis=(1 - axis, 2))


def test_other_colours_are_drawn_to_those_of_the_image(backdrop: Backdrop) -> None:
    (plain,) = paste([rendered(backdrop)], backdrop)
    (shifted,) = paste([rendered(backdrop, (9, -7, 4))], backdrop)
    difference = np.abs(plain.astype(int) - shifted)
    assert difference.max() <= 3
    assert difference.mean() < 0.5


def test_a_part_at_the_border_of_the_image_fades_only_inwards() -> None:
    picture = np.full((100, 160, 3), 90, np.uint8)
    weights = feather(Backdrop(picture, (0, 20, 80, 100), Box(20, 40, 40, 40)), RIM)
    assert weights[-1, 0] == 1
    assert weights[0].max() == 0
    assert weights[:, -1].max() == 0
    assert (weights[round(80 * RIM) + 1 :, : round(80 * (1 - RIM)) - 1] == 1).all()
    assert (feather(Backdrop(picture, (0, 0, 160, 100), Box(0, 0, 9, 9)), RIM) == 1).all()


def test_a_frame_as_large_as_the_image_is_the_frame() -> None:
    frame = np.random.default_rng(0).integers(99, 256, (64, 96, 3), np.uint8)
    (pasted,) = paste([frame], Backdrop(np.zeros_like(frame), (0, 0, 96, 64), Box(0, 0, 9, 9)))
    assert np.array_equal(pasted, frame)


def test_every_frame_is_pasted_by_itself(backdrop: Backdrop) -> None:
    first, second = rendered(backdrop), rendered(backdrop, (5, 5, 5))
    together = list(paste([first, second], backdrop))
    assert np.array_equal(together[1], next(paste([second], backdrop)))


def test_a_backdrop_that_moves_shows_its_own_images_and_the_same_face(backdrop: Backdrop) -> None:
    later = backdrop.image_HWC.copy()
    later[:320, :] = later[:320, ::-1]  # above the face, and into the part
    still, moved = (
        next(paste([rendered(backdrop)], backdrop, [picture]))
        for picture in (backdrop.image_HWC, later)
    )
    assert np.array_equal(still, next(paste([rendered(backdrop)], backdrop)))
    assert np.array_equal(moved[:200], later[:200])
    assert np.array_equal(moved[200:300, 600:700], later[200:300, 600:700])
    box = np.s_[382:592, 807:993]  # of the face
    assert np.array_equal(moved[box], still[box])


def test_large_and_odd_images() -> None:
    large = prepare_backdrop(Image.new("RGB", (6000, 3001)), (1000, 500, 3000, 2500), FACE_BOX)
    assert large.image_HWC.shape == (2048, 4096, 3)
    assert large.crop == (683, 341, 2048, 1707)
    assert large.face == FACE_BOX.scaled(4096 / 6000)
    odd = prepare_backdrop(Image.new("RGB", (101, 81)), (21, 1, 101, 81), Box(40, 20, 30, 30))
    assert odd.image_HWC.shape == (80, 100, 3)
    assert odd.crop == (21, 1, 100, 80)


def test_a_backdrop_is_kept_as_tensors(backdrop: Backdrop) -> None:
    tensors = backdrop_tensors(backdrop)
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
    again = backdrop_from(tensors)
    assert (again.crop, again.face) == (backdrop.crop, backdrop.face)
    assert np.array_equal(again.image_HWC, backdrop.image_HWC)


@pytest.fixture(scope="module")
def slide() -> Backdrop:
    """A person at rest in front of lines and texture."""
    image = draw_scene(HEIGHT)
    place = place_face(image, resolution=64, framing="paste", face_box=None, expand=0.5)
    return prepare_backdrop(image, place.crop, place.box)


def as_rendered(whole: Pixels, slide: Backdrop, side: int) -> Pixels:
    """The part of a picture as a model gives it that makes no mistake."""
    left, top, right, bottom = slide.crop
    return np.asarray(
        cv2.resize(whole[top:bottom, left:right], (side, side), interpolation=cv2.INTER_AREA)
    )


@pytest.mark.parametrize("side", [64, 128])
def test_what_has_not_moved_is_the_image_in_all_its_detail(slide: Backdrop, side: int) -> None:
    noisy = as_rendered(slide.image_HWC, slide, side).astype(float)
    noisy += np.random.default_rng(0).normal(0, 4, noisy.shape)
    (pasted,) = paste([noisy.clip(0, 255).astype(np.uint8)], slide)
    left, top, right, bottom = slide.crop
    background = [slice(top, bottom), slice(left, left + (right - left) // 8)]
    error = np.abs(pasted.astype(int) - slide.image_HWC)[tuple(background)]
    assert error.mean() < 0.1


@pytest.mark.parametrize("pose", [{"shift_x": 1.0}, {"roll": 1.0}, {"shift_y": -0.5}])
def test_a_head_that_moves_into_the_rim_leaves_no_ghost(
    slide: Backdrop, pose: dict[str, float]
) -> None:
    truth = np.asarray(draw_scene(HEIGHT, **pose))
    rendered = as_rendered(truth, slide, 128)
    (pasted,) = paste([rendered], slide)
    left, top, right, bottom = slide.crop
    inside = (slice(top, bottom), slice(left, right))
    rim = feather(slide, RIM)[:, :, None]
    large = cv2.resize(rendered, rim.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    mixed = slide.image_HWC[inside] * (1 - rim) + large * rim
    is_rim = (rim[:, :, 0] > 0) & (rim[:, :, 0] < 1)
    ghost, found = (
        np.abs(picture[is_rim] - truth[inside][is_rim]).mean()
        for picture in (mixed, pasted[inside].astype(float))
    )
    assert found < 0.6 * ghost


def test_the_colour_match_does_not_pump(slide: Backdrop) -> None:
    """What is left of the noise of the frames is no more in the rim than inside."""
    rng = np.random.default_rng(0)
    still = as_rendered(slide.image_HWC, slide, 64).astype(float)
    casts = rng.normal(0, 2, (8, 1, 1, 3)) + rng.normal(0, 3, (8, 64, 64, 3))
    frames = (still + casts).clip(0, 255).astype(np.uint8)
    left, top, right, bottom = slide.crop
    parts = np.stack([frame[top:bottom, left:right] for frame in paste(frames, slide)])
    rim = feather(slide, RIM)
    outer, inner = (parts[:, place].mean(1).std(0).max() for place in (rim < 1, rim == 1))
    assert outer < 0.1
    assert inner < 0.5
    assert frames.mean((1, 2)).std(0).max() > 1.5
