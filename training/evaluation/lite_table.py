"""The table of `lite`: every measure, its bar, and what each kind of people reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from training.evaluation.figures import Figures
from training.evaluation.motion_lines import head_px, life_lines, scaling_lines
from training.evaluation.mouth_lines import correlation_lines, mouth_lines
from training.evaluation.reader import OPENING
from training.evaluation.results import Bar, Line, Results, line_of, of
from training.evaluation.table import number
from training.evaluation.takes import DRAWN, HEADS, KINDS, PHOTOGRAPHS
from training.speech.languages import SENTENCES

HEAD: Final = "| measure | bar | drawn | 3-D heads | photographs |\n|---|---|---|---|---|\n"
SHARPNESS: Final = "sharpness"
HEAD_MOTION: Final = "head motion against truth"
_FACTORS: Final = {"head_motion": ("head", "brows"), "expression": ("brows", "head")}
"""What each factor scales, and what it leaves alone."""


@dataclass(frozen=True, slots=True)
class Row:
    """A measure, how the table calls it, and the bar of each kind of people, if there is one."""

    measure: str
    label: str
    drawn: Bar | None
    heads: Bar | None = None
    photographs: Bar | None = None

    @classmethod
    def same(cls, measure: str, label: str, bar: Bar | None) -> "Row":
        """Return a row whose bar is that of all kinds."""
        return cls(measure, label, bar, bar, bar)

    @property
    def bars(self) -> Mapping[str, Bar | None]:
        return dict(zip(KINDS, (self.drawn, self.heads, self.photographs), strict=True))


ROWS: Final = (
    Row("decoder, whole", "decoder alone against the truth, whole, dB", Bar(34), Bar(34)),
    Row("decoder, mouth", "decoder alone, mouth, dB", Bar(28), Bar(30)),
    Row.same(SHARPNESS, "sharpness: decoder against the truth; render of a photograph against it",
             Bar(0.9)),
    Row("mouth, r against the true jaw, mean", "mouth opening against the true jaw, r, mean",
        Bar(0.85), Bar(0.8), Bar(0.6)),
    Row("mouth, r, worst render", "the same, worst render", Bar(0.6), Bar(0.5)),
    Row("size of the mouth's motion against truth", "size of mouth motion against the truth",
        Bar(0.85, 1.2), Bar(0.85, 1.2)),
    Row("lips closed on p, b, m, share", "lips closed on p, b, m", Bar(0.9), Bar(0.85)),
    Row("the same on all other frames", "lips closed on all other frames", Bar(high=0.55),
        Bar(high=0.55)),
    Row(HEAD_MOTION, "head motion against the truth; photographs: % of the height of the face",
        Bar(0.8, 1.2), Bar(0.8, 1.2)),
    Row.same("blinks per minute", "blinks per minute", Bar(10, 30)),
    Row.same("against another clip's track, r", "against another clip's track, r", Bar(high=0.1)),
    Row.same("lag of the correlation's peak, frames", "lag, frames", Bar(-1, 1)),
    *(Row(f"{language}, r against the true jaw, mean", f"{language}, held-out voice, r", Bar(0.75))
      for language in SENTENCES),
    *(
        Row.same(f"{factor} {value}: {part} against 1", f"`{factor}` {value}: {part}", bar)
        for factor, parts in _FACTORS.items()
        for value, moved in (("0.5", Bar(high=0.75)), ("2", Bar(low=1.5)))
        for part, bar in zip(parts, (moved, Bar(0.85, 1.15)), strict=True)
    ),
)  # fmt: skip


def lite_lines(results: Results) -> dict[str, dict[str, Line]]:
    """Return the lines of every kind by the name of their measure."""
    return {kind: _lines_of(_with_truth(results), kind) for kind in KINDS}


def markdown(lines: Mapping[str, Mapping[str, Line]]) -> str:
    """Return the table: one row per measure."""
    rows = (
        row_of(row.label, row.bars, {kind: lines[kind].get(row.measure) for kind in KINDS})
        for row in ROWS
    )
    return HEAD + "".join(rows)


def ceilings(lines: Mapping[str, Mapping[str, Line]]) -> str:
    """Return a table of what the same measures say of true frames, before and after the decoder."""
    kinds = (DRAWN, HEADS)
    head = "".join(f" {kind}: true | through the decoder |" for kind in kinds)
    rows = [f"| the same of true frames |{head}\n", f"|---|{'---|' * 2 * len(kinds)}\n"]
    for row in ROWS:
        found = [lines[kind].get(row.measure) for kind in kinds]
        values = [v for line in found if line for v in (line.painted, line.decoded)]
        if any(value is not None and np.isfinite(value) for value in values):
            rows.append(f"| {row.label} | {' | '.join(map(number, values))} |\n")
    return "".join(rows)


def row_of(label: str, bars: Mapping[str, Bar | None], found: Mapping[str, Line | None]) -> str:
    """Return one row: a cell per kind that says by how much a bar is missed."""
    said = [str(bars[kind] or "-") for kind in KINDS]
    shown = said[0] if len(set(said)) == 1 else "; ".join(said)
    cells = [_cell(found[kind], bars[kind]) for kind in KINDS]
    return f"| {' | '.join([label, shown, *cells])} |\n"


def _cell(line: Line | None, bar: Bar | None) -> str:
    if line is None or not np.isfinite(line.value):
        return ""
    known = line.low is not None and line.high is not None and np.isfinite(line.low)
    said = number(line.value) + (f" ({number(line.low)} to {number(line.high)})" if known else "")
    if bar is None:
        return said
    missed = max(bar.low - line.value, line.value - bar.high)
    return f"{said}: met" if missed <= 0 else f"{said}: **missed by {_at_least(missed)}**"


def _at_least(missed: float) -> str:
    """Return how much is missed, and never that it is nothing."""
    return number(missed) if missed >= 0.005 else "less than 0.01"


def _lines_of(results: Results, kind: str) -> dict[str, Line]:
    people = of(results, kind)
    if not people:
        return {}
    lines = [
        *_picture_lines({t: f for t, f in people.items() if t.seed == 0}, kind),
        *correlation_lines(people, "mouth", None),
        *mouth_lines(people),
        *life_lines(people),
        *scaling_lines(results, kind),
    ]
    for language in SENTENCES:
        if said := of(results, f"{kind}-{language}"):
            lines += correlation_lines(said, language, None)
    if kind == PHOTOGRAPHS:
        lines.append(line_of(HEAD_MOTION, people, lambda f: [head_px(f.read_FK)]))
    return {line.measure: line for line in lines}


def _picture_lines(first: Results, kind: str) -> list[Line]:
    def of_picture(name: str) -> Callable[[Figures], Sequence[float]]:
        return lambda f: [getattr(f.pictures, name)]

    sharp = "sharpness" if kind == PHOTOGRAPHS else "decoded_sharpness"
    names = {
        "decoder, whole": "decoded_db",
        "decoder, mouth": "decoded_mouth_db",
        SHARPNESS: sharp,
    }
    return [line_of(measure, first, of_picture(name)) for measure, name in names.items()]


def _with_truth(results: Results) -> Results:
    """Give further seeds of a clip what was read of its truth; the mouth of a photograph should
    move as its track does.
    """
    whole: dict[Any, Figures] = {}
    for take, f in results.items():
        known = f if take.is_scaled else results[replace(take, seed=0)]
        painted = known.painted_FK.copy()
        if take.group == PHOTOGRAPHS:
            painted[:, OPENING] = f.true_FK[:, OPENING]
        whole[take] = replace(f, painted_FK=painted, decoded_FK=known.decoded_FK)
    return whole
