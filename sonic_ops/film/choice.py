"""Which of several faces of a film is dubbed."""

from collections.abc import Sequence

from sonic_ops.film.tracking import Choose
from sonic_ops.picture.faces import Box


def chooser(face_box: tuple[float, float, float, float] | None, face: int | None) -> Choose:
    """Return how to choose among faces, largest first.

    The one nearest to a place, number `face` from the left, or else the largest.
    """

    def choose(faces: Sequence[Box]) -> Box:
        if face_box is not None:
            wished = Box(*face_box)
            return min(faces, key=lambda box: _distance(box, wished))
        if face is not None:
            from_left = sorted(faces, key=lambda box: box.x + box.width / 2)
            return from_left[min(face, len(faces)) - 1]
        return faces[0]

    return choose


def _distance(one: Box, other: Box) -> float:
    dx = one.x + one.width / 2 - other.x - other.width / 2
    dy = one.y + one.height / 2 - other.y - other.height / 2
    return dx * dx + dy * dy
