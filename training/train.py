"""Train the embedded model and measure it: `python -m training.train OUT --budget-min N`.

Every stage is a task. Run it again to go on after a stop, or with a larger budget.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from flows.supervisor.prefect_settings import prepare_prefect, reach_prefect
from training.fit.options import add_options, run_of
from training.fit.stages import TRAINING, Run, Stage, painting, run_stage


def train(run: Run, evaluate: Callable[[], None]) -> Path:
    """Run all stages and the measures as one flow; return the folder of the weights."""
    prepare_prefect()
    reach_prefect()
    # Prefect takes its settings when it is imported.
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    def take(stage: Stage) -> None:
        task(name=stage.__name__, cache_policy=NO_CACHE)(run_stage)(run, stage)

    @flow(name="train-sketch", validate_parameters=False)
    def train_sketch() -> None:
        for stage in run.making:
            take(stage)
        with painting(run):
            for stage in TRAINING:
                take(stage)
        task(name="evaluate", cache_policy=NO_CACHE)(evaluate)()

    train_sketch()
    return run.folder / "export"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the run")
    parser.add_argument("--eval-clips", type=int, default=16)
    parser.add_argument("--eval-seeds", type=int, default=2)
    parser.add_argument("--eval-seconds", type=float, default=4.0)
    add_options(parser)
    options = parser.parse_args()
    run = run_of(options, options.out)

    def measure() -> None:
        from training.evaluate import evaluate

        evaluate(
            argparse.Namespace(
                out=run.folder / "evaluation",
                weights=str(run.folder / "export"),
                preset="sketch",
                recordings=None,
                run=run.folder,
                clips=options.eval_clips,
                seconds=options.eval_seconds,
                seeds=options.eval_seeds,
            )
        )

    print(f"weights: {train(run, measure)}")


if __name__ == "__main__":
    main()
