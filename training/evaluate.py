"""Measure weights of the embedded model with a preset: `python -m training.evaluate OUT`.

OUT gets `table.md`, `table.json` and contact sheets. Run it again to go on after a stop.
"""

import argparse
import sys
from pathlib import Path

from flows.rows.config import RenderConfig
from flows.rows.fingerprint import weights_digest
from sonic_ops.core.errors import SonicError
from sonic_ops.core.weights import weights_folder
from training.evaluation import table
from training.evaluation.evaluation import Evaluation, copy_curves
from training.evaluation.pose_dataset import known_reader, painter_digest
from training.evaluation.recordings import read_recordings
from training.evaluation.rendering import preset_with, renderer_of
from training.evaluation.takes import EvaluationSet


def evaluate(options: argparse.Namespace) -> None:
    """Measure what is missing and write the table. Raises SonicError."""
    preset, out = preset_with(options.preset, options.weights), options.out
    spoken = tuple(read_recordings(options.recordings)) if options.recordings else ()
    evaluation_set = EvaluationSet(options.clips, options.seconds, options.seeds, spoken)
    about = about_figures(preset, options.seconds)
    about["recordings"] = [name for name, _ in spoken]
    reader = known_reader(out.parent)
    evaluation = Evaluation(renderer_of(preset), lambda _: reader, evaluation_set, out, about)
    lines = table.make_lines(evaluation.run(lambda line: print(line, flush=True)))
    (out / "table.md").write_text(table.markdown(lines))
    (out / "table.json").write_text(table.as_json(lines, about))
    if options.run:
        copy_curves(options.run, out)
    print((out / "table.md").read_text())


def about_figures(preset: RenderConfig, seconds: float) -> dict[str, object]:
    """Return what decides the figures; how many clips there are does not."""
    return {
        "weights": weights_digest(weights_folder(preset.models.weights)),
        "painter": painter_digest(),
        "dtype": preset.models.dtype,
        "sampling": preset.sampling.model_dump(mode="json"),
        "seconds": seconds,
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the table")
    parser.add_argument("--weights", help="a folder; default: those of the preset")
    parser.add_argument("--preset", default="sketch")
    parser.add_argument("--recordings", type=Path, help="real speech with its `transcription`")
    parser.add_argument("--run", type=Path, help="the training run, for its curves")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=2)
    try:
        evaluate(parser.parse_args())
    except SonicError as error:
        sys.exit(f"{error.message}\n{error.remedy}")


if __name__ == "__main__":
    main()
