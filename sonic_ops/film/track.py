"""What is known of every frame of a film: when, in which shot, and where the face is.

Shape letters: N frames of the film, K takes, P points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MIN_FACE: Final = (50, 80)
"""Width and height of a face in pixels; smaller ones stay as they are."""
EDITED, NO_FACE, TOO_SMALL, LOST, PROFILE, TOO_SHORT, SILENT, NOT_HERE = range(8)
REASONS: Final = {
    NO_FACE: "no face is seen",
    TOO_SMALL: f"the face is smaller than {MIN_FACE[0]} x {MIN_FACE[1]} pixels",
    LOST: "the face is covered, or moves too fast to be followed",
    PROFILE: "the face is in profile",
    TOO_SHORT: "the face is seen for less than half a second",
    SILENT: "nothing is said and the mouth rests",
    NOT_HERE: "the person does not speak in the shot",
}
"""Why frames of a film stay as they are."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FilmTrack:
    """Every frame of a film: when, in which shot and take, and where the face is.

    Time n is `ticks_N[n] / tick_hz` seconds. `reasons_N` is EDITED where there is a take.
    `points_KP2` are the landmarks of each take in its anchor, the median of up to 512 of its
    frames.
    """

    ticks_N: NDArray[np.int64]
    tick_hz: int
    shots_N: NDArray[np.int64]
    takes_N: NDArray[np.int64]  # -1 without one
    reasons_N: NDArray[np.int64]
    moved_N23: Floats  # from the anchor of the take, in pixels of the film as it is shown
    openings_N: Floats  # of the mouth, in heights of the face; NaN without a face
    sharpness_N: Floats
    boxes_K4: Floats
    points_KP2: Floats
    size: tuple[int, int]
    end_tick: int
    num_faces: int = 1  # the most that were seen at once
    pixel_shape: Fraction | None = None
    display_matrix: tuple[int, ...] | None = None

    def time_s(self, frame: int) -> Fraction:
        """Return when a frame is shown."""
        return Fraction(int(self.ticks_N[frame]), self.tick_hz)

    @property
    def times_s(self) -> Floats:
        """Return when frames are shown, as numbers."""
        return self.ticks_N / self.tick_hz

    @property
    def duration_s(self) -> float:
        """Return how long the film is, its last frame included."""
        return self.end_tick / self.tick_hz

    def tensors(self) -> dict[str, Tensor]:
        """Return the track as tensors for a file."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        found = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
        # A file may hold no NaN.
        found["openings_N"] = torch.from_numpy(np.nan_to_num(self.openings_N, nan=-1.0))
        numbers = [self.tick_hz, *self.size, self.end_tick, self.num_faces]
        ratio = self.pixel_shape or Fraction(0)
        form = [ratio.numerator, ratio.denominator, *(self.display_matrix or ())]
        return found | {
            "numbers": torch.tensor(numbers, dtype=torch.int64),
            "form": torch.tensor(form, dtype=torch.int64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "FilmTrack":
        """Restore the track from tensors."""
        tick_hz, width, height, end_tick, num_faces = tensors["numbers"].tolist()
        arrays: dict[str, Any] = {name: tensors[name].numpy() for name in _ARRAYS}
        openings = arrays["openings_N"]
        arrays["openings_N"] = np.where(openings < 0, np.nan, openings)
        up, down, *matrix = tensors["form"].tolist()
        return cls(
            tick_hz=tick_hz,
            size=(width, height),
            end_tick=end_tick,
            num_faces=num_faces,
            pixel_shape=Fraction(up, down) if up else None,
            display_matrix=tuple(matrix) or None,
            **arrays,
        )


_ARRAYS = (
    "ticks_N", "shots_N", "takes_N", "reasons_N", "moved_N23", "openings_N", "sharpness_N",
    "boxes_K4", "points_KP2",
)  # fmt: skip
