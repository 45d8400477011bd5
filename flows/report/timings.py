"""Where the time of a row went: seconds by method, and what each worker did when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 480
LANE: Final = 14
METHODS: Final = {
    "encode_chunk": "encode audio",
    "condition_portrait": "see the portrait",
    "condition_frames": "prepare the audio",
}
"""Methods of a worker in the words of the report; others go by their names."""


@dataclass(frozen=True, slots=True)
class StageBar:
    """Seconds that workers spent on a method, and its share of the longest."""

    label: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Block:
    """One worker at one stage for a while."""

    x: int
    y: int
    width: int
    kind: int
    said: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """A lane per worker."""

    blocks: tuple[Block, ...]
    num_workers: int
    duration_s: float
    stages: tuple[str, ...]

    @property
    def height(self) -> int:
        return LANE * self.num_workers


def stages_of(timings: Mapping[str, Any]) -> tuple[StageBar, ...]:
    """Make bars of the time per method, longest first."""
    seconds = {str(name): float(value) for name, value in timings.get("seconds", {}).items()}
    most = max(seconds.values(), default=0.0) or 1.0
    ordered = sorted(seconds.items(), key=lambda pair: -pair[1])
    return tuple(StageBar(_label(name), value, value / most) for name, value in ordered)


def timeline_of(timings: Mapping[str, Any]) -> Timeline | None:
    """Make the timeline of the workers; None without spans."""
    spans = timings.get("spans", [])
    if not spans:
        return None
    first = min(span["start_s"] for span in spans)
    duration_s = (max(span["stop_s"] for span in spans) - first) or 1.0
    workers = sorted({span["worker"] for span in spans})
    stages = list(dict.fromkeys(span["stage"] for span in spans))
    scale = WIDTH / duration_s
    blocks = (
        Block(
            x=round((span["start_s"] - first) * scale),
            y=LANE * workers.index(span["worker"]),
            width=max(round((span["stop_s"] - span["start_s"]) * scale), 1),
            kind=stages.index(span["stage"]) % 6,
            said=f"worker {workers.index(span['worker']) + 1}: {span['stage']}, "
            f"{span['stop_s'] - span['start_s']:.1f} s",
        )
        for span in spans
    )
    return Timeline(tuple(blocks), len(workers), duration_s, tuple(stages))


def _label(method: str) -> str:
    return METHODS.get(method, method.replace("_", " "))
