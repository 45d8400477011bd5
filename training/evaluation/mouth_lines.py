"""Lines of the table that say whether the mouth speaks.

Shape letters: F frames, K channels of the reader, N clips, L lags.
"""

from typing import Final

import numpy as np

from training.evaluation import measures
from training.evaluation.figures import Figures
from training.evaluation.measures import Floats
from training.evaluation.reader import OPENING
from training.evaluation.results import Bar, Line, Results, line_of, read_line

MAX_LAG: Final = 4
SHUT: Final = 0.08
"""The opening below which a true mouth counts as closed."""
READ_SHUT: Final = 0.15
"""The same for a mouth that was read, which is off by some .05."""


def correlation_lines(
    results: Results, name: str, mean: Bar | None, worst: Bar | None = None
) -> list[Line]:
    """Return how the mouth follows the true jaw: over all clips, and in the worst render."""
    lowest = [
        min(_agreement(f, getattr(f, part))[0] for f in results.values())
        for part in ("read_FK", "painted_FK", "decoded_FK")
    ]
    return [
        read_line(f"{name}, r against the true jaw, mean", results, _agreement, bar=mean),
        Line(
            f"{name}, r, worst render",
            lowest[0],
            bar=worst,
            painted=lowest[1],
            decoded=lowest[2],
        ),
    ]


def mouth_lines(people: Results) -> list[Line]:
    """Everything else about the mouths of a group."""
    return [
        _shuffled(people),
        _lag(people),
        read_line(
            "size of the mouth's motion against truth",
            people,
            _size,
            measures.ratio,
            Bar(0.8, 1.25),
        ),
        read_line("lips closed on p, b, m, share", people, _closed, measures.ratio, Bar(0.7)),
        read_line("the same on all other frames", people, _closed_elsewhere, measures.ratio),
    ]


def _agreement(f: Figures, pose_FK: Floats) -> list[float]:
    return [measures.correlation(pose_FK[:, OPENING], f.true_FK[:, OPENING])]


def _size(f: Figures, pose_FK: Floats) -> list[float]:
    return [float(pose_FK[:, OPENING].std()), float(f.painted_FK[:, OPENING].std())]


def _closed(f: Figures, pose_FK: Floats) -> list[float]:
    """Closures that were read as closed, and all of them."""
    frames = measures.closure_frames(f.true_FK[:, OPENING], f.closures, SHUT)
    return [float((pose_FK[frames, OPENING] < READ_SHUT).sum()), float(len(frames))]


def _closed_elsewhere(f: Figures, pose_FK: Floats) -> list[float]:
    """Return frames without a closure that were read as closed, and all of them."""
    frames = measures.closure_frames(f.true_FK[:, OPENING], f.closures, SHUT)
    others = np.delete(pose_FK[:, OPENING], frames)
    return [float((others < READ_SHUT).sum()), float(len(others))]


def _shuffled(people: Results) -> Line:
    """Return the mouth against the tracks of all other clips."""
    tracks = {take.index: f.true_FK[:, OPENING] for take, f in people.items()}

    def foreign(f: Figures, pose_FK: Floats) -> list[float]:
        own = f.true_FK[:, OPENING]
        others = [t for t in tracks.values() if len(t) == len(own) and not np.array_equal(t, own)]
        found = [measures.correlation(pose_FK[:, OPENING], t) for t in others]
        return [float(np.mean(found)) if found else float("nan")]

    return read_line("against another clip's track, r", people, foreign, bar=Bar(high=0.1))


def _lag(people: Results) -> Line:
    def correlations(f: Figures) -> list[float]:
        read, true = f.read_FK[:, OPENING], f.true_FK[:, OPENING]
        return list(measures.lagged_correlation(read, true, MAX_LAG))

    return line_of(
        "lag of the correlation's peak, frames",
        people,
        correlations,
        lambda figures_NL: float(measures.peak_lag(figures_NL.mean(0))),
        Bar(-1, 1),
    )
