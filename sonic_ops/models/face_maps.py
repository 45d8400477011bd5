"""Maps of a face for a network: where pixels come from, and how far they are from lips and lids.

Shape letters: N faces, P landmarks, A anchors, V the corners of outlines, H, W rows and columns of
the maps. Places are (x, y) in halves of the height of the image, from its middle.
"""

from collections.abc import Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from sonic_ops.models.face_rig import FaceFrame
from sonic_ops.picture.landmarks import (
    BROWS,
    FACE_OVAL,
    INNER_LIPS,
    LEFT_EYE,
    OUTER_LIPS,
    RIGHT_EYE,
)

Size = tuple[int, int] | torch.Size

NUM_MAPS: Final = 8
"""Of `maps_at_pose`; the first two are the flow."""
NUM_PORTRAIT_MAPS: Final = 2

_CHEEKS_AND_NOSE: Final = (
    1, 4, 6, 168, 197, 5, 2, 98, 327, 50, 280, 205, 425, 117, 346, 36, 266, 151, 9, 8, 101, 330,
    212, 432, 202, 422, 200, 199, 175, 18, 164, 92, 322, 57, 287, 43, 273, 123, 352, 187, 411,
)  # fmt: skip
_FACE: Final = sorted(
    {*INNER_LIPS, *OUTER_LIPS, *LEFT_EYE, *RIGHT_EYE, *FACE_OVAL, *BROWS, *_CHEEKS_AND_NOSE}
)
_UPPER_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 234, 127, 162, 21, 54, 103, 67, 109, 93,
    132,
)  # fmt: skip
_HAIR: Final = (1.35, 1.75)
"""Hair is anchored this many times as far from the middle as the outline of the face."""
_BODY_ROWS, _BODY_COLUMNS = (2.6, 3.4), (-2.0, -1.0, 0.0, 1.0, 2.0)
"""The body is anchored here, in radii of the face from its middle, and does not move."""
_BORDER, _BORDER_ANCHORS = 1.1, 9
_NEAREST: Final = 0.003
"""Squared radii of the face that soften the weight of an anchor."""
_CLEAR: Final = 0.08
"""Radii of the face beyond which a pixel is clearly inside or outside."""


def maps_of_portrait(landmarks_NP2: Tensor, size: Size) -> Tensor:
    """Return how far pixels are inside the lips and the eyes of portraits: N 2 H W."""
    radius = FaceFrame.of(landmarks_NP2).radius_N11[..., None]
    outlines = ((INNER_LIPS,), (LEFT_EYE, RIGHT_EYE))
    return torch.cat([_inside(landmarks_NP2, lines, radius, size) for lines in outlines], 1)


def maps_at_pose(portrait_NP2: Tensor, posed_NP2: Tensor, mean_P2: Tensor, size: Size) -> Tensor:
    """Return the maps of frames, given the landmarks of portraits and where a pose moves them.

    N 8 H W: where pixels come from, in halves of the image (x, y); which place of a mean face they
    are (x, y); how near anchors are; how far pixels are inside the lips, their outline, the eyes.
    """
    frame = FaceFrame.of(portrait_NP2)
    near = _interpolated(portrait_NP2, posed_NP2, mean_P2, frame, size)
    outlines = ((INNER_LIPS,), (OUTER_LIPS,), (LEFT_EYE, RIGHT_EYE))
    radius = frame.radius_N11[..., None]
    return torch.cat([near, *(_inside(posed_NP2, lines, radius, size) for lines in outlines)], 1)


def _interpolated(
    portrait_NP2: Tensor,
    posed_NP2: Tensor,
    mean_P2: Tensor,
    frame: FaceFrame,
    size: Size,
) -> Tensor:
    """Interpolate what is known at the anchors by inverse distance (Shepard, 1968): N 5 H W."""
    from_NA2, to_NA2 = _anchors(portrait_NP2, posed_NP2, frame, size[1] / size[0])
    half = (size[0] // 2, size[1] // 2)
    y_H, x_W = _steps(half, from_NA2)
    down = (y_H[:, None] - to_NA2[:, None, :, 1]).square()[:, :, None]
    across = (x_W[:, None] - to_NA2[:, None, :, 0]).square()[:, None]
    squares = (down + across) / frame.radius_N11[..., None].square()
    weights = 1 / (squares + _NEAREST).square().flatten(1, 2)
    place_NA2 = (from_NA2 - frame.middle_N12) / frame.radius_N11
    place_NA2[:, : len(_FACE)] = mean_P2.to(place_NA2)[_FACE]
    in_halves = from_NA2.new_tensor([size[0] / size[1], 1.0])
    known = ((from_NA2 - to_NA2) * in_halves, place_NA2, torch.ones_like(place_NA2[..., :1]))
    sums = (weights @ torch.cat(known, -1)).mT
    total = sums[:, 4:]
    maps = torch.cat([sums[:, :4] / total, torch.log(total) / 6], 1)
    return F.interpolate(maps.unflatten(2, half), scale_factor=2, mode="bilinear")


def _anchors(
    portrait_NP2: Tensor, posed_NP2: Tensor, frame: FaceFrame, aspect: float
) -> tuple[Tensor, Tensor]:
    """Return anchors of the face, the hair, the border and the body: where they were, and are."""
    moved = posed_NP2 - portrait_NP2
    follows = 0.5 * (moved[:, _UPPER_OVAL] + moved[:, FACE_OVAL].mean(1, keepdim=True))
    ring = portrait_NP2[:, _UPPER_OVAL] - frame.middle_N12
    hair = [frame.middle_N12 + factor * ring for factor in _HAIR]
    still = [_border(aspect).to(ring).expand(len(ring), -1, -1), _body(frame)]
    was = [portrait_NP2[:, _FACE], *hair, *still]
    now = [posed_NP2[:, _FACE], *(anchor + follows for anchor in hair), *still]
    return torch.cat(was, 1), torch.cat(now, 1)


def _border(aspect: float) -> Tensor:
    steps = torch.linspace(-1, 1, _BORDER_ANCHORS)
    ends = torch.full_like(steps, 1)
    pairs = ((steps, -ends), (-ends, steps), (ends, steps), (steps, ends))
    border = torch.cat([torch.stack(pair, -1) for pair in pairs]) * _BORDER
    return border * torch.tensor([aspect, 1.0])


def _body(frame: FaceFrame) -> Tensor:
    places = torch.tensor([[x, y] for y in _BODY_ROWS for x in _BODY_COLUMNS])
    return frame.middle_N12 + frame.radius_N11 * places.to(frame.radius_N11)


def _inside(
    landmarks_NP2: Tensor,
    outlines: Sequence[Sequence[int]],
    radius_N111: Tensor,
    size: Size,
) -> Tensor:
    """Return -1 outside outlines that do not overlap, 1 inside, with a slope between: N 1 H W."""
    corners = [landmarks_NP2[:, line] for line in outlines]
    distance = signed_distance(corners, size)
    return torch.tanh(distance / radius_N111 / _CLEAR)


def signed_distance(outlines_NV2: Sequence[Tensor], size: Size) -> Tensor:
    """Return how far pixels are inside polygons that do not overlap: N 1 H W, negative outside."""
    start = torch.cat([*outlines_NV2], 1)
    edge = torch.cat([corners.roll(-1, 1) for corners in outlines_NV2], 1) - start
    y_H, x_W = _steps(size, start)
    length = edge.square().sum(-1)[:, None, None] + 1e-9
    down, across = y_H[:, None] * edge[:, None, :, 1], x_W[:, None] * edge[:, None, :, 0]
    begun = (start * edge).sum(-1)[:, None, None]
    along = (down[:, :, None] + across[:, None] - begun) / length
    away = (y_H[:, None] - start[:, None, :, 1]).square()[:, :, None]
    away = away + (x_W[:, None] - start[:, None, :, 0]).square()[:, None]
    share = along.clamp(0, 1)
    distance = (away + length * share * (share - 2 * along)).amin(-1).clamp(min=0).sqrt()
    return torch.where(_is_inside(start, edge, y_H, x_W), distance, -distance)[:, None]


def _is_inside(start_NV2: Tensor, edge_NV2: Tensor, y_H: Tensor, x_W: Tensor) -> Tensor:
    """Count the edges to the left of pixels: an odd number is inside. N H W."""
    x, y = start_NV2[:, None].unbind(-1)
    dx, dy = edge_NV2[:, None].unbind(-1)
    row = y_H[:, None]
    crosses = (y > row) != (y + dy > row)
    crossing = x + (row - y) * dx / torch.where(dy == 0, 1.0, dy)
    crossing = torch.where(crosses, crossing, -torch.inf)
    return (x_W[:, None] < crossing[:, :, None]).sum(-1) % 2 == 1


def _steps(size: Size, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of pixels as places."""
    options: dict[str, Any] = {"device": like.device, "dtype": torch.float32}
    y, x = ((torch.arange(side, **options) + 0.5) * 2 / size[0] for side in size)
    return y - 1, x - size[1] / size[0]
