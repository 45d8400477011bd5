"""`python -m tests.bench.preflight --rows 100000`: what the preflight of a long manifest takes.

Rows share 40 sounds and 10 portraits, as lectures do; with `--distinct`, each has its own, and the
preflight is done twice. CPU seconds and peak memory of this process; with `--existing` every output
is there and was rendered.
"""

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from cluster.pool.costs import RowCosts
from flows.console.terminal import open_terminal
from flows.planning.calibration import load_calibration
from flows.planning.checking import check
from flows.planning.estimator import Estimator
from flows.rows.config import load_preset
from flows.rows.manifest import open_manifest
from flows.state.receipts import write_receipt
from flows.state.results import RowResult
from flows.state.row_store import RowStore
from tests.bench.speech import EXAMPLES

SPEECH, PORTRAITS = 40, 10


def write_manifest(folder: Path, num_rows: int, *, distinct: bool = False) -> Path:
    """A manifest of rows that share their inputs, or have their own."""
    num_recordings, num_portraits = (num_rows, num_rows) if distinct else (SPEECH, PORTRAITS)
    rng = np.random.default_rng(1)
    for index in range(num_recordings):
        soundfile.write(folder / f"{index}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    picture = Image.open(EXAMPLES / "ada.png").convert("RGB")
    for index in range(num_portraits):
        picture.putpixel((0, 0), (index % 256, index // 256 % 256, index >> 16))
        picture.save(folder / f"{index}.png")
    manifest = folder / "m.jsonl"
    with manifest.open("w") as file:
        for n in range(num_rows):
            inputs = {"portrait": f"{n % num_portraits}.png", "audio": f"{n % num_recordings}.wav"}
            file.write(json.dumps({"id": f"row {n}", "output": f"out/{n}.mp4"} | inputs) + "\n")
    return manifest


def checked(manifest: Path) -> tuple[RowStore, float]:
    """The rows that are planned, and the seconds of CPU."""
    config, store = load_preset("sketch"), RowStore()
    before = resource.getrusage(resource.RUSAGE_SELF)
    with open_manifest(str(manifest)) as lines:
        estimator = Estimator(config, load_calibration(config))
        check(lines, None, estimator, store, open_terminal())
    after = resource.getrusage(resource.RUSAGE_SELF)
    return store, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--existing", action="store_true", help="all outputs are there")
    parser.add_argument("--distinct", action="store_true", help="rows share no inputs; twice")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["XDG_CACHE_HOME"] = f"{scratch}/cache"  # what inspections find is kept there
        manifest = write_manifest(Path(scratch), options.rows, distinct=options.distinct)
        store, cpu_s = checked(manifest)
        if options.distinct:
            print(f"{options.rows:,} rows for the first time: {cpu_s:.1f} s of CPU")
            store, cpu_s = checked(manifest)
        if options.existing:
            for planned in store.planned():
                row = planned.row
                Path(row.output).write_bytes(row.id.encode())
                known = RowResult(row.number, row.id, "done", output=row.output)
                write_receipt(known, RowCosts())
            store, cpu_s = checked(manifest)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{options.rows:,} rows: {cpu_s:.1f} s of CPU, {peak_mb:.0f} MB at most")


if __name__ == "__main__":
    main()
