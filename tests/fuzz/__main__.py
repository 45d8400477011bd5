"""`make fuzz [KIND=] [COUNT=] [SEED=]`: read inputs that are nearly right, and say what breaks."""

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.running import content_of, finds


def main() -> int:
    """Fuzz one kind or all; 1 if anything was found. Each find is kept in `runs/fuzz`."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--kind", choices=[*KINDS, ""], default="")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    num_found = 0
    for kind in [given.kind] if given.kind else KINDS:
        started_s, found = time.monotonic(), 0
        for find in finds(kind, given.seed, given.count):
            found += 1
            path = Path("runs/fuzz") / f"{kind}-{given.seed}-{find.number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content_of(kind, given.seed, find.number))
            print(f"{kind} {find.number}: {find.what} (kept as {path})", flush=True)
        seconds = time.monotonic() - started_s
        print(
            f"{kind}: {given.count:,} inputs of seed {given.seed}, {found} finds, {seconds:.0f} s",
            flush=True,
        )
        num_found += found
    return 1 if num_found else 0


if __name__ == "__main__":
    sys.exit(main())
