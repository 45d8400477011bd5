"""Keep the colours of the portrait from the first second to the last.

The colours of one frame in 25 are measured and compared with the portrait's, without the mouth.
The correction follows smoothly over many seconds, so that a moving head does not pump colours.
The measured frames lie on a grid of the whole video, so the split into segments changes no bit.

Shape letters: C colours, H, W rows and columns, N statistics.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sonic_ops.core.constants import MODEL_FPS

STATS_FRAMES = 25  # from one tint to the next
REACH_S = 6.0  # deviation of the weights by which statistics are averaged
MAX_GAIN = 1.25
_FURTHEST = 5.0  # deviations: what is further away weighs less than 4e-6
_CELL = 8  # pixels a side: finer detail is no colour
_MOUTH = 0.5  # the lower part of the face, which moves and shows what the portrait does not

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ColourStats:
    """Mean and deviation of the colours (N C) of some frames, in [0, 1], and of the portrait."""

    frames: tuple[int, ...]
    means_NC: Numbers
    deviations_NC: Numbers
    portrait_mean_C: Numbers
    portrait_deviation_C: Numbers

    def tensors(self) -> dict[str, Tensor]:
        """Return the statistics as tensors."""
        return {
            "frames": torch.tensor(self.frames, dtype=torch.int64),
            "means": torch.from_numpy(self.means_NC),
            "deviations": torch.from_numpy(self.deviations_NC),
            "portrait_mean": torch.from_numpy(self.portrait_mean_C),
            "portrait_deviation": torch.from_numpy(self.portrait_deviation_C),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "ColourStats":
        """Restore the statistics from tensors."""
        numbers = {name: tensor.numpy() for name, tensor in tensors.items() if name != "frames"}
        return cls(
            tuple(tensors["frames"].tolist()),
            numbers["means"],
            numbers["deviations"],
            numbers["portrait_mean"],
            numbers["portrait_deviation"],
        )


@dataclass(frozen=True, slots=True)
class Correction:
    """What the colours of some frames are multiplied by, and what is added then (N C)."""

    frames_N: NDArray[np.int64]
    gains_NC: Numbers
    offsets_NC: Numbers

    def tensors(self) -> dict[str, Tensor]:
        """Return the correction as tensors."""
        return {
            "frames": torch.from_numpy(self.frames_N),
            "gains": torch.from_numpy(self.gains_NC),
            "offsets": torch.from_numpy(self.offsets_NC),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Correction":
        """Restore the correction from tensors."""
        return cls(*(tensors[name].numpy() for name in ("frames", "gains", "offsets")))


def stats_frames(start: int, stop: int, num_frames: int) -> tuple[int, ...]:
    """Return the frames of `[start, stop)` whose colours are measured."""
    first = min(STATS_FRAMES // 2, num_frames - 1)
    before = max(-(-(start - first) // STATS_FRAMES), 0)
    return tuple(range(first + before * STATS_FRAMES, stop, STATS_FRAMES))


def measure_colour_stats(
    frames: Iterable[tuple[int, Tensor]], portrait_CHW: Tensor, face_HW: Tensor
) -> ColourStats:
    """Measure the colours of numbered frames (C H W) and of the portrait, in [0, 1]."""
    place_HW = _away_from_mouth(face_HW)
    numbered = [(frame, _statistics(image_CHW, place_HW)) for frame, image_CHW in frames]
    mean_C, deviation_C = _statistics(portrait_CHW, place_HW)
    return ColourStats(
        tuple(frame for frame, _ in numbered),
        np.array([mean for _, (mean, _) in numbered]).reshape(-1, len(mean_C)),
        np.array([deviation for _, (_, deviation) in numbered]).reshape(-1, len(mean_C)),
        mean_C,
        deviation_C,
    )


def joined(parts: Sequence[ColourStats]) -> ColourStats:
    """Join the colour statistics of segments."""
    return ColourStats(
        tuple(frame for part in parts for frame in part.frames),
        np.concatenate([part.means_NC for part in parts]),
        np.concatenate([part.deviations_NC for part in parts]),
        parts[0].portrait_mean_C,
        parts[0].portrait_deviation_C,
    )


def correction_of(colour_stats: ColourStats) -> Correction:
    """Compute the correction of all frames towards the portrait's colours.

    `colour_stats` are those of the whole video, STATS_FRAMES from one to the next.
    """
    means_NC, deviations_NC = (
        _averaged(colour_stats.means_NC),
        _averaged(colour_stats.deviations_NC),
    )
    gains_NC = colour_stats.portrait_deviation_C / np.maximum(deviations_NC, 1e-6)
    gains_NC = gains_NC.clip(1 / MAX_GAIN, MAX_GAIN)
    offsets_NC = colour_stats.portrait_mean_C - gains_NC * means_NC
    return Correction(np.array(colour_stats.frames), gains_NC, offsets_NC)


def held(
    frames: Iterable[NDArray[np.uint8]], correction: Correction, first: int, fps: Fraction
) -> Iterator[NDArray[np.uint8]]:
    """Output frames `first`, `first + 1`, ... (H W C) in the colours of the portrait."""
    for number, frame_HWC in enumerate(frames, start=first):
        frame = float(number / fps * MODEL_FPS)
        gain, offset = (
            np.array([np.interp(frame, correction.frames_N, curve) for curve in curves.T])
            for curves in (correction.gains_NC, correction.offsets_NC)
        )
        shown_HWC = frame_HWC * gain.astype(np.float32) + 255 * offset.astype(np.float32)
        yield np.rint(shown_HWC).clip(0, 255).astype(np.uint8)


def _averaged(values_NC: Numbers) -> Numbers:
    """Smooth values with a truncated Gaussian.

    One neighbour after the other, so that a long video needs no matrix of all with all, and no
    library that adds in an order of its own.
    """
    num, tint_s = len(values_NC), STATS_FRAMES / float(MODEL_FPS)
    sums_NC, weights_N1 = np.zeros_like(values_NC), np.zeros((num, 1))
    furthest = min(int(_FURTHEST * REACH_S / tint_s), num - 1)
    for step in range(-furthest, furthest + 1):
        weight = math.exp(-((step * tint_s / REACH_S) ** 2) / 2)
        here = slice(max(-step, 0), num - max(step, 0))
        there = slice(max(step, 0), num - max(-step, 0))
        sums_NC[here] += weight * values_NC[there]
        weights_N1[here] += weight
    averages_NC: Numbers = sums_NC / weights_N1
    return averages_NC


def _statistics(image_CHW: Tensor, place_HW: Tensor) -> tuple[Numbers, Numbers]:
    """Return mean and deviation of the cells that lie in a place."""
    cells_CHW = functional.avg_pool2d(image_CHW[None].double(), _CELL)[0]
    is_in_HW = functional.avg_pool2d(place_HW[None, None].double(), _CELL)[0, 0] == 1
    chosen_CN = cells_CHW[:, is_in_HW]
    return chosen_CN.mean(1).numpy(), chosen_CN.std(1, correction=0).numpy()


def _away_from_mouth(face_HW: Tensor) -> Tensor:
    """Return a mask without the lower face; all ones if nothing else is visible."""
    place_HW = torch.ones_like(face_HW)
    rows, columns = (face_HW.amax(axis) > 0.5 for axis in (1, 0))
    if (rows.all() and columns.all()) or not rows.any():
        return place_HW
    top, bottom = int(rows.nonzero()[0]), int(rows.nonzero()[-1]) + 1
    left, right = int(columns.nonzero()[0]), int(columns.nonzero()[-1]) + 1
    place_HW[round(bottom - _MOUTH * (bottom - top)) : bottom, left:right] = 0
    # A face that fills the frame may leave no whole cell beside its mouth.
    whole_HW = functional.avg_pool2d(place_HW[None, None], _CELL)[0, 0] == 1
    return place_HW if whole_HW.any() else torch.ones_like(face_HW)
