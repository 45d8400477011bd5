"""Every bar of the model `lite`: `python -m tests.bench.lite OUT`.

Renders drawings, rendered heads and photographs; people, voices and sentences are held out. OUT
gets figures of every clip, `table.md`, and sheets of random frames, whose broken ones a person
counts. Run it again to go on after a stop.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import matplotlib
import numpy as np
from PIL import Image

from sonic_ops.core.errors import SonicError
from sonic_ops.core.files import draft_of
from sonic_ops.quality.measures import WINDOW_S
from tests.bench.tables import REPOSITORY, origin, write_table
from training.evaluate import about_figures
from training.evaluation.drift_and_speed import OUTSIDE, PRESETS, measure_drift, measure_speed
from training.evaluation.evaluation import Evaluation
from training.evaluation.lite_set import LiteSet
from training.evaluation.lite_table import ceilings, lite_lines, markdown, row_of
from training.evaluation.mesh_reader import WIDE, MeshReader
from training.evaluation.rendering import preset_with, renderer_of
from training.evaluation.results import Bar, Line
from training.evaluation.sheets import grids
from training.evaluation.takes import DRAWN, KINDS, Take

CARD: Final = REPOSITORY / "sonic_ops" / "weights" / "lite" / "README.md"
PHOTOGRAPHS: Final = (
    REPOSITORY / "tests" / "golden" / "faces" / "astronaut.jpg",
    Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
)
"""Eileen Collins (NASA) and Grace Hopper (US Navy), in the public domain."""
DRIFT, BORDERS = Bar(-3, 3), Bar(0.95, 1.05)
SPEED: Final = {"sketch": None, "lite": Bar(high=1.0), "lite-hd": Bar(high=1.5)}
SHARE: Final = Bar(high=0.15)
NUM_COUNTED: Final = 200
"""Random frames of each kind that a person looks at."""
_COLUMNS, _ROWS = 8, 5
_SPEED: Final = "speed.json"


def evaluate(options: argparse.Namespace) -> list[str]:
    """Measure what is missing, unless only what is finished counts; return the lines of the table.

    Raises SonicError.
    """
    preset, out = preset_with("lite", options.weights), options.out
    lite_set = LiteSet(tuple(options.photographs), options.clips, options.seconds, options.seeds)
    about = about_figures(preset, options.seconds)
    about["photographs"] = [path.name for path in options.photographs]
    renderer = renderer_of(preset)
    evaluation = Evaluation(renderer, _reader_of, lite_set, out, about)

    def drift_of(kind: str) -> dict[str, Any]:
        case = lite_set.long_case(kind, options.long)
        return asdict(measure_drift(renderer, case, preset.segment_frames))

    if not options.finished:
        evaluation.run(lambda line: print(line, flush=True))
        for kind in KINDS:
            _keep(_drift_path(options, kind), drift_of, kind)
        _keep(out / _SPEED, _speed_of, lite_set)
    results = evaluation.finished()
    _write_sheets(evaluation, list(results))
    lines = lite_lines(results)
    drifts = {k: _kept(path) for k in KINDS if (path := _drift_path(options, k)).exists()}
    rows = [markdown(lines)]
    rows += drift_rows(drifts, options.long) if drifts else ()
    rows += speed_rows(_kept(out / _SPEED)) if (out / _SPEED).exists() else ()
    said = (
        f"{len(results)} of {len(lite_set.takes())} renders, {options.clips} clips of "
        f"{options.seconds:g} s with {options.seeds} seed(s) of each kind. In brackets: 95 % "
        "intervals over clips; of speed, the lowest and highest run. What is empty is not measured."
    )
    return [said, "", *"".join(rows).splitlines(), "", *ceilings(lines).splitlines()]


def _drift_path(options: argparse.Namespace, kind: str) -> Path:
    path: Path = options.out / f"long-{kind}-{options.long:g}.json"
    return path


def _speed_of(lite_set: LiteSet) -> dict[str, Any]:
    return dict(measure_speed(lite_set.case(Take(DRAWN, 0)), rounds=2))


def _reader_of(take: Take) -> MeshReader:
    kind, *_ = take.group.split("-")
    return MeshReader(WIDE[kind])


def _keep(path: Path, measure: Callable[[Any], dict[str, Any]], of: Any) -> None:
    """Measure something, unless a file has it."""
    if not path.exists():
        with draft_of(path) as draft:
            draft.write_text(json.dumps(measure(of), indent=2))


def _kept(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def drift_rows(drifts: Mapping[str, Mapping[str, Any]], seconds: float) -> Iterator[str]:
    """Yield a row per figure that must not drift, and one of the borders of segments."""
    names = {"sharpness_pct": "sharpness", "head_motion": "head motion"}
    for name in next(iter(drifts.values()))["changes_pct"]:
        label = f"{seconds:g} s, last 30 s against the first, %: {names.get(name, name)}"
        found = {kind: Line("", drift["changes_pct"][name]) for kind, drift in drifts.items()}
        lines = dict.fromkeys(KINDS) | found
        yield row_of(label, dict.fromkeys(KINDS, DRIFT), lines)
    found = {kind: Line("", *drift["borders"]) for kind, drift in drifts.items()}
    borders = dict.fromkeys(KINDS) | found
    label = f"{seconds:g} s, change at borders of segments, before encoding"
    yield row_of(label, dict.fromkeys(KINDS, BORDERS), borders)


def speed_rows(speed: Mapping[str, list[Mapping[str, float]]]) -> Iterator[str]:
    """Yield the cost of every preset, and the share of `lite` outside UNet and decoder."""

    def row(label: str, values: list[float], bar: Bar | None) -> str:
        line = Line("", float(np.mean(values)), min(values), max(values))
        return row_of(label, {kind: bar if kind == DRAWN else None for kind in KINDS},
                      {kind: line if kind == DRAWN else None for kind in KINDS})  # fmt: skip

    for preset in PRESETS:
        totals = [sum(run.values()) for run in speed[preset]]
        yield row(f"CPU s per s of video, one core: `{preset}`", totals, SPEED[preset])
    shares = [sum(run[part] for part in OUTSIDE) / sum(run.values()) for run in speed["lite"]]
    yield row("share of `lite` outside UNet and decoder", shares, SHARE)


def _write_sheets(evaluation: Evaluation, takes: Sequence[Take]) -> None:
    """Join random frames of each kind to sheets, for a person to look at."""
    for kind in KINDS:
        paths = [evaluation.strip_path(take) for take in takes if take.group == kind]
        strips = [np.asarray(Image.open(path)) for path in paths if path.exists()]
        if not strips:
            continue
        frames = np.concatenate([np.stack(np.split(s, s.shape[1] // len(s), 1)) for s in strips])
        rng, count = np.random.default_rng(0), min(NUM_COUNTED, len(frames))
        chosen = frames[np.sort(rng.choice(len(frames), count, replace=False))]
        for number, sheet in enumerate(grids(chosen, _COLUMNS, _ROWS), start=1):
            Image.fromarray(sheet).save(evaluation.out / f"count-{kind}-{number}.png")


def main() -> None:
    """Read the command line, and write the card if these are the weights that ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the figures, kept")
    parser.add_argument("--weights", help="a folder; default: those that ship")
    parser.add_argument("--photographs", type=Path, nargs="+", default=PHOTOGRAPHS)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--long", type=float, default=600.0, help="seconds of the long render")
    parser.add_argument("--finished", action="store_true", help="write what is finished so far")
    options = parser.parse_args()
    if options.long < 2 * WINDOW_S:
        parser.error(f"--long is {options.long:g}: two windows of {WINDOW_S} s are compared")
    try:
        table = evaluate(options)
    except SonicError as error:
        sys.exit(f"{error.message}\n{error.remedy}")
    (options.out / "table.md").write_text("\n".join(table) + "\n")
    print(*table, sep="\n")
    if options.weights is None:
        said = f"make evaluate-lite CLIPS={options.clips} SECONDS={options.seconds:g} "
        said += f"SEEDS={options.seeds} LONG={options.long:g}"
        write_table(CARD, "bars", [origin(said), *table])


if __name__ == "__main__":
    main()
