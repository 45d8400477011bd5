"""Results of many takes, and one line of the table made of them.

Shape letters: N clips, K figures of a clip.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluation import measures
from training.evaluation.figures import Figures
from training.evaluation.measures import Floats
from training.evaluation.takes import Take

Results = Mapping[Take, Figures]
Figure = Callable[[Figures], Sequence[float]]
"""What a statistic needs to know of one take."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The range that a value must be in, both ends included."""

    low: float = -np.inf
    high: float = np.inf

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if np.isinf(self.high):
            return f">= {self.low:g}"
        return f"<= {self.high:g}" if np.isinf(self.low) else f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Line:
    """One measure with its 95 % interval; what has no bar is there to explain.

    `painted` and `decoded` are the same measure of the truth itself, and of the truth through the
    autoencoder: ceilings of what can be measured, and of what the UNet can do.
    """

    measure: str
    value: float
    low: float | None = None
    high: float | None = None
    bar: Bar | None = None
    painted: float | None = None
    decoded: float | None = None

    @property
    def holds(self) -> bool | None:
        """Return whether the bar is met; None without a bar."""
        return self.bar.holds(self.value) if self.bar else None


def of(results: Results, group: str) -> Results:
    """Return the results of a group at its natural motion."""
    return {t: f for t, f in results.items() if t.group == group and not t.is_scaled}


def per_clip(results: Results, figure: Figure) -> Floats:
    """Return figures of each clip, the mean over its seeds: N K."""
    indices = sorted({take.index for take in results})
    return np.array(
        [
            np.mean([figure(f) for take, f in results.items() if take.index == index], axis=0)
            for index in indices
        ]
    )


def line_of(
    measure: str,
    results: Results,
    figure: Figure,
    statistic: measures.Statistic = measures.mean,
    bar: Bar | None = None,
    *,
    painted: Figure | None = None,
    decoded: Figure | None = None,
) -> Line:
    """Return a statistic of a figure over clips; `painted` and `decoded` give the ceilings."""
    value, low, high = measures.interval(per_clip(results, figure), statistic)
    ceilings = [statistic(per_clip(results, part)) if part else None for part in (painted, decoded)]
    return Line(measure, value, low, high, bar, *ceilings)


def read_line(
    measure: str,
    results: Results,
    figure: Callable[[Figures, Floats], Sequence[float]],
    statistic: measures.Statistic = measures.mean,
    bar: Bar | None = None,
) -> Line:
    """Return a line whose figure comes from a read pose: of the render, and of both ceilings."""
    return line_of(
        measure,
        results,
        lambda f: figure(f, f.read_FK),
        statistic,
        bar,
        painted=lambda f: figure(f, f.painted_FK),
        decoded=lambda f: figure(f, f.decoded_FK),
    )
