"""Put what the model made into a frame of the film, in the frame's own samples.

What is outside of the region keeps every bit. Colours are drawn to those of the film by a smooth
difference that is measured in a ring around the region, and grain is that of the ring.
Shape letters: H, W rows and columns, C the three planes of a frame.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from sonic_ops.film.camera import draw
from sonic_ops.film.casts import GRID, from_grid, on_grid
from sonic_ops.film.grain import grain_like
from sonic_ops.film.takes import Take, chained
from sonic_ops.picture.compositing import colour_cast

_FEATHER: Final = 1 / 20  # of the square root of the region's area
_RING: Final = 1 / 12
_MAX_CAST: Final = 0.12  # of the range of a sample
_SAME_LIGHT: Final = 1.25  # how much brighter or darker the film may be without a change of light
_HD_HEIGHT: Final = 720
_LUMA: Final = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}
"""Shares of red and blue in luma, by the number of the matrix in H.273: BT.709, BT.2020."""
_BT601: Final = (0.299, 0.114)
_UNSAID: Final = 2
_JPEG: Final = 2  # how FFmpeg numbers a full range

Floats = NDArray[np.float32]
Planes = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Patch:
    """What was made for a frame, where it goes, and how its colours differ from the film's.

    `planes` are in samples of the frame, from the even pixel `corner` on; `ways` lead from the grid
    of the cast to each plane.
    """

    frame: int
    corner: tuple[int, int]
    inside_HW: Floats
    ring_HW: Floats
    planes: tuple[Floats, ...]
    ways: tuple[NDArray[Any], ...]
    cast_PGG: Floats


def lay(
    raw: VideoFrame, to_raw: NDArray[Any], frame: int, take: Take, made_HW3: NDArray[np.uint8]
) -> Patch | None:
    """Lay what was made over a frame, number `frame` of the film; None if it is outside.

    `to_raw` leads from the film as it is shown to the frame as it is.
    """
    moved = chained(to_raw, take.moved_N23[frame - take.start])
    region_P2 = take.region_P2 @ moved[:, :2].T + moved[:, 2]
    left, top, right, bottom = _window(region_P2, raw)
    if right - left < 4 or bottom - top < 4:
        return None
    size = (bottom - top, right - left)
    inside_HW, ring_HW = _weights(region_P2 - (left, top), size)
    made_HWC = _laid(made_HW3, chained(to_raw, take.made_to_film(frame)), (left, top), size)
    planes, peak = planes_of(raw), _peak(raw)
    made = _lit(_to_planes(made_HWC, raw, planes), planes, (left, top), ring_HW, peak)
    patch = Patch(
        frame, (left, top), inside_HW, ring_HW, tuple(made), _ways(take, moved, (left, top), raw),
        np.zeros((0, GRID, GRID), np.float32),
    )  # fmt: skip
    casts = [
        on_grid(_cast(_part(planes[n], patch, raw, n), patch, raw, n), patch.ways[n]) / peak
        for n in range(len(made))
    ]
    return replace(patch, cast_PGG=np.stack(casts).astype(np.float32))


def paste(raw: VideoFrame, patch: Patch, weight: float, cast_PGG: Floats) -> VideoFrame:
    """Return a frame of the film with a patch, whose cast is taken away."""
    planes = planes_of(raw)
    for index in range(len(patch.planes)):
        _blend(planes[index], patch, weight, cast_PGG[index], raw, index)
    return _with_planes(raw, planes)


def _ways(
    take: Take, moved: NDArray[Any], corner: tuple[int, int], raw: VideoFrame
) -> tuple[NDArray[Any], ...]:
    """Return the ways from the grid, which lies over the region, to the planes of a window."""
    low, high = take.region_P2.min(axis=0), take.region_P2.max(axis=0)
    steps = (high - low) / (GRID - 1)
    way = chained(moved, np.array([[steps[0], 0, low[0]], [0, steps[1], low[1]]]))
    way[:, 2] -= corner
    return tuple(way / np.array(_steps(raw, n))[:, None] for n in range(len(raw.planes)))


def _window(region_P2: NDArray[Any], raw: VideoFrame) -> tuple[int, int, int, int]:
    """Return the part of the frame that is looked at: the region and a ring, on even pixels."""
    low, high = region_P2.min(axis=0), region_P2.max(axis=0)
    room = _RING * 2 * float((high - low).max()) + 4
    left, top = (max(int(v - room) // 4 * 4, 0) for v in low)
    right, bottom = (
        min(-(-int(v + room) // 4) * 4, side)
        for v, side in zip(high, (raw.width, raw.height), strict=True)
    )
    return left, top, right, bottom


def _weights(region_P2: NDArray[Any], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return how much of what was made is seen, feathered inwards, and the ring around it."""
    mask = draw(region_P2, size)
    area = float(np.count_nonzero(mask))
    feather = max(_FEATHER * np.sqrt(area), 1.0)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5) / feather
    share = np.clip(depth, 0, 1)
    inside = share * share * (3 - 2 * share)
    reach = max(_RING * np.sqrt(area), 2.0)
    beside = cv2.distanceTransform(255 - mask, cv2.DIST_L2, 5)
    ring = ((mask == 0) & (beside < reach)).astype(np.float32)
    return np.asarray(inside, np.float32), ring


def _laid(
    made_HW3: NDArray[np.uint8], way: Any, corner: tuple[int, int], size: tuple[int, int]
) -> Floats:
    """Warp what was made, in the camera, to where it is in the frame: H W 3 in [0, 1]."""
    side = made_HW3.shape[0]
    # Pixel i of what was made is (i + 1/2) / side for the camera.
    from_pixels = np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side]])
    matrix = chained(way, from_pixels)
    matrix[:, 2] -= corner
    height, width = size
    shrinks = np.hypot(*matrix[:, 0])
    soft = made_HW3.astype(np.float32) / 255
    if shrinks < 0.5:
        soft = cv2.GaussianBlur(soft, (0, 0), 0.4 / shrinks)
    return np.asarray(
        cv2.warpAffine(
            soft,
            matrix,
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def planes_of(raw: VideoFrame) -> Planes:
    """Copy the three planes of a planar YUV frame (or the one of a grey one)."""
    dtype = np.uint8 if raw.format.components[0].bits == 8 else np.dtype("<u2")
    return [_plane(raw, index, dtype) for index in range(len(raw.planes))]


def _plane(raw: VideoFrame, index: int, dtype: Any) -> NDArray[Any]:
    plane = raw.planes[index]
    row = plane.line_size // np.dtype(dtype).itemsize
    whole = np.frombuffer(memoryview(plane), dtype).reshape(-1, row)
    return np.array(whole[: plane.height, : plane.width])


def _with_planes(raw: VideoFrame, planes: Planes) -> VideoFrame:
    """Return a frame like another one, with these samples."""
    made = VideoFrame(raw.width, raw.height, raw.format.name)
    for index, samples in enumerate(planes):
        plane = made.planes[index]
        row = plane.line_size // samples.itemsize
        padded = np.zeros((plane.buffer_size // plane.line_size, row), samples.dtype)
        padded[: samples.shape[0], : samples.shape[1]] = samples
        plane.update(padded.tobytes())
    made.pts, made.time_base = raw.pts, raw.time_base
    made.colorspace, made.color_range = raw.colorspace, raw.color_range
    made.color_primaries, made.color_trc = raw.color_primaries, raw.color_trc
    return made


def _peak(raw: VideoFrame) -> int:
    return int(2 ** raw.format.components[0].bits - 1)


def _to_planes(rgb_HW3: Floats, raw: VideoFrame, planes: Planes) -> list[Floats]:
    """Convert colours to samples of the frame, each plane in its own size."""
    red, blue = _luma_shares(raw)
    scale = (_peak(raw) + 1) / 256
    y = rgb_HW3 @ np.array([red, 1 - red - blue, blue], np.float32)
    cb = (rgb_HW3[..., 2] - y) / (2 * (1 - blue))
    cr = (rgb_HW3[..., 0] - y) / (2 * (1 - red))
    is_full = int(raw.color_range) == _JPEG or raw.format.name.startswith("yuvj")
    y = y * 255 * scale if is_full else (16 + 219 * y) * scale
    chroma = [(128 + (255 if is_full else 224) * c) * scale for c in (cb, cr)]
    return [y, *(_smaller(c, raw) for c in chroma)][: len(planes)]


def _luma_shares(raw: VideoFrame) -> tuple[float, float]:
    matrix = int(raw.colorspace)
    if matrix == _UNSAID:
        matrix = 1 if raw.height >= _HD_HEIGHT else 0
    return _LUMA.get(matrix, _BT601)


def _steps(raw: VideoFrame, index: int) -> tuple[int, int]:
    """Return the luma samples across and down for one sample of a plane."""
    if index == 0:
        return 1, 1
    name = raw.format.name
    return (1 if "444" in name else 2), (2 if "420" in name else 1)


def _smaller(values_HW: Floats, raw: VideoFrame) -> Floats:
    across, down = _steps(raw, 1)
    height, width = values_HW.shape
    size = (-(-width // across), -(-height // down))
    return np.asarray(cv2.resize(values_HW, size, interpolation=cv2.INTER_AREA))


def _lit(
    made: list[Floats], planes: Planes, corner: tuple[int, int], ring_HW: Floats, peak: int
) -> list[Floats]:
    """Make what was made as dark or bright as the film beside it, if it fades or a lamp goes on.

    Smaller differences are a cast, which `paste` takes away.
    """
    left, top = corner
    height, width = made[0].shape
    film_HW, is_beside = planes[0][top : top + height, left : left + width], ring_HW > 0
    if not is_beside.any():
        return made
    black = 16 / 256 * (peak + 1)
    film, own = (max(float(np.median(p[is_beside])) - black, 1.0) for p in (film_HW, made[0]))
    ratio = film / own
    if 1 / _SAME_LIGHT < ratio < _SAME_LIGHT:
        return made
    zeros = (black, (peak + 1) / 2, (peak + 1) / 2)
    return [
        np.asarray(zero + ratio * (plane - zero), np.float32)
        for plane, zero in zip(made, zeros, strict=False)
    ]


def _part(plane: NDArray[Any], patch: Patch, raw: VideoFrame, index: int) -> NDArray[Any]:
    """Return the part of a plane that a patch lies over, to be read or written."""
    across, down = _steps(raw, index)
    left, top = patch.corner[0] // across, patch.corner[1] // down
    height, width = patch.planes[index].shape
    return plane[top : top + height, left : left + width]


def _sized(weights: Floats, part: NDArray[Any], index: int) -> Floats:
    if index == 0:
        return weights
    size = (part.shape[1], part.shape[0])
    return np.asarray(cv2.resize(weights, size, interpolation=cv2.INTER_AREA))


def _ring(patch: Patch, part: NDArray[Any], index: int) -> Floats:
    """Return the ring of a plane; a sample of colour is used where all of its luma is inside."""
    ring = _sized(patch.ring_HW, part, index)
    return (ring > 0.99).astype(np.float32) if index else ring


def _cast(part: NDArray[Any], patch: Patch, raw: VideoFrame, index: int) -> Floats:
    """Return the smooth difference of colours of a plane: H W."""
    made = patch.planes[index][: part.shape[0], : part.shape[1]]
    difference = made - part.astype(np.float32)
    ring = _ring(patch, part, index)
    cast = colour_cast(difference[..., None], ring[..., None], _MAX_CAST * _peak(raw))
    return cast.reshape(difference.shape)


def _blend(
    plane: NDArray[Any], patch: Patch, weight: float, cast_GG: Floats, raw: VideoFrame, index: int
) -> None:
    """Blend what was made into a plane; samples outside of the region keep their bits."""
    part, peak = _part(plane, patch, raw, index), _peak(raw)
    film = part.astype(np.float32)
    made = patch.planes[index][: part.shape[0], : part.shape[1]]
    inside = _sized(patch.inside_HW, part, index)
    cast = from_grid(cast_GG * peak, patch.ways[index], (part.shape[1], part.shape[0]))
    difference = made - film - cast
    if index == 0:  # colours have little grain, and codecs leave nothing of it
        difference += grain_like(film, _ring(patch, part, 0), made, inside, peak, patch.frame)
    inside = inside * weight
    blended = np.rint(part + inside * difference).clip(0, peak)
    part[...] = np.where(inside > 0, blended, part).astype(part.dtype)
