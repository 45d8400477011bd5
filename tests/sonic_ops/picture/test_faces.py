"""Both detectors find drawn faces, and neither sees one where there is none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sonic_ops.picture.faces import Box, find_faces, largest_first

FACES = sorted((Path(__file__).parents[2] / "golden" / "faces").glob("*.png"))


def drawn(path: Path, scale: int = 1) -> Image.Image:
    face = Image.open(path).convert("RGB")
    return face.resize((face.width * scale, face.height * scale), Image.Resampling.LANCZOS)


def overlap(a: Box, b: Box) -> float:
    """Area of the intersection over the area of the union."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (a.area + b.area - shared)


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_a_drawn_face_is_found_at_any_size(path: Path) -> None:
    (small,) = find_faces(drawn(path))
    (large,) = find_faces(drawn(path, 12))
    assert 40 < small.width < 70
    assert 40 < small.x + small.width / 2 < 80
    assert overlap(small, large.scaled(1 / 12)) > 0.8


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.stem)
def test_both_detectors_agree_on_the_box(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (seen_by_yunet,) = find_faces(drawn(path, 4))
    monkeypatch.setattr("sonic_ops.picture.faces.YUNET_SIDES", ())
    (seen_by_blazeface,) = find_faces(drawn(path, 4))
    assert seen_by_yunet != seen_by_blazeface
    assert overlap(seen_by_yunet, seen_by_blazeface) > 0.65


def test_a_face_that_yunet_misses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tilted = drawn(FACES[1]).rotate(60, Image.Resampling.BILINEAR)
    (face,) = find_faces(tilted)
    assert 40 < face.x + face.width / 2 < 88
    monkeypatch.setattr("sonic_ops.picture.faces.BLAZEFACE_MIN_SCORE", 1.0)
    assert find_faces(tilted) == ()


def test_several_faces_come_largest_first() -> None:
    picture = Image.new("RGB", (700, 400), "gray")
    for path, scale, place in zip(FACES, (1, 3, 2), ((0, 0), (130, 0), (430, 100)), strict=True):
        picture.paste(drawn(path, scale), place)
    faces = find_faces(picture)
    assert len(faces) == 3
    assert [face.area for face in faces] == sorted((face.area for face in faces), reverse=True)
    assert 130 < faces[0].x < 430
    assert faces[2].x < 128


def test_equal_pixels_give_equal_boxes() -> None:
    assert find_faces(drawn(FACES[0], 3)) == find_faces(drawn(FACES[0], 3))


@pytest.mark.parametrize("seed", range(6))
def test_no_face_is_seen_in_blurred_colours(seed: int) -> None:
    colours = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(colours).resize((640, 480), Image.Resampling.BICUBIC)
    assert find_faces(picture) == ()


def test_an_image_of_one_pixel_has_no_face() -> None:
    assert find_faces(Image.new("RGB", (1, 1))) == ()
    assert find_faces(Image.new("RGB", (3000, 1))) == ()


def test_the_truly_largest_face_is_the_first() -> None:
    boxes = [Box(0, 0, 10, 10), Box(5, 5, 40, 40), Box(9, 9, 20, 20)]
    assert largest_first(boxes)[0] == Box(5, 5, 40, 40)
