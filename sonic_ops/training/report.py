"""Measure trained weights: `python -m sonic_ops.training.report WEIGHTS RUN OUT`.

RUN is the folder of the training run; its held-out speech is what is said. OUT gets `sheets.png`,
truth above result, and `measures.json`.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from sonic_ops.config import ModelsConfig, SamplingConfig
from sonic_ops.models.loading import load_models
from sonic_ops.training import evaluate
from sonic_ops.training.dataset import Speech, read_pictures, read_speech

FIRST_SEED: Final = 400_000_009
"""A held-out person; every tenth after it is one too."""
SETTINGS: Final = SamplingConfig(
    steps=12,
    image_guidance=(1.0, 1.0),
    audio_guidance=(2.0, 2.0),
    around="reference",
    residual_scale=0.4462,
    shared_noise=0.9,
)
_LIP_READER_STEPS: Final = 1500


def held_out_cases(speech: Speech, num_cases: int, num_frames: int) -> list[evaluate.Case]:
    """Held-out people, each saying the start of a held-out clip."""
    clips = np.flatnonzero(speech.lengths > 4 * num_frames)
    return [
        evaluate.make_case(FIRST_SEED + 10 * i, speech, int(clips[i % len(clips)]), num_frames)
        for i in range(num_cases)
    ]


def report(weights: str, run: Path, out: Path, *, num_cases: int, num_frames: int) -> None:
    """Render held-out cases, measure them, write the table and the sheets."""
    models = load_models(ModelsConfig(weights=weights))
    networks = evaluate.Networks(models.unet, models.vae, models.audio2token, models.scheduler)
    trained = sorted(p for p in run.glob("speech-[0-9]*") if p.suffix != ".draft")
    images = sorted(p for p in run.glob("images-[0-9]*") if p.suffix != ".draft")
    reader = evaluate.train_lip_reader(
        read_pictures(images[:1]),
        read_speech(trained, load_features=False),
        steps=_LIP_READER_STEPS,
        seed=0,
    )
    speech = read_speech(sorted(run.glob("heldout-speech-*")))
    cases = held_out_cases(speech, num_cases, num_frames)
    rows, sheets = [], []
    for i, case in enumerate(cases):
        frames = evaluate.render_case(networks, case, speech, SETTINGS, seed=i)
        ceiling = evaluate.through_vae(models.vae, case.truth_FHWC)
        other = cases[(i + 1) % len(cases)]
        rows.append(dataclasses.asdict(evaluate.measure(frames, case, other, ceiling, reader)))
        sheets.append(evaluate.contact_sheet(case, frames))
    out.mkdir(parents=True, exist_ok=True)
    mean = {key: float(np.nanmean([row[key] for row in rows])) for key in rows[0]}
    text = json.dumps({"mean": mean, "cases": rows}, indent=2)
    (out / "measures.json").write_text(text + "\n")
    Image.fromarray(np.concatenate(sheets)).save(out / "sheets.png")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m sonic_ops.training.report")
    parser.add_argument("weights", help="package:sketch, or a folder")
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--frames", type=int, default=25)
    options = parser.parse_args()
    report(
        options.weights,
        options.run,
        options.out,
        num_cases=options.cases,
        num_frames=options.frames,
    )


if __name__ == "__main__":
    main()
