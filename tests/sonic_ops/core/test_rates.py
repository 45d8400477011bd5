"""What is a frame rate, and what is none."""

from fractions import Fraction

import pytest

from sonic_ops.core.rates import frame_rate


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        (25, Fraction(25)),
        (24.0, Fraction(24)),
        (" 60 ", Fraction(60)),
        ("30.0", Fraction(30)),
        ("24000/1001", Fraction(24000, 1001)),
        (Fraction(30000, 1001), Fraction(30000, 1001)),
        (23.976, Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94005994005994, Fraction(60000, 1001)),
        (33.333333333333336, Fraction(100, 3)),
        (27.5, Fraction(55, 2)),
    ],
)
def test_a_rate_is_exact(written: object, rate: Fraction) -> None:
    assert frame_rate(written) == rate


@pytest.mark.parametrize(
    "written",
    [
        0,
        12.5,
        121,
        -25,
        "25 fps",
        "",
        "1/0",
        "25/",
        "1e2",
        "9" * 400,
        "nan",
        float("inf"),
        True,
        None,
    ],
)
def test_what_is_no_rate(written: object) -> None:
    with pytest.raises(ValueError, match=r"from 20 to 120, or a fraction such as 24000/1001"):
        frame_rate(written)
