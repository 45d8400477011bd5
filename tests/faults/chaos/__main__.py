"""`make chaos`: rows on three nodes and an object store give the same bits while everything fails.

Every seed has a machine of its own, made of namespaces, whose nodes are joined by a wire that loses
packets. Its first round is quiet; the videos of all others must have the same SHA-256. A seed
decides which faults come, in which order and after which pauses; what they meet depends on the
speed of the machine. Linux only; it needs to be root, or user namespaces and /dev/net/tun.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flows.supervisor.watchdog import dismiss, end_with_us
from tests.bench.tables import RESULTS, origin, write_table
from tests.faults.chaos.havoc import FAULTS
from tests.faults.chaos.inside import RESULT
from tests.faults.machine import NODES, machine
from tests.tiny import make_tiny_weights

HEAD = (
    "seed",
    "rounds",
    "minutes",
    "faults",
    "runs",
    "nodes restarted",
    "jobs run again",
    "a quiet round, s",
    "a round, s",
    "rows lost",
    "other bits",
)
COUNTED = ("num_runs", "num_restarts", "num_jobs_again")

Played = dict[str, Any]


def played(folder: Path, seed: int, minutes: float) -> Iterator[Played]:
    """Run a seed, showing what happens; its rounds, the quiet one first."""
    arguments = ["-m", "tests.faults.chaos.inside", str(folder), str(seed), str(60 * minutes)]
    command, env = machine(NODES, sys.executable, *arguments)
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        watchdog = end_with_us(process.pid, grace_s=0)  # and with it everything in its machine
        for line in process.stdout:
            if line.startswith(RESULT):
                yield json.loads(line.removeprefix(RESULT))
            else:
                print(f"seed {seed}: {line}", end="", flush=True)
        dismiss(watchdog)
    if process.returncode:
        raise SystemExit(f"seed {seed} could not be played: see the lines above")


def _row(seed: int, rounds: Sequence[Played]) -> str:
    quiet, *others = rounds
    seconds = [each["seconds"] for each in others]
    wrong = [text for each in others for text in each["wrong"]]
    cells = [
        seed,
        len(others),
        f"{sum(seconds) / 60:.0f}",
        _sum(others, "faults").total(),
        *(sum(each[name] for each in others) for name in COUNTED),
        f"{quiet['seconds']:.0f}",
        f"{sum(seconds) / max(len(seconds), 1):.0f}",
        sum(text.startswith("row") for text in wrong),
        sum("other bits" in text for text in wrong),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _sum(rounds: Sequence[Played], name: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in rounds:
        total.update(each[name])
    return total


def _table(by_seed: dict[int, list[Played]]) -> list[str]:
    others = [each for rounds in by_seed.values() for each in rounds[1:]]
    counts, last = _sum(others, "faults"), [rounds[-1] for rounds in by_seed.values()]
    faults = ", ".join(f"{counts[name]} x {name}" for name in FAULTS if counts[name])
    packets, answers = _sum(last, "packets"), _sum(last, "answers")
    return [
        f"| {' | '.join(HEAD)} |",
        "| --- " * len(HEAD) + "|",
        *(_row(seed, rounds) for seed, rounds in by_seed.items()),
        "",
        f"Faults: {faults}.",
        "",
        f"Packets: {', '.join(f'{n} {name}' for name, n in packets.items())}. "
        f"Answers of the store: {', '.join(f'{n} x {name}' for name, n in answers.items())}.",
    ]


def main() -> None:
    """Play the seeds, print the table, and with `--write` put it into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5, help="of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    source = origin(
        f"make chaos MINUTES={options.minutes:g} SEED='{' '.join(map(str, options.seeds))}'"
    )
    by_seed: dict[int, list[Played]] = {}
    failed = []
    for seed in options.seeds:
        folder = Path(tempfile.mkdtemp(prefix="sonic-chaos-"))
        make_tiny_weights(folder / "weights")
        by_seed[seed] = []
        for each in played(folder, seed, options.minutes):
            by_seed[seed].append(each)
            print(f"seed {seed}, round {len(by_seed[seed]) - 1}: {each}", flush=True)
        wrong = [text for each in by_seed[seed] for text in each["wrong"]]
        if wrong:
            failed.append(seed)
            print(f"seed {seed}: {'; '.join(wrong)}. Logs: {folder}")
        elif not options.keep:
            shutil.rmtree(folder)
    lines = _table(by_seed)
    print("", *lines, "", source, sep="\n")
    if options.write:
        write_table(RESULTS, "chaos", [*lines, "", source])
    if failed:
        raise SystemExit(f"repeat it: make chaos SEED='{' '.join(map(str, failed))}'")


if __name__ == "__main__":
    main()
