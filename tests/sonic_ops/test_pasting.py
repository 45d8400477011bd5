"""What is pasted moves, the rest of the picture stays as it is, and no edge shows between them."""

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.encoding import EncodeSettings, encode_frames
from sonic_ops.pasting import (
    FEATHER,
    Backdrop,
    backdrop_from,
    backdrop_tensors,
    feather,
    paste,
    prepare_backdrop,
)

FACE = Path(__file__).parents[1] / "golden" / "faces" / "glasses.png"
CROP = (600, 200, 1200, 800)
Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    """A face in a picture of 1920 x 1080 that is bright on one side and dark on the other."""
    ramp = np.linspace(40, 210, 1920)[None, :, None] * np.array([1.0, 0.9, 0.8])
    wave = 12 * np.sin(np.arange(1080) / 40)[:, None, None]
    picture = Image.fromarray(np.clip(ramp + wave, 0, 255).astype(np.uint8))
    with Image.open(FACE) as face:
        picture.paste(face.convert("RGB").resize((280, 280)), (760, 340))
    return prepare_backdrop(picture, CROP)


def part(backdrop: Backdrop) -> Pixels:
    left, top, right, bottom = backdrop.crop
    return backdrop.picture_HWC[top:bottom, left:right]


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
    assert np.array_equal(pasted[outside], backdrop.picture_HWC[outside])
    for edge in (pasted[top, left:right], pasted[bottom - 1, left:right]):
        assert edge.shape == (600, 3)
    assert np.array_equal(pasted[top, left:right], backdrop.picture_HWC[top, left:right])
    mouth = pasted[top + 352 : top + 386, left + 260 : left + 338]
    assert mouth.mean() < 80


def test_after_the_codec_the_rest_is_the_source(backdrop: Backdrop, tmp_path: Path) -> None:
    frames = paste([rendered(backdrop, (9, -7, 4))] * 3, backdrop)
    pasted = luma_of(frames, EncodeSettings(preset="veryfast"), tmp_path)
    source = luma_of([backdrop.picture_HWC], EncodeSettings(crf=0, preset="veryfast"), tmp_path)
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
        found, source = (steps(image, across, line) for image in (pasted, backdrop.picture_HWC))
        assert found.max() <= source.max() + 1


def steps(image: Pixels, axis: int, line: int) -> NDArray[np.float64]:
    """Mean difference of neighbouring rows or columns within 40 pixels of a border of the part."""
    side = slice(CROP[1], CROP[3]) if axis == 1 else slice(CROP[0], CROP[2])
    near = slice(line - 40, line + 40)
    region = image[side, near] if axis == 1 else image[near, side]
    return np.abs(np.diff(region.astype(float), axis=axis)).mean(axis=(1 - axis, 2))


def test_other_colours_are_drawn_to_those_of_the_picture(backdrop: Backdrop) -> None:
    (plain,) = paste([rendered(backdrop)], backdrop)
    (shifted,) = paste([rendered(backdrop, (9, -7, 4))], backdrop)
    difference = np.abs(plain.astype(int) - shifted)
    assert difference.max() <= 3
    assert difference.mean() < 0.5


def test_a_part_at_the_border_of_the_picture_fades_only_inwards() -> None:
    picture = np.full((100, 160, 3), 90, np.uint8)
    weights = feather(Backdrop(picture, (0, 20, 80, 100)))
    assert weights[-1, 0] == 1
    assert weights[0].max() == 0
    assert weights[:, -1].max() == 0
    assert (weights[round(80 * FEATHER) + 1 :, : round(80 * (1 - FEATHER)) - 1] == 1).all()
    assert (feather(Backdrop(picture, (0, 0, 160, 100))) == 1).all()


def test_a_frame_as_large_as_the_picture_is_the_frame() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    (pasted,) = paste([frame], Backdrop(np.zeros_like(frame), (0, 0, 96, 64)))
    assert np.array_equal(pasted, frame)


def test_every_frame_is_pasted_by_itself(backdrop: Backdrop) -> None:
    first, second = rendered(backdrop), rendered(backdrop, (5, 5, 5))
    together = list(paste([first, second], backdrop))
    assert np.array_equal(together[1], next(paste([second], backdrop)))


def test_large_and_odd_pictures() -> None:
    large = prepare_backdrop(Image.new("RGB", (6000, 3001)), (1000, 500, 3000, 2500))
    assert large.picture_HWC.shape == (2048, 4096, 3)
    assert large.crop == (683, 341, 2048, 1707)
    odd = prepare_backdrop(Image.new("RGB", (101, 81)), (21, 1, 101, 81))
    assert odd.picture_HWC.shape == (80, 100, 3)
    assert odd.crop == (21, 1, 100, 80)


def test_a_backdrop_is_kept_as_tensors(backdrop: Backdrop) -> None:
    tensors = backdrop_tensors(backdrop)
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())
    again = backdrop_from(tensors)
    assert again.crop == backdrop.crop
    assert np.array_equal(again.picture_HWC, backdrop.picture_HWC)
