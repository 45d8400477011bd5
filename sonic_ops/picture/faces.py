"""Where the faces are: YuNet, and BlazeFace for what YuNet does not see (drawings, mostly).

Weights: sonic_ops/weights/face_detector. A detector looks at an image of bounded size, so memory
and time do not depend on the portrait. Equal pixels give equal boxes.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.threads import per_thread

WEIGHTS = Path(__file__).parent.parent / "weights" / "face_detector"
NMS_IOU = 0.45

YUNET_MIN_SCORE = 0.6
YUNET_SIDES = (640, 320)  # a face that fills a large image is found in the small one
_TURNED_MIN_SCORE = 0.75  # of a face that would stand upright if the image were turned
_TURNED_MARGIN = 0.2  # over the score of the image as it is
BLAZEFACE_MIN_SCORE = 0.7  # at 0.5 it sees faces in blurred colours
BLAZEFACE_SIDE = 128
_BLAZEFACE_GRIDS = ((16, 2), (8, 6))  # (cells per side, anchors per cell)
_FOREHEAD = 0.2  # a BlazeFace box starts at the brow, a YuNet box at the hair


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; it may reach over the border of the image."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height

    def scaled(self, factor: float) -> "Box":
        """Scale the box with its image."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def moved(self, dx: float, dy: float) -> "Box":
        """Move the box."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def is_near(self, other: "Box", sizes: float = 0.5) -> bool:
        """Tell whether the middles of two boxes are closer than some sizes of the other one."""
        dx = self.x + self.width / 2 - other.x - other.width / 2
        dy = self.y + self.height / 2 - other.y - other.height / 2
        return bool(abs(dx) < sizes * other.width and abs(dy) < sizes * other.height)


def moved_box(box: Box, moved: Any) -> Box:
    """Return where a box is after a similarity."""
    grown = float(np.hypot(*moved[:, 0]))
    middle = moved @ np.array([box.x + box.width / 2, box.y + box.height / 2, 1])
    width, height = grown * box.width, grown * box.height
    return Box(float(middle[0]) - width / 2, float(middle[1]) - height / 2, width, height)


def find_faces(image: Image.Image) -> tuple[Box, ...]:
    """Find the faces of an image, largest first; empty if there are none."""
    rgb_HWC = np.asarray(image.convert("RGB"))
    for side in YUNET_SIDES:
        if boxes := _yunet(rgb_HWC, side):
            return largest_first(boxes)
    return largest_first(_blazeface(rgb_HWC))


def turn_of(image: Image.Image) -> int:
    """Find by how many degrees to turn an image so that its face is upright."""
    rgb_HWC = np.asarray(image.convert("RGB"))
    upright = _best_score(rgb_HWC)
    if upright + _TURNED_MARGIN >= 1:  # no score is higher
        return 0
    turned = (_best_score(np.rot90(rgb_HWC, quarters)) for quarters in (1, 2, 3))
    scores = [upright, *turned]
    best = int(np.argmax(scores))
    is_clear = scores[best] > max(_TURNED_MIN_SCORE, scores[0] + _TURNED_MARGIN)
    return 90 * best if is_clear else 0


def largest_first(boxes: list[Box]) -> tuple[Box, ...]:
    """Return boxes by falling area; equal areas from top left to bottom right."""
    return tuple(sorted(boxes, key=lambda box: (-box.area, box.y, box.x)))


def _yunet(rgb_HWC: NDArray[np.uint8], side: int) -> list[Box]:
    """Source: YuNet (Wu et al., Machine Intelligence Research 2023), model of OpenCV Zoo."""
    rows, scale = _yunet_rows(rgb_HWC, side, YUNET_MIN_SCORE)
    return [Box(*(float(v) for v in row[:4])).scaled(1 / scale) for row in rows]


def _yunet_rows(
    rgb_HWC: NDArray[np.uint8], side: int, min_score: float
) -> tuple[NDArray[np.float32], float]:
    """Return rows of x, y, width, height, five landmarks and score, and the image's scale."""
    small_HWC, scale = _shrink(rgb_HWC, side)
    height, width = small_HWC.shape[:2]
    detector = _yunet_detector()
    detector.setInputSize((width, height))
    detector.setScoreThreshold(min_score)
    _, rows = detector.detect(cv2.cvtColor(small_HWC, cv2.COLOR_RGB2BGR))
    return np.zeros((0, 15), np.float32) if rows is None else rows, scale


@per_thread
def _yunet_detector() -> cv2.FaceDetectorYN:
    model = str(WEIGHTS / "yunet_2023mar.onnx")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns when it loads
    return cv2.FaceDetectorYN.create(model, "", (1, 1), nms_threshold=NMS_IOU)


def _best_score(rgb_HWC: NDArray[np.uint8]) -> float:
    rows, _ = _yunet_rows(np.ascontiguousarray(rgb_HWC), YUNET_SIDES[1], _TURNED_MIN_SCORE / 2)
    return float(rows[:, -1].max(initial=0))


def _blazeface(rgb_HWC: NDArray[np.uint8]) -> list[Box]:
    """Source: BlazeFace (arXiv:1907.05047), short-range model of MediaPipe."""
    small_HWC, scale = _shrink(rgb_HWC, BLAZEFACE_SIDE, enlarge=True)
    top, left = (_half_rest(length) for length in small_HWC.shape[:2])
    square_HWC = np.zeros((BLAZEFACE_SIDE, BLAZEFACE_SIDE, 3), np.float32)
    height, width = small_HWC.shape[:2]
    square_HWC[top : top + height, left : left + width] = small_HWC / 127.5 - 1.0
    offsets, scores = _run_blazeface(square_HWC)
    sizes = offsets[:, 2:4]
    corners = _anchor_centres() * BLAZEFACE_SIDE + offsets[:, :2] - sizes / 2
    rows = np.concatenate([corners, sizes], axis=1)
    rows[:, 1] -= _FOREHEAD * rows[:, 3]
    rows[:, 3] *= 1 + _FOREHEAD
    kept = cv2.dnn.NMSBoxes(rows.tolist(), scores.tolist(), BLAZEFACE_MIN_SCORE, NMS_IOU)
    found = [[float(v) for v in rows[index]] for index in np.asarray(kept, int).reshape(-1)]
    return [Box(*row).moved(-left, -top).scaled(1 / scale) for row in found]


def _run_blazeface(square_HWC: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
    """Return offsets (896, 16) in pixels of the square and scores (896,)."""
    interpreter = _blazeface_interpreter()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], square_HWC[None])
    interpreter.invoke()
    outputs = {
        detail["name"]: interpreter.get_tensor(detail["index"])[0]
        for detail in interpreter.get_output_details()
    }
    logits = np.clip(outputs["classificators"][:, 0], -50, 50)
    return outputs["regressors"], 1 / (1 + np.exp(-logits))


@per_thread
def _blazeface_interpreter() -> Interpreter:
    model = str(WEIGHTS / "blazeface_short_range.tflite")
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # the same kernels on any CPU
    interpreter = Interpreter(model, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


@cache
def _anchor_centres() -> NDArray[np.float32]:
    """Return centres (896, 2) of the anchors in parts of the square, x before y."""
    centres = [
        ((column + 0.5) / cells, (row + 0.5) / cells)
        for cells, num_anchors in _BLAZEFACE_GRIDS
        for row in range(cells)
        for column in range(cells)
        for _ in range(num_anchors)
    ]
    return np.array(centres, np.float32)


def _shrink(
    rgb_HWC: NDArray[np.uint8], side: int, *, enlarge: bool = False
) -> tuple[NDArray[np.uint8], float]:
    """Scale an image to a long side of at most `side`; return it and the factor."""
    height, width = rgb_HWC.shape[:2]
    scale = side / max(height, width)
    if scale >= 1 and not enlarge:
        return rgb_HWC, 1.0
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(rgb_HWC).resize(size, Image.Resampling.BILINEAR)), scale


def _half_rest(length: int) -> int:
    return (BLAZEFACE_SIDE - length) // 2
