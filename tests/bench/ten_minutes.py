"""`python -m tests.bench.ten_minutes --work FOLDER --recordings FOLDER`: ten minutes, end to end.

Renders ten minutes of speech as a user does (`sonic render`, preset `sketch`, Ray workers) with
position shift, with shift 0, and in segments that know nothing of each other, without and with
fusion at the end; then a minute without each pillar. From the figures that `sonic render` leaves
beside its report, for every 30 s, it draws the drift curve and makes the tables.

Every 30 s hear the same sentences, each time in another order, and the last 30 s the same samples
as the first. Renders that are finished are kept; a command that was killed goes on.
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import soundfile

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.quality.measures import WINDOW_S
from tests.bench.drift import ablation_table, drift_table, see, summary_table
from tests.bench.drift_curve import draw
from tests.bench.renders import ABLATION, DRIFT, MODES, Render, prepare, run
from tests.bench.speech import EXAMPLES, in_windows, recordings, synthetic
from tests.bench.tables import REPOSITORY, RESULTS, origin, write_table

CPU_S_PER_S = 1.76
"""Seconds of CPU per second of video, for the estimate: the embedded model's, from the log."""
CURVE = REPOSITORY / "tests" / "bench" / "drift.svg"


def renders_of(options: argparse.Namespace) -> tuple[list[Render], list[Render]]:
    """The long renders, and the short ones without each pillar."""
    long = [Render("real", mode, options.seconds) for mode in options.modes]
    if options.synthetic:
        long.append(Render("synthetic", "shift", options.seconds))
    short_s = options.ablation_seconds
    both = ("ada", "ben")
    short = [Render("real-short", mode, short_s, both, is_exact=True) for mode in ABLATION]
    return long, short if short_s else []


def write_recordings(renders: Sequence[Render], folder: Path, work: Path) -> None:
    """The sounds of the renders, as WAV files."""
    work.mkdir(parents=True, exist_ok=True)
    for audio, seconds in {render.audio: render.seconds for render in renders}.items():
        parts = synthetic() if audio == "synthetic" else recordings(folder)
        samples = in_windows(parts, math.ceil(seconds / WINDOW_S))[
            : round(seconds * SAMPLE_RATE_HZ)
        ]
        soundfile.write(work / f"{audio}-{seconds:g}.wav", samples, SAMPLE_RATE_HZ, "PCM_16")


def render_all(renders: Sequence[Render], work: Path, workers: int) -> None:
    """Render one after the other, and say how it goes."""
    total_s = sum(render.video_s for render in renders)
    about_min = total_s * CPU_S_PER_S / workers / 60
    _say(
        f"{len(renders)} renders, {total_s:.0f} s of video: about {about_min:.0f} minutes on "
        f"{workers} cores without other work; what is finished takes none"
    )
    for number, render in enumerate(renders, 1):
        started = time.monotonic()
        prepare(render, work, workers)
        run(render, work)
        took_min = (time.monotonic() - started) / 60
        _say(f"{number} of {len(renders)}: {render.name}, {took_min:.1f} minutes")


def report(long: Sequence[Render], short: Sequence[Render], options: argparse.Namespace) -> None:
    """Draw the curve and print the tables; with `--write`, write them into RESULTS.md."""
    # First: the curve is a file of git.
    source = origin(_command(options))
    seen, exact = ([see(render, options.work) for render in each] for each in (long, short))
    curve = CURVE if options.write else options.work / CURVE.name
    draw(seen, curve)
    shown = f"![Drift over ten minutes]({CURVE.name})"
    tables = {
        "ten-minutes": [source, "", shown, "", *summary_table(seen, exact)],
        "drift": drift_table(seen),
    }
    if exact:
        tables["ablation"] = ablation_table(exact)
    for name, lines in tables.items():
        print(f"\n{name}\n", *lines, sep="\n")
        if options.write:
            write_table(RESULTS, name, lines)
    print(f"\nthe drift curve: {curve}")


def _command(options: argparse.Namespace) -> str:
    """What was run, without the names of folders."""
    said = f"python -m tests.bench.ten_minutes --seconds {options.seconds:g}"
    said += f" --ablation-seconds {options.ablation_seconds:g} --modes {' '.join(options.modes)}"
    said += "" if options.synthetic else " --no-synthetic"
    return said + ("" if options.recordings == EXAMPLES else " --recordings FOLDER")


def main() -> None:
    """Render, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the renders, kept")
    parser.add_argument("--recordings", type=Path, default=EXAMPLES, help="WAV, 16 kHz mono")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--ablation-seconds", type=float, default=60, help="0: no ablation")
    parser.add_argument("--modes", nargs="+", choices=sorted(MODES), default=DRIFT)
    parser.add_argument("--no-synthetic", dest="synthetic", action="store_false")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and the curve")
    options = parser.parse_args()
    options.work = options.work.resolve()
    long, short = renders_of(options)
    write_recordings([*long, *short], options.recordings, options.work)
    render_all([*long, *short], options.work, options.workers)
    report(long, short, options)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
