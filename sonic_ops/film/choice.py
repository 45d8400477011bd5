"""Which of several faces of a film is dubbed."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Final, TypeAlias

from sonic_ops.picture.faces import Box

Choose: TypeAlias = Callable[[Sequence[Box], Box | None], Box | None]
"""(faces, largest first, and where the person was last seen in the shot) -> theirs, if any."""
ChooseAt: TypeAlias = Callable[[float, float], Choose | None]
"""(seconds at which the shot began, seconds now) -> how to choose; None if nobody is looked for."""
REACHES_S: Final = 0.3
"""By how much a turn has to reach into a shot, or half of it: turns and cuts differ by frames."""
_NEAR: Final = 1.0  # sizes of a face


@dataclass(frozen=True, slots=True)
class Choice:
    """A face: the one nearest to a place, number `face` from the left, or else the largest.

    It is looked for in every shot that the seconds `[start_s, end_s)` reach into. One that
    `must_fit` is nobody else's: the number exists, and the place is on the face.
    """

    position: tuple[float, float] | None = None
    face: int | None = None
    start_s: float = 0.0
    end_s: float = inf
    must_fit: bool = False

    @property
    def is_for_all(self) -> bool:
        """Tell whether it is looked for in every shot."""
        return (self.start_s, self.end_s) == (0.0, inf)

    def reaches(self, start_s: float, stop_s: float) -> bool:
        """Tell whether it is looked for in a shot."""
        inside_s = min(self.end_s, stop_s) - max(self.start_s, start_s)
        return inside_s >= min(REACHES_S, (self.end_s - self.start_s) / 2)

    def of(self, faces: Sequence[Box], last: Box | None = None) -> Box | None:
        """Choose among faces, largest first; None if it is none of them."""
        if self.must_fit and last is not None:
            return _at(_middle(last), faces, must_fit=True)
        if self.position is not None:
            return _at(self.position, faces, must_fit=self.must_fit)
        if self.face is not None:
            if self.must_fit and self.face > len(faces):
                return None
            from_left = sorted(faces, key=lambda box: _middle(box)[0])
            return from_left[min(self.face, len(faces)) - 1]
        return faces[0]


def chooser(choices: Sequence[Choice], shots_s: Sequence[float] = ()) -> ChooseAt:
    """Return how to choose at a moment of a shot: as the last choice says that has begun by then.

    `choices` are in the order of their start; before any has begun, the first of the shot counts.
    `shots_s` are the seconds at which shots begin, if choices are not for all of them.
    """

    @lru_cache(1)
    def of_shot(shot_s: float) -> list[Choice]:
        stop_s = next((start for start in shots_s if start > shot_s), inf)
        return [choice for choice in choices if choice.reaches(shot_s, stop_s)]

    def choose_at(shot_s: float, time_s: float) -> Choose | None:
        here = of_shot(shot_s)
        num_begun = bisect_right(here, time_s, key=lambda choice: choice.start_s)
        return here[max(num_begun - 1, 0)].of if here else None

    return choose_at


def _at(place: tuple[float, float], faces: Sequence[Box], *, must_fit: bool) -> Box | None:
    nearest = min(faces, key=lambda box: _distance(box, place))
    dx, dy = (abs(a - b) for a, b in zip(_middle(nearest), place, strict=True))
    is_on_it = dx < _NEAR * nearest.width and dy < _NEAR * nearest.height
    return nearest if is_on_it or not must_fit else None


def _middle(box: Box) -> tuple[float, float]:
    return box.x + box.width / 2, box.y + box.height / 2


def _distance(box: Box, place: tuple[float, float]) -> float:
    dx, dy = (a - b for a, b in zip(_middle(box), place, strict=True))
    return dx * dx + dy * dy
