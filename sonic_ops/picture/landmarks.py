"""The points of a face: FaceMesh, which reads how far mouth and eyes are open and where heads look.

Weights: sonic_ops/weights/face_landmarks. Source: MediaPipe, arXiv:1907.06724.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from sonic_ops.core.threads import per_thread
from sonic_ops.picture.faces import Box

WEIGHTS = Path(__file__).parent.parent / "weights" / "face_landmarks" / "face_landmark.tflite"
_SIDE = 192
_MARGIN = 1.5
"""The side of what is read against the longer side of the face."""
_ROUNDS = 2
_UPPER_LIP, _LOWER_LIP, _TOP, _CHIN, _NOSE = 13, 14, 10, 152, 1
_LIDS = ((159, 145), (386, 374))
_SIDES = (234, 454)

NUM_LANDMARKS: Final = 468
EYE_CORNERS: Final = (33, 263)
"""The outer ones."""

# Outlines, corner by corner.
INNER_LIPS: Final = (
    78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95,
)  # fmt: skip
OUTER_LIPS: Final = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
LEFT_EYE: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
RIGHT_EYE: Final = (
    263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249,
)  # fmt: skip
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
BROWS: Final = (
    70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 300, 293, 334, 296, 336, 285, 295, 282, 283, 276,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Landmarks:
    """468 points in pixels of the image (x, y), and how sure the network is of a face."""

    points: NDArray[np.float32]
    score: float

    @property
    def face_height(self) -> float:
        """From the top of the forehead to the chin, in pixels."""
        return self._distance(_TOP, _CHIN)

    @property
    def mouth_opening(self) -> float:
        """Return the gap between the lips, in heights of the face."""
        return self._distance(_UPPER_LIP, _LOWER_LIP) / self.face_height

    @property
    def eye_opening(self) -> float:
        """Return the gap between the lids, the mean of both eyes, in heights of the face."""
        gaps = [self._distance(upper, lower) for upper, lower in _LIDS]
        return sum(gaps) / len(gaps) / self.face_height

    @property
    def turn(self) -> float:
        """Return how far the head is turned: 0 looks at us, 0.45 is about 20 degrees, -1 to 1."""
        left, right = (self._distance(_NOSE, side) for side in _SIDES)
        return (left - right) / (left + right)

    @property
    def nose(self) -> NDArray[np.float32]:
        """Return the tip of the nose (x, y)."""
        return np.asarray(self.points[_NOSE])

    def _distance(self, a: int, b: int) -> float:
        return float(np.linalg.norm(self.points[a] - self.points[b]))


def read_landmarks(rgb_HWC: NDArray[np.uint8], box: Box) -> Landmarks:
    """Read the points of the face in a box; what is read is then cut anew around the points."""
    x, y = box.x + box.width / 2, box.y + box.height / 2
    side = _MARGIN * max(box.width, box.height)
    points, score = np.zeros((0, 2), np.float32), 0.0
    for _ in range(_ROUNDS):
        scale = _SIDE / side
        place = np.array([[scale, 0, _SIDE / 2 - x * scale], [0, scale, _SIDE / 2 - y * scale]])
        cut = cv2.warpAffine(rgb_HWC, place, (_SIDE, _SIDE), borderMode=cv2.BORDER_REPLICATE)
        points, score = _run(cut.astype(np.float32) / 255)
        points = points / scale + np.array([x - side / 2, y - side / 2], np.float32)
        x, y = (float(v) for v in (points.max(0) + points.min(0)) / 2)
        side = max(_MARGIN * float(np.ptp(points, axis=0).max()), 1.0)
    return Landmarks(points, score)


def _run(cut_HWC: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    interpreter = _interpreter()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], cut_HWC[None])
    interpreter.invoke()
    details = interpreter.get_output_details()
    outputs = [interpreter.get_tensor(detail["index"]).ravel().copy() for detail in details]
    marks, logit = max(outputs, key=len), min(outputs, key=len)
    points = marks.reshape(-1, 3)[:, :2].astype(np.float32)
    return points, float(1 / (1 + np.exp(-logit[0])))


@per_thread
def _interpreter() -> Interpreter:
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES  # the same kernels on any CPU
    interpreter = Interpreter(str(WEIGHTS), num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter
