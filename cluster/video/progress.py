"""How far a video is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage of one video is."""

    stage: str
    done: int
    total: int


OnProgress = Callable[[Progress], None]
