"""Train the embedded model: `python -m sonic_ops.training OUT --budget-min N`.

Needs the programs flite and espeak-ng. Run it again to go on after a stop, or with a larger budget.
"""

import argparse
from pathlib import Path

from sonic_ops.training.stages import Run, run_all

_PACKAGED_ENCODER = Path(__file__).parent.parent / "weights" / "sketch" / "speech_encoder"


def main() -> None:
    """Run all stages and say where the weights are."""
    parser = argparse.ArgumentParser(prog="python -m sonic_ops.training", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the run")
    parser.add_argument("--speech-encoder", type=Path, default=_PACKAGED_ENCODER)
    parser.add_argument("--budget-min", type=float, default=100.0)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    run = Run(
        folder=options.out,
        speech_encoder=options.speech_encoder,
        budget_s=60 * options.budget_min,
        num_processes=options.processes,
    )
    print(f"weights: {run_all(run)}")


if __name__ == "__main__":
    main()
