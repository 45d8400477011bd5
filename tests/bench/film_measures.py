"""What a dubbed film is measured by, where its true mouth, head and mask are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cluster.video.films import FilmPlan
from sonic_ops.film.camera import draw
from sonic_ops.film.compositing import planes_of
from sonic_ops.film.takes import Take
from sonic_ops.film.track import FilmTrack
from tests import films

FPS = 25
MAX_LAG = 5  # frames
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Dubbed:
    """A film and what became of it, with its plan, and the tracks of every person in the result."""

    film: Path
    out: Path
    plan: FilmPlan
    tracks: Sequence[FilmTrack]

    def pictures(self) -> tuple[list[Bytes], list[Bytes]]:
        """Return all frames before and after, as RGB."""
        before, after = (films.frames_of(path) for path in (self.film, self.out))
        return [_rgb(frame) for frame in before], [_rgb(frame) for frame in after]


def _rgb(frame: Any) -> Bytes:
    return np.asarray(frame.to_ndarray(format="rgb24"))


def follows(openings: Floats, truth: Floats) -> float:
    """Pearson's r of a mouth with the true one; 0 if one of them stands."""
    pair = np.nan_to_num(openings), truth
    return float(np.corrcoef(*pair)[0, 1]) if min(map(np.std, pair)) else 0.0


def correlation(openings: Floats, truth: Floats) -> tuple[float, float]:
    """The largest correlation within 0.2 s, and the lag in ms at which the mouth follows."""
    inner = slice(MAX_LAG, -MAX_LAG)
    found = {
        lag: follows(np.roll(openings, -lag)[inner], truth[inner])
        for lag in range(-MAX_LAG, MAX_LAG + 1)
    }
    best = max(found, key=lambda lag: found[lag])
    return found[best], 1000 * best / FPS


def region(take: Take, frame: int, size: tuple[int, int]) -> Bytes:
    """What was made of a frame (255)."""
    moved = take.moved_N23[frame - take.start]
    return draw(take.region_P2 @ moved[:, :2].T + moved[:, 2], size)


def outside(done: Dubbed) -> int:
    """The largest difference of a sample outside of what was made; both files lose nothing."""
    worst = 0
    pairs = zip(films.frames_of(done.film), films.frames_of(done.out), strict=True)
    for number, (before, after) in enumerate(pairs):
        made = np.zeros((before.height, before.width), np.uint8)
        for take in done.plan.takes:
            if take.start <= number < take.stop:
                made |= region(take, number, made.shape)
        for old, new in zip(planes_of(before), planes_of(after), strict=True):
            step = made.shape[0] // old.shape[0]
            kept = made.reshape(old.shape[0], step, old.shape[1], step).max(axis=(1, 3)) == 0
            worst = max(worst, int(np.abs(old.astype(int) - new)[kept].max(initial=0)))
    return worst


def other_times(done: Dubbed) -> int:
    """How many frames are shown at other times than those of the film."""
    before, after = films.times_of(done.film), films.times_of(done.out)
    return sum(a != b for a, b in zip(before, after, strict=True))


def pictures_measured(done: Dubbed, truth: films.Scene, take: Take) -> dict[str, float]:
    """Edges along the border, and change from frame to frame, against the source and the truth."""
    before, after = done.pictures()
    size = before[0].shape[:2]
    edges, changes = [], []
    for frame in range(take.start + 1, take.stop):
        mask = region(take, frame, (size[0], size[1]))
        kernel = np.ones((5, 5), np.uint8)
        rim = cv2.dilate(mask, kernel) - cv2.erode(mask, kernel) > 0
        edges.append([_gradient(p[frame])[rim].mean() for p in (after, before)])
        inside = mask > 0
        pairs = ((p[frame], p[frame - 1]) for p in (after, truth.pictures))
        changes.append([np.abs(a.astype(float) - b)[inside].mean() for a, b in pairs])
    edge, change = np.array(edges).mean(0), np.array(changes).mean(0)
    return {"gradient": float(edge[0] / edge[1]), "change": float(change[0] / change[1])}


def _gradient(picture: Bytes) -> Floats:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))


def position(take: Take, scene: films.Scene, name: str, left: float) -> float:
    """95th percentile of how far the place of the mouth is off, in % of the face width."""
    painter = films.painter(name)
    places = np.array([painter.mouth_centre(p) for p in scene.poses]) * films.UNIT + (left, 0)
    shown = places[take.start : take.stop]
    # The mouth of the first frame, as the film moves it.
    found = take.moved_N23 @ np.array([*shown[0], 1])
    errors = np.linalg.norm(found - shown - (found[0] - shown[0]), axis=1)
    return float(100 * np.percentile(errors, 95) / (2 * painter.identity.half_width * films.UNIT))
