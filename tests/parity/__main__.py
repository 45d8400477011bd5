"""`python -m tests.parity FOLDER`: a row per quantity; exit status 1 if one is out of tolerance."""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from tests.parity import audio_cases, loop_cases, misc_cases, portrait_cases, unet_cases
from tests.parity.harness import Cases, Outcome

MODULES = (audio_cases, portrait_cases, unet_cases, loop_cases, misc_cases)


def outcomes(folder: Path) -> Iterator[Outcome]:
    """Every comparison that the folder has a golden value for."""
    cases = Cases(folder)
    for module in MODULES:
        yield from module.cases(cases)


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python -m tests.parity FOLDER_OF_CASES", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    header = (
        f"{'case':<34}{'quantity':<30}{'max error':>11}{'allowed':>9}{'mean':>11}{'allowed':>9}"
    )
    print(header)
    verdicts = [_show(outcome) for outcome in outcomes(Path(arguments[0]))]
    failed = verdicts.count(False)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed or not verdicts else 0


def _show(outcome: Outcome) -> bool:
    print(
        f"{outcome.case[:33]:<34}{outcome.quantity[:29]:<30}"
        f"{outcome.max_error:>11.2e}{outcome.max_allowed:>9.0e}"
        f"{outcome.mean_error:>11.2e}{outcome.mean_allowed:>9.0e}"
        f"  {'ok' if outcome.passed else 'FAIL'}",
        flush=True,
    )
    return outcome.passed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
