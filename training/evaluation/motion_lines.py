"""Lines of the table that say whether the rest of the face lives, and obeys its two factors.

Shape letters: F frames, K channels of the reader, N clips.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from sonic_ops.core.constants import MODEL_FPS
from training.evaluation import measures
from training.evaluation.figures import Figures
from training.evaluation.measures import Floats
from training.evaluation.reader import BROW_REACH, BROWS, HEAD, LIDS, OPENING, REACH
from training.evaluation.results import Bar, Line, Results, line_of, read_line
from training.evaluation.takes import FACTORS, PEOPLE

LESS: Final = Bar(high=0.95)
MORE: Final = Bar(low=1.05)
SAME: Final = Bar(0.85, 1.15)

Size = Callable[[Floats], float]


def head_px(pose_FK: Floats) -> float:
    """Return how far the head moves, in pixels."""
    return measures.head_motion(pose_FK[:, HEAD], REACH)


def brow_px(pose_FK: Floats) -> float:
    """Return how far the brows move, in pixels."""
    return float(pose_FK[:, BROWS].std() * BROW_REACH)


def mouth_size(pose_FK: Floats) -> float:
    """Return how much the mouth opens and shuts."""
    return float(pose_FK[:, OPENING].std())


def blinks(pose_FK: Floats) -> float:
    """Blinks per minute."""
    num_minutes = len(pose_FK) / float(MODEL_FPS) / 60
    return measures.count_blinks(pose_FK[:, LIDS]) / num_minutes


def life_lines(people: Results) -> list[Line]:
    """Head, brows and lids while people speak."""
    return [
        _against_truth("head motion against truth", people, head_px),
        _against_truth("brow motion against truth", people, brow_px),
        read_line("blinks per minute", people, lambda _, pose: [blinks(pose)]),
    ]


def silence_lines(silent: Results) -> list[Line]:
    """Return what a face does while nothing is said."""
    return [
        line_of(
            "silence: mouth opening, mean",
            silent,
            lambda f: [float(f.read_FK[:, OPENING].mean())],
            bar=Bar(high=0.1),
        ),
        line_of(
            "silence: mouth opening, widest frame",
            silent,
            lambda f: [float(f.read_FK[:, OPENING].max())],
            bar=Bar(high=0.15),
        ),
        _against_truth("silence: head motion against truth", silent, head_px, Bar(low=0.5)),
        read_line(
            "silence: blinks per minute", silent, lambda _, pose: [blinks(pose)], bar=Bar(low=3)
        ),
    ]


def scaling_lines(results: Results, group: str = PEOPLE) -> list[Line]:
    """Return what `head_motion` and `expression` do to what they should move, and to the other."""
    people = {t: f for t, f in results.items() if t.group == group and t.seed == 0}
    return [
        *_factor_lines("head_motion", people, {"head": (head_px, True), "brows": (brow_px, False)}),
        *_factor_lines(
            "expression",
            people,
            {"brows": (brow_px, True), "mouth": (mouth_size, True), "head": (head_px, False)},
        ),
    ]


def _factor_lines(name: str, people: Results, sizes: Mapping[str, tuple[Size, bool]]) -> list[Line]:
    """Sizes of motion at each factor against those of the same clips at 1: those that the factor
    should scale, and those that it should leave alone."""
    natural = {t.index: f for t, f in people.items() if not t.is_scaled}
    lines = []
    for factor in FACTORS:
        pairs = [
            (f, natural[t.index])
            for t, f in people.items()
            if t.is_scaled and getattr(t, name) == factor
        ]
        for part, (size, scales) in sizes.items():
            if pairs:
                wanted = (MORE if factor > 1 else LESS) if scales else SAME
                lines.append(_ratio(f"{name} {factor:g}: {part} against 1", pairs, size, wanted))
    return lines


def _ratio(name: str, pairs: Sequence[tuple[Figures, Figures]], size: Size, bar: Bar) -> Line:
    """Return the ratio as it was rendered, and as it is read from the truth at the same factor."""
    read, painted, decoded = (
        np.array([[size(getattr(f, part)) for f in pair] for pair in pairs])
        for part in ("read_FK", "painted_FK", "decoded_FK")
    )
    value, low, high = measures.interval(read, measures.ratio)
    ceilings = measures.ratio(painted), measures.ratio(decoded)
    return Line(name, value, low, high, bar, *ceilings)


def _against_truth(name: str, results: Results, size: Size, bar: Bar | None = None) -> Line:
    def both(f: Figures, pose_FK: Floats) -> list[float]:
        return [size(pose_FK), size(f.painted_FK)]

    return read_line(name, results, both, measures.ratio, bar)
