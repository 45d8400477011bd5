"""HDR frames (HLG and PQ) in the colours of ordinary video, as players show them on its screens.

Sources: ITU-R BT.2100 (HLG, PQ), BT.2087 (colours), BT.2390 (highlights), BT.2408 (white at 203
nits), BT.1886 (gamma of the screen). Shape letters: H, W rows and columns, C colours.
"""

from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc
from numpy.typing import NDArray

from sonic_ops.media.encoding import EXACT

Floats = NDArray[np.float32]

_LEVELS = 1 << 16
_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0  # of the screen that films are made for
_HLG_GAMMA = 1.2  # of that screen
_GAMMA = 2.4
_LUMA_2020 = (0.2627, 0.6780, 0.0593)
_709_FROM_2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


def is_hdr(frame: VideoFrame) -> bool:
    """Return whether a frame is HDR."""
    return int(frame.color_trc) in (ColorTrc.ARIB_STD_B67, ColorTrc.SMPTE2084)


def ordinary(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Map an HDR frame to BT.709 (H W C) of a size (width, height)."""
    wide = frame.reformat(
        *size,
        format="rgb48le",
        src_colorspace=Colorspace.BT2020,
        dst_colorspace=Colorspace.BT2020,
        interpolation=EXACT,
        threads=1,
    )
    values_HWC = wide.to_ndarray()
    light_HWC = _light(int(frame.color_trc))[values_HWC]
    if int(frame.color_trc) == ColorTrc.ARIB_STD_B67:  # the screen's own contrast
        luma_HW1 = light_HWC @ np.array(_LUMA_2020, np.float32)[:, None]
        light_HWC *= np.maximum(luma_HW1, 1e-6) ** np.float32(_HLG_GAMMA - 1)
        light_HWC *= np.float32(_PEAK_NITS)
    light_HWC = (light_HWC / np.float32(_WHITE_NITS)) @ _709_FROM_2020.T
    light_HWC = _without_highlights(np.maximum(light_HWC, 0))
    return np.asarray(np.rint(255 * light_HWC ** np.float32(1 / _GAMMA)), np.uint8)


def _without_highlights(light_HWC: Floats) -> Floats:
    """Draw what is brighter than white into its range; colours keep their hue."""
    brightest_HW1 = light_HWC.max(axis=2, keepdims=True)
    table = _highlights()
    place = np.minimum(
        brightest_HW1 * (len(table) - 1) / (_PEAK_NITS / _WHITE_NITS), len(table) - 1
    )
    shown_HW1 = table[place.astype(np.int32)]
    return np.asarray(np.minimum(light_HWC * (shown_HW1 / np.maximum(brightest_HW1, 1e-6)), 1))


@cache
def _light(transfer: int) -> Floats:
    """Return light for every value of 16 bits: of the scene from 0 to 1 (HLG), or in nits (PQ)."""
    value = np.linspace(0, 1, _LEVELS)
    if transfer == ColorTrc.ARIB_STD_B67:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    else:
        light = _nits(value)
    return light.astype(np.float32)


def _nits(value: NDArray[np.float64]) -> NDArray[np.float64]:
    root = value ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(10_000 * light ** (1 / 0.1593017578125))


def _pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (nits / 10_000) ** 0.1593017578125
    return np.asarray(((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375)


@cache
def _highlights() -> Floats:
    """Light that is shown for light up to the peak, both in parts of white (BT.2390, 5.4.1)."""
    peak = _pq(np.array(_PEAK_NITS))
    value = _pq(np.linspace(0, _PEAK_NITS, _LEVELS)) / peak
    most = float(_pq(np.array(_WHITE_NITS)) / peak)
    knee = 1.5 * most - 0.5
    t = np.clip((value - knee) / (1 - knee), 0, 1)
    above = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    shown = _nits(np.where(value < knee, value, above) * peak) / _WHITE_NITS
    return shown.astype(np.float32)
