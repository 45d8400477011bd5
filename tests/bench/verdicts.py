"""`python -m tests.bench.verdicts`: how often verdicts err, on painted people made bad on purpose.

Every person says one sentence of about three seconds, as it should be and damaged in each way.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from sonic_ops.core.constants import READY, SAMPLE_RATE_HZ, VERDICTS
from sonic_ops.quality.analysis import analyse_video
from sonic_ops.quality.verdict import judge
from tests.bench.tables import RESULTS, origin, write_table
from tests.speaker import Frames, Samples, film, portrait_of, write_video

GOOD = "as it should be"
MOUTH = slice(76, 109), slice(38, 90)
Made = tuple[str, Frames, Samples, Frames]


def versions(person: int) -> Iterator[Made]:
    """A name, frames, sound and portrait of the film and of each of its damaged forms."""
    frames, samples = film(person, first_sentence=person)
    portrait, half = portrait_of(person), len(frames) // 2

    def shifted(shift_ms: int) -> Samples:
        return np.roll(samples, shift_ms * SAMPLE_RATE_HZ // 1000)

    yield GOOD, frames, samples, portrait
    yield "sound 120 ms late", frames, shifted(120), portrait
    yield "sound 120 ms early", frames, shifted(-120), portrait
    yield "6 frames dropped", np.delete(frames, slice(half, half + 6), 0), samples, portrait
    held = frames.copy()
    held[half : half + 12] = held[half]
    yield "12 frames held", held, samples, portrait
    soft = frames.copy()
    soft[half:] = [cv2.GaussianBlur(frame, (0, 0), 1.5) for frame in frames[half:]]
    yield "second half blurred", soft, samples, portrait
    frozen = frames.copy()
    frozen[:, *MOUTH] = frozen[0][MOUTH]
    yield "mouth frozen", frozen, samples, portrait
    yield "another person", frames, samples, portrait_of(person + 1)


def counted(num_people: int) -> dict[str, Counter[str]]:
    """The verdicts of every way of making a video; what errs is printed."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for person in range(0, 3 * num_people, 3):
            for name, frames, samples, portrait in versions(person):
                video = write_video(Path(folder) / "film.mp4", frames, samples)
                verdict = judge(analyse_video(video, portrait))
                found.setdefault(name, Counter())[verdict.kind] += 1
                if (verdict.kind == READY) != (name == GOOD):
                    print(f"person {person}, {name}: {verdict.kind}: {verdict.reason}", flush=True)
    return found


def main() -> None:
    """Print a line for every way of making a video."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="into tests/bench/RESULTS.md")
    options = parser.parse_args()
    found, kinds = counted(options.people), tuple(reversed(VERDICTS))
    lines = [f"| video | {' | '.join(kinds)} |", f"| --- |{' --- |' * len(kinds)}"]
    for name, counts in found.items():
        lines.append(f"| {name} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    print(*lines, sep="\n")
    if options.write:
        lines += ["", origin("python -m tests.bench.verdicts --write")]
        write_table(RESULTS, "verdicts", lines)


if __name__ == "__main__":
    main()
