"""Finished frames in another size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonic_ops.core.errors import FieldError
from sonic_ops.core.sizes import MAX_VIDEO_SIDE, scaled_size
from sonic_ops.picture.scaling import scale

SIDES = st.integers(1, 20_000)


@given(SIDES, SIDES, st.integers(32, 2048).map(lambda half: 2 * half))
def test_sizes_are_even_and_keep_their_shape_or_are_refused(
    width: int, height: int, short_side: int
) -> None:
    longer = max(width, height) * short_side / min(width, height)
    try:
        scaled = scaled_size((width, height), short_side)
    except FieldError:
        assert longer > MAX_VIDEO_SIDE
        return
    assert min(scaled) == short_side
    assert max(scaled) <= MAX_VIDEO_SIDE
    assert max(scaled) % 2 == 0
    assert abs(max(scaled) - longer) <= 1
    assert (scaled[0] > scaled[1]) <= (width > height)


@pytest.mark.parametrize("size", [(100, 5000), (20_000, 10)])
def test_a_long_and_narrow_video_is_refused_in_a_sentence(size: tuple[int, int]) -> None:
    with pytest.raises(FieldError, match=r"pixels, and 4096 is the most for a side") as caught:
        scaled_size(size, 512)
    assert caught.value.field == "scale_to"
    assert "framing" in caught.value.remedy


def test_frames_become_smaller_and_larger_and_keep_what_they_show() -> None:
    rows, columns = np.mgrid[0:96, 0:64] / 96
    frame_HWC = np.stack([200 * rows, 200 * columns, 90 + 0 * rows], 2).astype(np.uint8)
    for short_side, size in ((32, (48, 32)), (128, (192, 128)), (64, (96, 64))):
        (scaled,) = scale([frame_HWC], short_side)
        assert scaled.shape == (*size, 3)
        assert scaled.dtype == np.uint8
        assert np.abs(scaled.mean((0, 1)) - frame_HWC.mean((0, 1))).max() < 1
        (back,) = scale([scaled], 64)
        assert np.abs(back.astype(int) - frame_HWC).mean() < 2
    (same,) = scale([frame_HWC], 64)
    assert np.array_equal(same, frame_HWC)
