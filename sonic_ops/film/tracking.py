"""Follow one face through every shot of a film, and keep numbers of every frame.

A *take* is a stretch of a shot in which a face is followed without a break. Its anchor is the
frame in which it was found; where the face is in another frame is a similarity from there.
Shape letters: N frames of the film, K takes, P points, H, W rows and columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.errors import NoFaceError
from sonic_ops.film.choice import ChooseAt
from sonic_ops.film.shots import CutDetector
from sonic_ops.film.track import (
    EDITED,
    LOST,
    MIN_FACE,
    NO_FACE,
    NOT_HERE,
    PROFILE,
    REASONS,
    TOO_SMALL,
    FilmTrack,
)
from sonic_ops.picture.faces import Box, find_faces, moved_box
from sonic_ops.picture.following import PointTracker
from sonic_ops.picture.landmarks import read_landmarks
from sonic_ops.picture.portrait_warnings import mouth_is_hidden
from sonic_ops.picture.video_frames import FilmFrame

LOOKED_SIDE: Final = 1280
"""Pixels of the long side in which a film is looked at."""
BRIDGED_S: Final = 0.4
_CHECKED_S: Final = 0.4
_SURE: Final = 0.35
"""Share of the points that must agree on where the face is."""
_MIN_SCORE: Final = 0.4
"""What FaceMesh must say of a face that no detector sees."""
_MAX_TURN: Final = 0.28
"""How far the tip of the nose may be beside the middle of the eyes, in distances of the eyes."""
_EYES: Final = (33, 133, 362, 263)
_SAME_LIGHT: Final = 0.1
_MOST_POINTS: Final = 512
"""Landmarks of so many frames of a take are kept, however long it is."""

Floats = NDArray[np.float64]


@dataclass(slots=True)
class _Seen:
    """What is known of a frame."""

    time_s: Fraction
    shot: int
    take: int = -1
    reason: int = NO_FACE
    moved: Floats = field(default_factory=lambda: np.eye(2, 3))
    opening: float = np.nan
    sharpness: float = 0.0


class _Take:
    """A face that is followed from its anchor."""

    def __init__(self, number: int, frame_HW3: NDArray[np.uint8], box: Box) -> None:
        self.number, self.box = number, box
        self.tracker = PointTracker(frame_HW3, box)
        self.seen_at, self._light = box, _light(frame_HW3, box)
        self.points: list[Floats] = []
        self.lost: list[_Seen] = []
        self._num_points, self._step = 0, 1
        self.checked_s = Fraction(-1)
        self.is_doubted = False

    def lit(self, frame_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a frame in the light of the anchor: points are not followed through a fade."""
        gain = self._light / max(_light(frame_HW3, self.seen_at), 1.0)
        if abs(gain - 1) <= _SAME_LIGHT:
            return frame_HW3
        return np.asarray(cv2.convertScaleAbs(frame_HW3, alpha=gain))

    def add_points(self, points_P2: Floats) -> None:
        """Keep the landmarks of a frame; of a long take, those of every second, fourth... frame."""
        if self._num_points % self._step == 0:
            self.points.append(points_P2)
            if len(self.points) > _MOST_POINTS:
                del self.points[1::2]
                self._step *= 2
        self._num_points += 1


class FilmTracker:
    """Takes the frames of a film in their order. `choose_at` says who is looked for."""

    def __init__(self, choose_at: ChooseAt) -> None:
        self._choose_at = choose_at
        self._cuts = CutDetector()
        self._take: _Take | None = None
        self._seen: list[_Seen] = []
        self._takes: list[_Take] = []
        self._shot, self._num_faces, self._tried_s = -1, 0, Fraction(-1)
        self._shot_s = Fraction(0)
        self._left_at: Box | None = None  # where the last take of the shot ended
        self._size, self._scale, self._lasts_s = (0, 0), 1.0, Fraction(0)
        self._form: tuple[Fraction | None, tuple[int, ...] | None] = (None, None)

    def add(self, frame: FilmFrame) -> None:
        """Look at the next frame."""
        frame_HW3 = frame.shown(LOOKED_SIDE)
        self._measure(frame, frame_HW3)
        if self._cuts.is_cut(frame_HW3):
            self._shot, self._shot_s = self._shot + 1, frame.time_s
            self._end_take()
            self._tried_s, self._left_at = Fraction(-1), None
        seen = _Seen(frame.time_s, self._shot)
        self._seen.append(seen)
        if self._take is None:
            self._look(frame_HW3, seen)
        if self._take is not None:
            self._follow(self._take, frame_HW3, seen)

    def finish(self) -> FilmTrack:
        """Return the track of all frames. Raises NoFaceError if no face was followed."""
        self._end_take()
        if not any(seen.take >= 0 for seen in self._seen):
            reasons = {seen.reason for seen in self._seen} - {NO_FACE, NOT_HERE} or {NO_FACE}
            said = " and ".join(REASONS[reason] for reason in sorted(reasons))
            raise NoFaceError(
                f"No face of the film can be dubbed: {said} in all of its {len(self._seen)} frames",
                remedy="Give a film that shows a face from the front, or name it in face_box.",
                field="video",
            )
        return self._track()

    def _measure(self, frame: FilmFrame, frame_HW3: NDArray[np.uint8]) -> None:
        size = frame.shown_size
        if not self._seen:
            self._form = (frame.pixel_shape, frame.display_matrix)
        self._size, self._scale = size, frame_HW3.shape[1] / size[0]
        rate = frame.average_rate
        usual_s = 1 / rate if rate else Fraction(1, 25)
        if self._seen:
            usual_s = max(frame.time_s - self._seen[-1].time_s, Fraction(1, 1000))
        self._lasts_s = usual_s

    def _look(self, frame_HW3: NDArray[np.uint8], seen: _Seen) -> None:
        """Look for a face to follow, a few times a second."""
        choose = self._choose_at(float(self._shot_s), float(seen.time_s))
        if choose is None:
            seen.reason, self._tried_s = NOT_HERE, Fraction(-1)
            return
        if self._tried_s >= 0 and seen.time_s - self._tried_s < Fraction(1, 6):
            seen.reason = self._seen[-2].reason if len(self._seen) > 1 else NO_FACE
            return
        self._tried_s = seen.time_s
        faces = find_faces(Image.fromarray(frame_HW3))
        self._num_faces = max(self._num_faces, len(faces))
        if not faces:
            return
        box = choose([face.scaled(1 / self._scale) for face in faces], self._left_at)
        if box is None:
            return
        if box.width < MIN_FACE[0] or box.height < MIN_FACE[1]:
            seen.reason = TOO_SMALL
            return
        self._take = _Take(len(self._takes), frame_HW3, box.scaled(self._scale))
        self._takes.append(self._take)

    def _follow(self, take: _Take, frame_HW3: NDArray[np.uint8], seen: _Seen) -> None:
        found = take.tracker.follow(take.lit(frame_HW3))
        box = moved_box(take.box, found.moved)
        marks = read_landmarks(frame_HW3, box)
        is_there = found.share >= _SURE and self._is_face(take, frame_HW3, box, marks.score, seen)
        is_there = is_there and not mouth_is_hidden(frame_HW3, box, marks)
        turn = _turn(marks.points)
        if not is_there or turn > _MAX_TURN:
            seen.reason = LOST if not is_there else PROFILE
            take.lost.append(seen)
            if seen.time_s - take.lost[0].time_s > BRIDGED_S:
                self._end_take()
            return
        seen.moved = _in_film(found.moved, self._scale)
        _bridge(take, self._seen, seen)
        seen.take, seen.reason = take.number, EDITED
        back = np.linalg.inv(np.vstack([found.moved, [0, 0, 1]]))[:2]
        take.add_points(np.float64(marks.points) @ back[:, :2].T + back[:, 2])
        take.seen_at = box
        seen.opening, seen.sharpness = marks.mouth_opening, _sharpness(frame_HW3, box)

    def _is_face(
        self, take: _Take, frame_HW3: NDArray[np.uint8], box: Box, score: float, seen: _Seen
    ) -> bool:
        """Return whether there is a face; detectors are asked a few times a second."""
        if seen.time_s - take.checked_s >= _CHECKED_S or take.is_doubted:
            take.checked_s = seen.time_s
            faces = find_faces(Image.fromarray(frame_HW3))
            self._num_faces = max(self._num_faces, len(faces))
            take.is_doubted = not any(face.is_near(box) for face in faces)
        return not take.is_doubted or score > _MIN_SCORE

    def _end_take(self) -> None:
        if self._take is not None:
            self._left_at = self._take.seen_at.scaled(1 / self._scale)
        self._take = None

    def _track(self) -> FilmTrack:
        seen, scale = self._seen, self._scale
        tick_hz = lcm(*(each.time_s.denominator for each in seen))
        takes = [take for take in self._takes if take.points]
        number = {take.number: place for place, take in enumerate(takes)}
        boxes = [[b / scale for b in _corners(take.box)] for take in takes]
        points = [np.median(np.stack(take.points), axis=0) / scale for take in takes]
        end_s = seen[-1].time_s + self._lasts_s
        return FilmTrack(
            ticks_N=np.array([int(each.time_s * tick_hz) for each in seen], np.int64),
            tick_hz=tick_hz,
            shots_N=np.array([each.shot for each in seen], np.int64),
            takes_N=np.array([number.get(each.take, -1) for each in seen], np.int64),
            reasons_N=np.array([each.reason for each in seen], np.int64),
            moved_N23=np.stack([each.moved for each in seen]),
            openings_N=np.array([each.opening for each in seen]),
            sharpness_N=np.array([each.sharpness for each in seen]),
            boxes_K4=np.array(boxes, np.float64),
            points_KP2=np.stack(points),
            size=self._size,
            end_tick=round(end_s * tick_hz),
            num_faces=self._num_faces,
            pixel_shape=self._form[0],
            display_matrix=self._form[1],
        )


def track_film(frames: Iterable[FilmFrame], choose_at: ChooseAt) -> FilmTrack:
    """Follow a face through all frames of a film. Raises NoFaceError if there is none."""
    tracker = FilmTracker(choose_at)
    for frame in frames:
        tracker.add(frame)
    return tracker.finish()


def shot_starts(frames: Iterable[FilmFrame]) -> list[float]:
    """Return the seconds at which the shots of a film begin, as a tracker will see them."""
    cuts = CutDetector()
    return [float(frame.time_s) for frame in frames if cuts.is_cut(frame.shown(LOOKED_SIDE))]


def _bridge(take: _Take, seen: Sequence[_Seen], now: _Seen) -> None:
    """Fill the frames since the face was last seen, now that it is there again."""
    if not take.lost:
        return
    before = seen[-len(take.lost) - 2] if len(seen) > len(take.lost) + 1 else None
    if before is not None and before.take == take.number:
        span_s = now.time_s - before.time_s
        for each in take.lost:
            share = float((each.time_s - before.time_s) / span_s)
            each.moved = before.moved + share * (now.moved - before.moved)
            each.take, each.reason = take.number, EDITED
            each.opening = before.opening
    take.lost.clear()


def _in_film(moved: Any, scale: float) -> Floats:
    """Convert a movement between small frames to one between those of the film."""
    matrix = np.array(moved, np.float64)
    matrix[:, 2] /= scale
    return matrix


def _light(frame_HW3: NDArray[np.uint8], box: Box) -> float:
    """Return the mean level in a box, as far as it is in the frame."""
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    part = frame_HW3[top : int(box.y + box.height), left : int(box.x + box.width)]
    return float(part.mean()) if part.size else 0.0


def _corners(box: Box) -> tuple[float, float, float, float]:
    return box.x, box.y, box.width, box.height


def _turn(points: NDArray[np.float32]) -> float:
    """Return how far the nose is beside the middle of the eyes, along the line of the eyes."""
    eyes = points[list(_EYES)].astype(np.float64)
    across = eyes[3] - eyes[0]
    length = float(np.linalg.norm(across))
    beside = (points[1] - eyes.mean(axis=0)) @ across / max(length, 1e-6)
    return abs(float(beside)) / max(length, 1e-6)


def _sharpness(frame_HW3: NDArray[np.uint8], box: Box) -> float:
    """Return the variance of the Laplacian in a box."""
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    part = frame_HW3[top : int(box.y + box.height), left : int(box.x + box.width)]
    if min(part.shape[:2]) < 3:
        return 0.0
    return float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())
