"""The table of a model, as text and as JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Final

from sonic_ops.core.constants import MODEL_FPS
from training.evaluation import measures
from training.evaluation.figures import Figures
from training.evaluation.motion_lines import life_lines, scaling_lines, silence_lines
from training.evaluation.mouth_lines import correlation_lines, mouth_lines
from training.evaluation.results import Bar, Line, Results, line_of, of
from training.evaluation.takes import PEOPLE, REAL, SILENCE, STYLE

_HEAD: Final = """\
| measure | value | 95 % | bar | held | truth, painted | truth, decoded |
|---|---|---|---|---|---|---|
"""


def make_lines(results: Results) -> list[Line]:
    """Return all lines that the results are enough for."""
    lines: list[Line] = []
    if people := of(results, PEOPLE):
        lines += _autoencoder_lines(people)
        lines += correlation_lines(people, "mouth", Bar(0.75), Bar(0.5))
        lines += mouth_lines(people)
    if styled := of(results, STYLE):
        lines += correlation_lines(styled, "mouth, held-out drawing style", Bar(0.75), Bar(0.5))
    if real := of(results, REAL):
        lines += correlation_lines(real, "mouth, real speech", Bar(0.5))
    if people:
        lines += [*_picture_lines(people), *life_lines(people), *scaling_lines(results)]
    if silent := of(results, SILENCE):
        lines += silence_lines(silent)
    finished = {take: f for take, f in people.items() if take.is_finished}
    return lines + (_speed_lines(finished) if finished else [])


def markdown(lines: Sequence[Line]) -> str:
    """Return one row per measure."""
    return _HEAD + "".join(_row(line) + "\n" for line in lines)


def as_json(lines: Sequence[Line], about: Mapping[str, object]) -> str:
    """Everything, with what it was measured on."""
    rows = [asdict(line) | {"bar": str(line.bar or ""), "holds": line.holds} for line in lines]
    return json.dumps({"about": about, "lines": rows}, indent=2) + "\n"


def _row(line: Line) -> str:
    known = line.low is not None and line.high is not None
    cells = [
        line.measure,
        number(line.value),
        f"{number(line.low)} to {number(line.high)}" if known else "",
        str(line.bar or ""),
        {True: "yes", False: "**no**", None: ""}[line.holds],
        number(line.painted),
        number(line.decoded),
    ]
    return f"| {' | '.join(cells)} |"


def number(value: float | None) -> str:
    if value is None or not isfinite(value):
        return ""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _autoencoder_lines(people: Results) -> list[Line]:
    def db(name: str) -> Callable[[Figures], list[float]]:
        return lambda f: [getattr(f.pictures, name)]

    return [
        line_of("autoencoder PSNR, all, dB", people, db("decoded_db"), bar=Bar(31)),
        line_of("autoencoder PSNR, mouth, dB", people, db("decoded_mouth_db"), bar=Bar(28)),
    ]


def _picture_lines(people: Results) -> list[Line]:
    return [
        line_of(
            "change from frame to frame in the upper face, against truth",
            people,
            lambda f: [f.pictures.flicker, f.pictures.true_flicker],
            measures.ratio,
            Bar(high=1.5),
        ),
        line_of(
            "background against the decoded portrait, dB",
            people,
            lambda f: [f.pictures.background_db],
            bar=Bar(36),
        ),
        line_of(
            "background against the portrait itself, dB",
            people,
            lambda f: [f.pictures.portrait_db],
            decoded=lambda f: [f.pictures.decoded_portrait_db],
        ),
    ]


def _speed_lines(people: Results) -> list[Line]:
    finish = ("decode", "interpolate", "encode")
    parts = {
        "denoise": ("denoise",),
        "decode, interpolate, encode": finish,
        "the whole render": ("denoise", *finish),
    }

    def spent(names: Sequence[str]) -> Callable[[Figures], list[float]]:
        return lambda f: [sum(f.seconds[n] for n in names), len(f.read_FK) / float(MODEL_FPS)]

    return [
        line_of(
            f"CPU seconds per second of video, one thread: {name}",
            people,
            spent(names),
            measures.ratio,
            Bar(high=2) if "denoise" in names else None,
        )
        for name, names in parts.items()
    ]
