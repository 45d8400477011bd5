"""Frames per second of a finished video: any rate of film, television or screens, exactly."""

import re
from fractions import Fraction
from math import ceil

MIN_FPS, MAX_FPS = 20, 120
EXPECTED = f"a number from {MIN_FPS} to {MAX_FPS}, or a fraction such as 24000/1001"

_NUMBER = re.compile(r"\d{1,6}(\.\d{1,18}|/[1-9]\d{0,5})?")
_NTSC = Fraction(1000, 1001)  # of a whole number, and written as 23.976 or 29.97
_NTSC_ROUNDING = Fraction(5, 1000)
_MAX_DENOMINATOR = 1001


def frame_rate(value: object) -> Fraction:
    """Parse a frame rate; 23.976 is 24000/1001. Raises ValueError."""
    written = str(value).strip()
    if not _NUMBER.fullmatch(written):
        raise ValueError(f"expected {EXPECTED}")
    rate = Fraction(written).limit_denominator(_MAX_DENOMINATOR)
    if not MIN_FPS <= rate <= MAX_FPS:
        raise ValueError(f"expected {EXPECTED}")
    television = ceil(rate) * _NTSC
    is_rounded = rate.denominator > 1 and abs(television - rate) < _NTSC_ROUNDING
    return television if is_rounded else rate
