"""Loading, cropping, masking and resizing of portraits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load, save
from transformers import CLIPImageProcessor

from sonic_ops.core.errors import FieldError, ImageUnreadableError, NoFaceError
from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.images import load_image
from sonic_ops.picture.portrait import (
    Framing,
    Portrait,
    clip_pixels,
    crop_around,
    face_mask,
    image_tensors,
    place_face,
    portrait_from,
    portrait_tensors,
    prepare_portrait,
    render_size,
)

FACE = Path(__file__).parents[2] / "golden" / "faces" / "glasses.png"


def prepare(
    image: Image.Image, framing: Framing = "face", face_box: Box | None = None, side: int = 128
) -> Portrait:
    return prepare_portrait(
        image, resolution=side, framing=framing, face_box=face_box, expand=0.5, mask_area=1.1
    )


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_a_portrait_holds_the_face_in_its_middle_and_a_mask_on_it() -> None:
    canvas = Image.new("RGB", (900, 500), "gray")
    canvas.paste(load_image(str(FACE)).resize((384, 384)), (400, 100))
    portrait = prepare(canvas)
    (box,) = find_faces(canvas)
    left, top, right, bottom = portrait.crop
    assert abs((right - left) - (bottom - top)) <= 1
    assert right - left > 1.8 * box.width
    assert portrait.box == box
    assert portrait.num_faces == 1
    assert portrait.image_CHW.shape == (3, 128, 128)
    assert portrait.image_CHW.min() >= -1
    assert portrait.image_CHW.max() <= 1
    rows, columns = (portrait.face_HW > 0.5).nonzero(as_tuple=True)
    assert abs(float(columns.float().mean()) - 63.5) < 3
    assert abs(float(rows.float().mean()) - 63.5) < 8
    shown = np.asarray(canvas.crop(portrait.crop).resize((128, 128), Image.Resampling.LANCZOS))
    assert np.array_equal(
        ((portrait.image_CHW.permute(1, 2, 0).numpy() + 1) * 127.5).round(), shown
    )


def test_the_mask_of_the_whole_image_is_at_the_place_of_the_face() -> None:
    canvas = Image.new("RGB", (512, 256), "gray")
    canvas.paste(load_image(str(FACE)).resize((256, 256)), (256, 0))
    portrait = prepare(canvas, "full")
    assert portrait.crop == (0, 0, 512, 256)
    assert portrait.image_CHW.shape == (3, 128, 256)
    columns = (portrait.face_HW > 0.5).any(dim=0).nonzero()
    assert columns.min() > 128
    assert 45 < len(columns) < 80


def test_without_a_face_the_remedy_is_named_and_full_animates_everything() -> None:
    picture = Image.new("RGB", (300, 200), "navy")
    with pytest.raises(NoFaceError) as caught:
        prepare(picture)
    assert "face_box" in caught.value.remedy
    assert "full" in caught.value.remedy
    portrait = prepare(picture, "full")
    assert portrait.num_faces == 0
    assert torch.equal(portrait.face_HW, torch.ones(128, 192))


def test_a_given_box_is_used_without_looking() -> None:
    portrait = prepare(noise(400, 300), face_box=Box(100, 80, 60, 60))
    assert portrait.crop == (70, 50, 190, 170)
    assert portrait.box == Box(100, 80, 60, 60)


@pytest.mark.parametrize(
    "box", [Box(400, 0, 50, 50), Box(-60, 10, 50, 50), Box(0, 300, 9, 9), Box(5, 5, 0, 9)]
)
def test_a_box_beside_the_image_is_a_wrong_field(box: Box) -> None:
    with pytest.raises(FieldError, match="400 x 300") as caught:
        prepare(noise(400, 300), face_box=box)
    assert caught.value.field == "face_box"


def test_the_largest_of_several_faces_is_animated_and_all_are_counted() -> None:
    canvas = Image.new("RGB", (500, 300), "gray")
    face = load_image(str(FACE))
    canvas.paste(face, (0, 0))
    canvas.paste(face.resize((300, 300)), (200, 0))
    portrait = prepare(canvas)
    assert portrait.num_faces == 2
    assert portrait.box.x > 200


def test_a_very_long_image_is_refused_before_memory_is_spent() -> None:
    with pytest.raises(ImageUnreadableError, match="901 x 100") as caught:
        prepare(noise(901, 100), "full", Box(10, 10, 50, 50))
    assert "framing" in caught.value.remedy
    assert prepare(noise(901, 100), "face", Box(10, 10, 50, 50)).image_CHW.shape == (3, 128, 128)


@given(
    st.floats(-50, 450),
    st.floats(-50, 250),
    st.floats(8, 300),
    st.floats(8, 300),
    st.floats(0, 2),
)
def test_a_crop_is_a_square_inside_the_image(
    x: float, y: float, width: float, height: float, expand: float
) -> None:
    box = Box(min(x, 392), min(y, 192), width, height)
    if box.x + width < 8 or box.y + height < 8:
        return
    left, top, right, bottom = crop_around(box, expand, (400, 200))
    assert 0 <= left < right <= 400
    assert 0 <= top < bottom <= 200
    assert abs((right - left) - (bottom - top)) <= 1


@given(st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([64, 128, 256, 512]))
def test_sides_are_multiples_of_64_and_the_shorter_is_the_resolution(
    width: int, height: int, resolution: int
) -> None:
    out = render_size((width, height), resolution)
    assert min(out) == resolution
    assert all(side % 64 == 0 for side in out)
    assert abs(max(out) - resolution * max(width, height) / min(width, height)) <= 32


def test_a_mask_is_scaled_about_the_middle_of_the_face_and_cut_at_the_border() -> None:
    mask = np.asarray(face_mask(Box(10, 20, 40, 20), 1.5, (64, 64)))
    assert mask[15, 0] == mask[44, 59] == 255
    assert mask[14, 5] == mask[45, 5] == mask[20, 60] == 0
    assert int((mask == 255).sum()) == 60 * 30


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    picture = noise(128, 192)
    image_CHW, face_HW, _ = image_tensors(picture, Image.new("L", picture.size, 255), 128)
    assert np.array_equal(
        ((image_CHW.permute(1, 2, 0).numpy() + 1) * 127.5).round(), np.asarray(picture)
    )
    assert torch.equal(face_HW, torch.ones(192, 128))


def test_clip_pixels_equal_the_processor_of_transformers() -> None:
    picture = noise(320, 256)
    square = picture.resize((224, 224), Image.Resampling.LANCZOS)
    expected = CLIPImageProcessor()(square, return_tensors="pt")["pixel_values"][0]
    assert torch.allclose(clip_pixels(picture), expected, atol=1e-6)


def test_a_portrait_survives_its_tensors() -> None:
    portrait = prepare(noise(400, 300), face_box=Box(100.25, 80, 60, 61.5))
    again = portrait_from(load(save(portrait_tensors(portrait))))
    assert (again.box, again.crop, again.num_faces) == (portrait.box, portrait.crop, 1)
    for name, tensor in portrait_tensors(portrait).items():
        assert torch.equal(portrait_tensors(again)[name], tensor)


def two_faces() -> Image.Image:
    """A small face on the left, a large one on the right."""
    face = load_image(str(FACE))
    both = Image.new("RGB", (900, 420), "gray")
    both.paste(face.resize((220, 220)), (40, 100))
    both.paste(face.resize((400, 400)), (440, 10))
    return both


@pytest.mark.parametrize(("face", "is_left"), [(None, False), (1, True), (2, False)])
def test_the_face_that_speaks_is_the_largest_or_counted_from_the_left(
    face: int | None, is_left: bool
) -> None:
    place = place_face(
        two_faces(), resolution=128, framing="paste", face_box=None, expand=0.5, face=face
    )
    assert place.num_faces == 2
    assert (place.box.x < 300) == is_left
    assert (place.crop[2] <= 450) == is_left


def test_a_face_that_is_not_there_is_named() -> None:
    with pytest.raises(NoFaceError, match="`face` is 3, but only 2 faces were found") as e:
        place_face(two_faces(), resolution=128, framing="face", face_box=None, expand=0.5, face=3)
    assert e.value.field == "face"
    blank = Image.new("RGB", (64, 64))
    with pytest.raises(NoFaceError, match="`face` is 1, but no face was found"):
        place_face(blank, resolution=128, framing="full", face_box=None, expand=0.5, face=1)


@pytest.mark.parametrize("size", [(1, 1), (7, 400)])
def test_no_detector_minds_a_tiny_image(size: tuple[int, int]) -> None:
    assert find_faces(Image.new("RGB", size)) == ()


def test_pasting_needs_a_face() -> None:
    with pytest.raises(NoFaceError, match="No face"):
        prepare(Image.new("RGB", (200, 200), "gray"), "paste")


@pytest.mark.parametrize(
    ("size", "resolution", "reason"),
    [
        ((100, 5000), 128, "too long and narrow"),
        ((1, 1), 128, "is 1 x 1 pixels, and fewer than 16 a side show no face"),
        ((4000, 1000), 1024, "would be rendered at 4096 x 1024, and 2048 is the most for a side"),
    ],
)
def test_sizes_that_cannot_be_rendered_are_said(
    size: tuple[int, int], resolution: int, reason: str
) -> None:
    with pytest.raises(ImageUnreadableError, match=reason):
        place_face(
            Image.new("RGB", size),
            resolution=resolution,
            framing="full",
            face_box=None,
            expand=0.5,
        )


def test_a_plain_portrait_and_the_same_on_its_side_are_two() -> None:
    upright, lying = (
        Portrait(
            torch.zeros(3, *size),
            torch.ones(size),
            torch.zeros(3, 8, 8),
            Box(0, 0, 1, 1),
            0,
            (0, 0, 1, 1),
        )
        for size in ((64, 128), (128, 64))
    )
    assert upright.digest != lying.digest
    assert upright.digest == replace(upright, num_faces=1).digest  # which the model does not read


@pytest.mark.parametrize("framing", ["face", "full"])
def test_landmarks_are_where_the_face_is_in_what_is_shown(framing: Framing) -> None:
    """In halves of the height, so the size says nothing, apart from sides that are rounded."""
    canvas = Image.new("RGB", (900, 500), "gray")
    canvas.paste(load_image(str(FACE)).resize((384, 384)), (400, 100))
    portraits = [prepare(canvas, framing, side=side) for side in (128, 256)]
    aspects = [p.image_CHW.shape[2] / p.image_CHW.shape[1] for p in portraits]
    first, second = (
        portrait.landmarks / torch.tensor([aspect, 1.0])
        for portrait, aspect in zip(portraits, aspects, strict=True)
    )
    assert torch.allclose(first, second, atol=0.03)
    box, (left, top, right, bottom) = portraits[0].box, portraits[0].crop
    middle = torch.tensor([box.x + box.width / 2, box.y + box.height / 2])
    for portrait in portraits:
        shown, (height, width) = portrait.shown_box, portrait.image_CHW.shape[1:]
        assert shown.x / width == pytest.approx((box.x - left) / (right - left))
        assert shown.width / width == pytest.approx(box.width / (right - left))
        assert shown.height / height == pytest.approx(box.height / (bottom - top))
    halves = torch.tensor([(right - left) / 2, (bottom - top) / 2])
    wanted = (middle - torch.tensor([left, top])) / halves - 1
    assert torch.allclose(first.mean(0), wanted, atol=0.2 * box.height / float(halves[1]))
    assert 0.5 < float((first.amax(0) - first.amin(0))[1] * halves[1]) / box.height < 1.2
