"""Measure how heads and photographs speak: `python -m training.speaking OUT`.

OUT gets `table.md`, `speaking.json` and sheets of pictures.
"""

import argparse
from pathlib import Path

import torch

from flows.rows.config import load_preset
from sonic_ops.core.presets import PipelineConfig
from sonic_ops.pipeline import SonicPipeline
from training.evaluation.speaking import speaking


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.speaking", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the results")
    parser.add_argument("--weights", help="those of the preset, if not given")
    parser.add_argument("--preset", default="lite")
    parser.add_argument("--photographs", type=Path, nargs="*", default=[], help="pictures")
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    preset = load_preset(options.preset)
    weights = options.weights or preset.models.weights
    pipe = SonicPipeline.load(preset.models.model_copy(update={"weights": weights}))
    pipe.settings = PipelineConfig.model_validate(preset.model_dump())
    pipe.set_progress_bar_config(disable=True)
    options.out.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        table = speaking(pipe, options.photographs, options.out, options.clips, options.seconds)
    (options.out / "table.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
