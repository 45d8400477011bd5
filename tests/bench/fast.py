"""What a faster preset costs: `python -m tests.bench.fast --recordings FOLDER`.

Real speech, said by both portraits of `examples/`, with each preset: CPU seconds per second of
video from the sound to the file, and the figures of the finished files (`sonic_ops/quality`).
Sharpness is the mean of the variance of the Laplacian of the upper face, against that of the first
preset.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import torch

from flows.rows.config import load_preset
from sonic_ops.core.constants import OUTPUT_FPS, SAMPLE_RATE_HZ
from sonic_ops.quality.frame_analysis import Tracks, analyse_frames
from sonic_ops.quality.measures import Measures, measure
from sonic_ops.quality.speech import analyse_speech
from tests.bench.speech import EXAMPLES, recordings
from tests.bench.tables import RESULTS, origin, write_table
from tests.bench.ways import PARTS, Made, Ours, Shot

PORTRAITS = ("ada", "ben")
MAX_LESS_SYNC, MAX_LESS_SHARP_PCT = 0.03, 3.0


@dataclass
class Costs:
    """What a preset has taken and shown, video by video."""

    preset: str
    seconds: list[float] = field(default_factory=list)  # of video
    made: list[Made] = field(default_factory=list)
    tracks: list[Tracks] = field(default_factory=list)
    measures: list[Measures] = field(default_factory=list)

    def add(self, made: Made, wav: Path) -> None:
        """Look at a finished video."""
        tracks = analyse_frames(made.video)
        self.tracks.append(tracks)
        self.measures.append(measure(tracks, analyse_speech(wav, len(tracks), OUTPUT_FPS)))
        self.seconds.append(len(tracks) / float(OUTPUT_FPS))
        self.made.append(made)

    def mean(self, name: str) -> float:
        """The mean of a figure over the videos that have it."""
        values = [getattr(m, name) for m in self.measures if getattr(m, name) is not None]
        return float(np.mean(values))

    @property
    def sharpness(self) -> float:
        return float(np.mean([tracks.sharpness_N.mean() for tracks in self.tracks]))

    def cpu_s(self, part: str) -> float:
        """CPU seconds of a part per second of video."""
        return sum(made.seconds[part] for made in self.made) / sum(self.seconds)


def line_of(costs: Costs, first: Costs) -> str:
    """A line of the table."""
    taken = [costs.cpu_s(part) for part in PARTS]
    sharp_pct = 100 * costs.sharpness / first.sharpness
    sync = f"{costs.mean('lip_sync'):.3f} ({costs.mean('lip_sync') - first.mean('lip_sync'):+.3f})"
    figures = [
        *(f"{part_s:.2f}" for part_s in taken), f"{sum(taken):.2f}", sync,
        f"{costs.mean('lip_lag_ms'):+.0f}", f"{sharp_pct - 100:+.1f} %",
        *(f"{costs.mean(name):.2f}" for name in ("mouth_motion", "head_motion", "flicker")),
    ]  # fmt: skip
    return f"| `{costs.preset}` | {' | '.join(figures)} |"


def table(all_costs: Sequence[Costs]) -> list[str]:
    """All presets, the first of which the others are compared with."""
    head = (
        "preset", *(f"{part}, CPU s / s" for part in PARTS), "whole", "lip sync, r", "lag, ms",
        "sharpness", "mouth motion", "head motion", "flicker",
    )  # fmt: skip
    lines = [line_of(costs, all_costs[0]) for costs in all_costs]
    return [f"| {' | '.join(head)} |", "| --- " * len(head) + "|", *lines]


def missed(costs: Costs, first: Costs) -> list[str]:
    """The bars that a faster preset does not hold."""
    less_sync = first.mean("lip_sync") - costs.mean("lip_sync")
    less_sharp_pct = 100 * (1 - costs.sharpness / first.sharpness)
    found = []
    if less_sync > MAX_LESS_SYNC:
        found.append(f"{costs.preset}: lip sync is down by {less_sync:.3f}")
    if less_sharp_pct > MAX_LESS_SHARP_PCT:
        found.append(f"{costs.preset}: sharpness is down by {less_sharp_pct:.1f} %")
    return found


def main() -> None:
    """Render, measure, print, and write the table of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("presets", nargs="*", default=["sketch", "sketch-fast"])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES, help="WAV, 16 kHz mono")
    parser.add_argument("--portraits", nargs="*", default=PORTRAITS, help="of `examples/`")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    all_costs = [Costs(preset) for preset in options.presets]
    with tempfile.TemporaryDirectory() as scratch:
        audio = Path(scratch) / "speech.wav"
        spoken = np.concatenate(recordings(options.recordings))
        soundfile.write(audio, spoken, SAMPLE_RATE_HZ, subtype="PCM_16")
        for costs in all_costs:
            way = Ours(load_preset(costs.preset))
            for name in options.portraits:
                folder = Path(scratch) / f"{Path(costs.preset).stem}-{name}"
                made = way.make(Shot(audio, EXAMPLES / f"{name}.png"), folder)
                costs.add(made, folder / "sound.wav")
    command = "python -m tests.bench.fast --recordings FOLDER"
    said = [*table(all_costs), "", origin(command)]
    print("\n".join([*said, *(text for c in all_costs for text in missed(c, all_costs[0]))]))
    if not options.no_write:
        write_table(RESULTS, "fast", said)


if __name__ == "__main__":
    main()
