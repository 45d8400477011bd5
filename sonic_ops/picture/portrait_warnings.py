"""Warn of portraits that the embedded models have not learnt: small, turned, covered, open mouths.

FaceMesh is as sure of a covered mouth as of a visible one. So we look for the lips where it puts
them: a dark line between them, redder than the skin around it. If the mouth had to be guessed, a
mirrored image also gives another guess. Of 120 drawn and rendered people none gets a false
warning; of 23 faces in photographs two do: one seen from the side behind an arm, one with text
across the mouth. We notice a hand, mask, spot or box over the mouth in 91 to 100 % of them, and a
hand in an image without colours in 71 to 83 %.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from sonic_ops.picture.faces import Box
from sonic_ops.picture.landmarks import EYE_CORNERS, INNER_LIPS, Landmarks, read_landmarks

Array = NDArray[Any]

_SURE: Final = 0.5
_MOST_TURN: Final = 0.45
"""About 20 degrees, as `Landmarks.turn` tells it."""
_MOST_OPEN: Final = 0.12
_FEWEST_PIXELS: Final = 48

_UPPER_LIP: Final = INNER_LIPS[1:10]
_LOWER_LIP: Final = INNER_LIPS[:10:-1]
_CORNERS: Final = (61, 291)
_MIDDLES: Final = (13, 14, 0, 17)
_FACE_HEIGHT: Final = 128
"""Pixels of a face in the image that is looked at."""
_REACH, _NEAR, _FAR = 14, 4, 10
"""Pixels above and below the lips: looked at, the lips, the skin."""
_FAINT, _CLEAR = 2.0, 12.0
"""How much darker the line is than the skin, in L* of 100: none, and beyond doubt."""
_LIGHTNESS: Final = 65.0
"""L* of the skin to which the line is scaled, so that a dark image is no special case."""
_PALE, _RED = 1.2, 5.0
"""How far from the skin the colour of the lips is, in a*: not at all, and beyond doubt."""
_GREY: Final = 4.0
_DISAGREE: Final = 0.033
"""Heights of the face between what the image and its mirror image are read as."""


def portrait_warnings(rgb_HWC: NDArray[np.uint8], box: Box) -> list[str]:
    """Say what the embedded models have not learnt about a portrait; empty for most."""
    warnings = []
    if min(box.width, box.height) < _FEWEST_PIXELS:
        size = f"{box.width:.0f} x {box.height:.0f}"
        warnings.append(f"the face has only {size} pixels: a larger one gives a better video")
    marks = read_landmarks(rgb_HWC, box)
    if marks.score < _SURE:
        warnings.append("eyes, nose and mouth are hard to see: the mouth may not move as it should")
        return warnings
    if _mouth_is_covered(rgb_HWC, box, marks):
        warnings.append("something covers the mouth: the mouth may not move as it should")
    if abs(marks.turn) > _MOST_TURN:
        warnings.append("the head is turned away: one that looks at the camera speaks better")
    if marks.mouth_opening > _MOST_OPEN:
        warnings.append("the mouth is wide open: a portrait with a closed one speaks better")
    return warnings


def _mouth_is_covered(rgb_HWC: NDArray[np.uint8], box: Box, marks: Landmarks) -> bool:
    """Look for the lips where FaceMesh has put them."""
    line, redness = _lips(rgb_HWC, marks)
    no_line = line.min() < _FAINT and not redness.min() > _RED
    no_lips = line.min() < _CLEAR and np.abs(redness).max() < _PALE
    return no_line or no_lips or _mirror_distance(rgb_HWC, box, marks) > _DISAGREE


def mouth_is_hidden(rgb_HWC: NDArray[np.uint8], box: Box, marks: Landmarks) -> bool:
    """Tell whether the mouth of a frame of a film is covered beyond doubt.

    A speaking mouth shows teeth and no line, so no third of it may have a line or colour. Of 396
    frames of people who speak two count as hidden, never for 0.1 s. Of 103 with a spot of skin or a
    mask all but one do, of 48 with four fingers half.
    """
    line, redness = _lips(rgb_HWC, marks)
    if line.max() < 2 * _FAINT and not np.abs(redness).max() > 3 * _PALE:
        return True
    return _mirror_distance(rgb_HWC, box, marks) > 1.4 * _DISAGREE


def _lips(rgb_HWC: NDArray[np.uint8], marks: Landmarks) -> tuple[Array, Array]:
    """Return how dark the line between the lips is, and how much redder than the skin (L*, a*).

    Both for the left, middle and right third of the mouth. Redness is NaN in an image without
    colours, and below 0 where a drawing has pale lips.
    """
    columns = _columns(rgb_HWC, marks)
    thirds = np.stack([part.mean(0) for part in np.split(columns, 3)])
    lips = thirds[:, _REACH - _NEAR : _REACH + _NEAR + 1]
    skin = np.concatenate([thirds[:, : _REACH - _FAR], thirds[:, _REACH + _FAR + 1 :]], 1)
    skin = np.median(skin, axis=1)
    line = (skin[:, 0] - lips[..., 0].min(1)) * _LIGHTNESS / np.maximum(skin[:, 0], 1)
    if np.linalg.norm(skin[:, 1:], axis=1).max() < _GREY:
        return line, np.full(3, np.nan)
    return line, np.median(lips[..., 1], axis=1) - skin[:, 1]


def _columns(rgb_HWC: NDArray[np.uint8], marks: Landmarks) -> Array:
    """Cut nine columns across the lips, along the axis of the face: 9, 29, L* a* b*."""
    points, scale = marks.points, _FACE_HEIGHT / max(marks.face_height, 1.0)
    across = points[EYE_CORNERS[1]] - points[EYE_CORNERS[0]]
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    down = np.array([-across[1], across[0]])
    middles = (points[list(_UPPER_LIP)] + points[list(_LOWER_LIP)]) / 2
    steps = np.arange(-_REACH, _REACH + 1)[None, :, None] / scale
    places = (middles[:, None] + steps * down).astype(np.float32)
    soft = cv2.GaussianBlur(rgb_HWC, (0, 0), 0.4 / scale) if scale < 1 else rgb_HWC
    cut = cv2.remap(
        soft, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    lab: Array = cv2.cvtColor(cut.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab


def _mirror_distance(rgb_HWC: NDArray[np.uint8], box: Box, marks: Landmarks) -> float:
    width = rgb_HWC.shape[1]
    mirrored = Box(width - box.x - box.width, box.y, box.width, box.height)
    points = read_landmarks(np.ascontiguousarray(rgb_HWC[:, ::-1]), mirrored).points
    points = points * np.array([-1, 1]) + np.array([width, 0])
    here, there = [*_CORNERS, *_MIDDLES], [*_CORNERS[::-1], *_MIDDLES]
    apart = np.linalg.norm(marks.points[here] - points[there], axis=1)
    return float(apart.mean() / marks.face_height)
