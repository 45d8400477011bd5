"""A label is legible, fits into any picture, and touches nothing else."""

import numpy as np
import pytest
from PIL import ImageFont

from sonic_ops.picture import watermark
from sonic_ops.picture.watermark import labelled


@pytest.mark.parametrize("size", [(64, 64), (48, 32), (512, 512), (1080, 1920), (8, 8)])
@pytest.mark.parametrize("text", ["AI generated", "x", "W" * 40])
def test_a_label_is_white_on_dark_in_its_corner(size: tuple[int, int], text: str) -> None:
    picture = np.full((*size, 3), 200, np.uint8)
    (shown,) = labelled([picture], text)
    assert (picture == 200).all()  # the picture that came in is another's
    changed = np.argwhere((shown != picture).any(axis=2))
    height, width = size
    assert changed[:, 1].max() < width
    assert changed[:, 0].min() >= min(height * 0.75, height - 18)
    if width >= 64:
        assert shown.min() == 90  # 55 % of the light is taken away
        assert shown.max() > 200 or len(text) == 40


def test_a_label_is_the_same_on_all_images_of_a_video() -> None:
    pictures = [np.full((64, 64, 3), level, np.uint8) for level in (0, 0, 255)]
    dark, again, light = labelled(pictures, "AI generated")
    assert (dark == again).all()
    assert dark.max() > 150
    assert light[:40].min() == 255


def test_letters_lie_where_they_lie_on_a_machine_without_raqm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    picture = np.full((256, 256, 3), 200, np.uint8)
    (here,) = labelled([picture], "AVATAR To You")
    watermark._label.cache_clear()
    monkeypatch.setattr(ImageFont.core, "HAVE_RAQM", False)
    (there,) = labelled([picture], "AVATAR To You")
    assert np.array_equal(here, there)
