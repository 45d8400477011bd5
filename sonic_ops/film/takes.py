"""The timeline of every take: the frames that the model makes, and where they go in the film.

All of it are numbers, which follow from the track of the film. A slow camera shows the face to the
model.

Three places are told apart, all in pixels: the *film* as it is shown, the *anchor* of a take (the
film in the frame where the face was found), and the *camera*, a square from 0 to 1 that the model
sees. Shape letters: N frames of a take in the film, F frames of the model, P points.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonic_ops.core.constants import MODEL_FPS
from sonic_ops.film.casts import READ_S
from sonic_ops.film.track import EDITED, SILENT, TOO_SHORT, FilmTrack
from sonic_ops.picture.faces import Box, moved_box

CAMERA_HZ: Final = 1.0
"""What moves more slowly than this is followed by the camera."""
MIN_TAKE_S: Final = 0.5
FADE_FRAMES: Final = 2
SILENT_S: Final = 0.5
"""From this length on a silence is one: the mouth of the film is kept in it, if it is at rest."""
RESTS: Final = 0.015
"""How far a mouth at rest may be open beyond its most closed, in heights of the face."""
RESTING_SHARE: Final = 0.1
"""The same, against how far the mouth opens in the take."""
GATE_FRAMES: Final = 4
_DEVIATION_S: Final = 0.13 / CAMERA_HZ  # of a Gaussian that halves what moves at that rate
_FURTHEST: Final = 4
_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""The outline of a face in FaceMesh, clockwise from the forehead."""
_BRIDGE: Final = 5  # of the nose, above its tip: the mask begins below it
_CHIN_ROOM: Final = 0.10  # of the height of the face: how far a chin goes down when a mouth opens

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Take:
    """Frames `[start, stop)` of the film with a face, and the model's frames for them.

    Model frame f of the take is number `first_frame + f` of a track from the start of the film,
    and sees film frame `sources_F[f]`.
    """

    index: int
    start: int
    stop: int
    first_frame: int
    sources_F: NDArray[np.int64]
    times_N: Floats
    moved_N23: Floats  # anchor to film
    camera_N23: Floats  # film to camera
    weights_N: Floats  # of what is pasted: below 1 where it fades
    region_P2: Floats  # of the edit, in the anchor
    box: Box  # of the face, in the anchor
    reference: int  # the frame of the film that the model is shown

    @property
    def num_frames(self) -> int:
        """Return the frames of the model."""
        return len(self.sources_F)

    def to_camera(self, frame: int) -> Floats:
        """Return the way from the anchor to the camera in a film frame: 2 x 3."""
        return chained(self.camera_N23[frame - self.start], self.moved_N23[frame - self.start])

    def made_to_film(self, frame: int) -> Floats:
        """Return the way from what the model makes, in the camera, to a frame of the film.

        The model's head is where those of its two neighbouring frames are; the film's is exact.
        """
        place = self.place(frame)
        before = min(floor(place), self.num_frames - 1)
        after = min(before + 1, self.num_frames - 1)
        made = self.to_camera(int(self.sources_F[before]))
        then = self.to_camera(int(self.sources_F[after]))
        made = made + (place - before) * (then - made)
        return chained(self.moved_N23[frame - self.start], inverse(made))

    def place(self, frame: int) -> float:
        """Return where a film frame is among the frames of the model."""
        place = float(self.times_N[frame - self.start]) * float(MODEL_FPS)
        return max(place - self.first_frame, 0.0)

    def around(self, start_s: Fraction, stop_s: Fraction) -> range:
        """Return the film frames whose colours count for those shown in `[start_s, stop_s)`."""
        span_s = [float(start_s - READ_S), float(stop_s + READ_S)]
        first, last = np.searchsorted(self.times_N, span_s).tolist()
        return range(self.start + first, self.start + last)

    def tensors(self) -> dict[str, Tensor]:
        """Return the take as tensors for a file."""
        box = [self.box.x, self.box.y, self.box.width, self.box.height]
        found = {n: torch.from_numpy(np.ascontiguousarray(getattr(self, n))) for n in _ARRAYS}
        numbers = [self.index, self.start, self.stop, self.first_frame, self.reference]
        return found | {
            "numbers": torch.tensor(numbers, dtype=torch.int64),
            "box": torch.tensor(box, dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Take":
        """Restore the take from tensors."""
        index, start, stop, first_frame, reference = tensors["numbers"].tolist()
        arrays: dict[str, Any] = {name: tensors[name].numpy() for name in _ARRAYS}
        return cls(
            index=index,
            start=start,
            stop=stop,
            first_frame=first_frame,
            reference=reference,
            box=Box(*tensors["box"].tolist()),
            **arrays,
        )


_ARRAYS = ("sources_F", "times_N", "moved_N23", "camera_N23", "weights_N", "region_P2")


def plan_takes(
    track: FilmTrack,
    expand: float,
    stop_s: float,
    silences_s: Sequence[tuple[float, float]] = (),
) -> list[Take]:
    """Plan the takes of a film up to a moment; those that are too short are left out.

    `expand` is how far the camera sees beyond the face, in sizes of it. In `silences_s` nothing is
    said: a mouth that is at rest there in the film is kept.
    """
    takes: list[Take] = []
    for number, start, stop in _runs(track, stop_s):
        if track.times_s[stop - 1] - track.times_s[start] >= MIN_TAKE_S:
            take = _plan(track, len(takes), number, range(start, stop), expand)
            weights_N = np.minimum(take.weights_N, _gate(track, take, silences_s))
            takes.append(replace(take, weights_N=weights_N))
    return takes


def untouched(track: FilmTrack, takes: list[Take]) -> NDArray[np.int64]:
    """Return why each frame stays as it is; EDITED for those that something is pasted into."""
    reasons_N = np.where(track.takes_N >= 0, TOO_SHORT, track.reasons_N)
    for take in takes:
        is_kept_N = take.weights_N == 0
        reasons_N[take.start : take.stop] = np.where(is_kept_N, SILENT, EDITED)
    return reasons_N


def shared_face(one: Take, other: Take) -> int | None:
    """Return a frame of the film in which two takes follow one face; None if there is none."""
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    if start >= stop:
        return None
    frame = (start + stop) // 2
    boxes = [moved_box(take.box, take.moved_N23[frame - take.start]) for take in (one, other)]
    return frame if boxes[0].is_near(boxes[1]) else None


def _runs(track: FilmTrack, stop_s: float) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each take that is seen, and its frames."""
    num = int(np.searchsorted(track.times_s, stop_s))
    takes_N = track.takes_N[:num]
    borders = np.flatnonzero(np.diff(takes_N)) + 1
    for start, stop in zip([0, *borders], [*borders, num], strict=True):
        if stop > start and takes_N[start] >= 0:
            yield int(takes_N[start]), int(start), int(stop)


def _plan(track: FilmTrack, index: int, number: int, span: range, expand: float) -> Take:
    times_N = track.times_s[span.start : span.stop]
    moved_N23 = track.moved_N23[span.start : span.stop]
    points_P2, box = track.points_KP2[number], Box(*track.boxes_K4[number].tolist())
    first = floor(times_N[0] * float(MODEL_FPS))
    last = ceil(times_N[-1] * float(MODEL_FPS))
    moments = np.arange(first, last + 1) / float(MODEL_FPS)
    return Take(
        index=index,
        start=span.start,
        stop=span.stop,
        first_frame=first,
        sources_F=span.start + _nearest(times_N, moments),
        times_N=times_N,
        moved_N23=moved_N23,
        camera_N23=_camera(times_N, moved_N23, box, expand),
        weights_N=_fade(track, span),
        region_P2=edit_region(points_P2),
        box=box,
        reference=span.start + _reference(track, span),
    )


def _nearest(times_N: Floats, moments: Floats) -> NDArray[np.int64]:
    after = np.searchsorted(times_N, moments).clip(1, max(len(times_N) - 1, 1))
    after = after.clip(max=len(times_N) - 1)
    before = np.maximum(after - 1, 0)
    is_before = moments - times_N[before] <= times_N[after] - moments
    return np.asarray(np.where(is_before, before, after), np.int64)


def _camera(times_N: Floats, moved_N23: Floats, box: Box, expand: float) -> Floats:
    """Return the slow camera of every frame: a square around the face, without its fast motion."""
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2, 1])
    centre_N2, grown_N = moved_N23 @ middle, np.hypot(moved_N23[:, 0, 0], moved_N23[:, 1, 0])
    slow_N3 = smooth(times_N, np.column_stack([centre_N2, np.log(grown_N)]), _DEVIATION_S)
    side_N = np.exp(slow_N3[:, 2]) * (1 + 2 * expand) * min(box.width, box.height)
    camera_N23 = np.zeros((len(times_N), 2, 3))
    camera_N23[:, 0, 0] = camera_N23[:, 1, 1] = 1 / side_N
    camera_N23[:, :, 2] = 0.5 - slow_N3[:, :2] / side_N[:, None]
    return camera_N23


def smooth(times_N: Floats, values_ND: Floats, deviation_s: float) -> Floats:
    """Smooth values at uneven times with a Gaussian, mirrored at both ends."""
    reach = _FURTHEST * deviation_s
    first, last = times_N[0], times_N[-1]
    head, tail = times_N <= first + reach, times_N >= last - reach
    times = np.concatenate(
        [2 * first - times_N[head][::-1], times_N, 2 * last - times_N[tail][::-1]]
    )
    values = np.concatenate([values_ND[head][::-1], values_ND, values_ND[tail][::-1]])
    smoothed = np.empty_like(values_ND)
    for row, time in enumerate(times_N):
        near = slice(*np.searchsorted(times, [time - reach, time + reach]))
        weights = np.exp(-(((times[near] - time) / deviation_s) ** 2) / 2)
        smoothed[row] = weights @ values[near] / weights.sum()
    return smoothed


def _fade(track: FilmTrack, span: range) -> Floats:
    """Return weights that fade where the next frame of the same shot stays as it is."""
    weights = np.ones(len(span))
    num, shots_N = len(track.shots_N), track.shots_N
    begins = span.start > 0 and shots_N[span.start - 1] == shots_N[span.start]
    ends = span.stop < num and shots_N[span.stop] == shots_N[span.stop - 1]
    rise = (np.arange(len(span)) + 1) / (FADE_FRAMES + 1)
    if begins:
        weights = np.minimum(weights, rise)
    if ends:
        weights = np.minimum(weights, rise[::-1])
    return weights


def _gate(track: FilmTrack, take: Take, silences_s: Sequence[tuple[float, float]]) -> Floats:
    """Return 0 where the new audio is silent and the film's mouth is at rest, 1 elsewhere."""
    span = slice(take.start, take.stop)
    openings_N = np.nan_to_num(track.openings_N[span], nan=np.inf)
    low, high = np.nanpercentile(track.openings_N[span], [5, 95])
    rests_N = openings_N <= low + max(RESTS, RESTING_SHARE * (high - low))
    gate_N = np.ones(len(rests_N))
    for start_s, stop_s in silences_s:
        is_quiet_N = (take.times_N >= start_s) & (take.times_N < stop_s) & rests_N
        for first, last in _stretches(is_quiet_N):
            lasts_s = take.times_N[last - 1] - take.times_N[first]
            if lasts_s >= SILENT_S:
                place = np.arange(last - first)
                far = np.minimum(place, place[::-1])  # frames to the next end of the stretch
                gate_N[first:last] = (1 - (far + 1) / (GATE_FRAMES + 1)).clip(0)
    return gate_N


def _stretches(is_in_N: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield where stretches of True begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_in_N, [False]])))
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        yield int(first), int(last)


def _reference(track: FilmTrack, span: range) -> int:
    """Choose the frame to show the model: mouth most closed, among those that are sharp."""
    openings = np.nan_to_num(track.openings_N[span.start : span.stop], nan=np.inf)
    sharpness = track.sharpness_N[span.start : span.stop]
    is_sharp = sharpness >= 0.7 * np.median(sharpness)
    closed = np.where(is_sharp, openings, np.inf)
    if not np.isfinite(closed).any():
        return len(span) // 2
    nearly = closed <= closed.min() + 0.004
    return int(np.argmax(np.where(nearly, sharpness, -1)))


def edit_region(points_P2: Floats) -> Floats:
    """Return the outline of what is made anew: from above the tip of the nose to below the chin.

    Lips and cheeks are inside; a chin that goes down has room.
    """
    oval = points_P2[list(_OVAL)]
    up = points_P2[10] - points_P2[152]
    height = float(np.linalg.norm(up))
    up = up / max(height, 1e-6)
    top = float(points_P2[_BRIDGE] @ up)
    heights = oval @ up
    lower = oval[heights <= top]
    chin = points_P2[152] @ up
    # What is lower goes further down, by as much as a chin has room.
    share = ((top - lower @ up) / max(top - chin, 1e-6)).clip(0, 1) ** 2
    lower = lower - share[:, None] * _CHIN_ROOM * height * up
    hull = cv2.convexHull(lower.astype(np.float32))[:, 0]
    return np.asarray(hull, np.float64)


def chained(after: Floats, before: Floats) -> Floats:
    """Return one 2 x 3 map after another."""
    return np.asarray(after @ np.vstack([before, [0, 0, 1]]))


def inverse(matrix: Floats) -> Floats:
    """Return the inverse of a 2 x 3 map."""
    return np.asarray(np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2])
