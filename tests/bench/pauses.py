"""`python -m tests.bench.pauses`: whether the mouth rests where nobody speaks.

The embedded model renders recordings with pauses between them, filled with the quietest fifth of a
second of the recording before. In the finished video the mouth is measured (`sonic_ops/quality`):
its motion and its opening in the pauses, against all other places.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from flows.rows.config import load_preset
from sonic_ops.core.constants import OUTPUT_FPS, SAMPLE_RATE_HZ
from sonic_ops.quality.frame_analysis import analyse_frames
from tests.bench.edges import render
from tests.bench.speech import EXAMPLES, quiet_after, recordings

PAUSE_S = 1.5
SETTLED_S = 0.2  # until the mouth is shut, and before it opens for the next word

Floats = NDArray[np.float32]


def with_pauses(parts: list[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    """The parts with a pause after each, and whether each output frame lies inside one."""
    sounds: list[Floats] = []
    paused: list[NDArray[np.bool_]] = []
    for part in parts:
        length = round(PAUSE_S * SAMPLE_RATE_HZ)
        sounds += [part, quiet_after(part, length)]
        inside = np.zeros(length, bool)
        edge = round(SETTLED_S * SAMPLE_RATE_HZ)
        inside[edge:-edge] = True
        paused += [np.zeros(len(part), bool), inside]
    pause_S = np.concatenate(paused)
    middles = (np.arange(len(pause_S) * OUTPUT_FPS // SAMPLE_RATE_HZ) + 0.5) / float(OUTPUT_FPS)
    return np.concatenate(sounds), pause_S[(middles * SAMPLE_RATE_HZ).astype(int)]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES)
    parser.add_argument("--count", type=int, default=2, help="of the shortest recordings")
    options = parser.parse_args()
    torch.set_num_threads(1)
    parts = sorted(recordings(options.recordings), key=len)[: options.count]
    samples, pause_N = with_pauses(parts)
    preset = load_preset("sketch")
    with (
        tempfile.TemporaryDirectory() as folder,
        open_pool(ClusterConfig(workers=0), preset.models) as pool,
    ):
        video = render(pool, preset, samples, Path(folder) / "video")
        mouth = analyse_frames(video, pause_N=pause_N).mouth_N
    length = min(len(mouth), len(pause_N))
    mouth, pause_N = mouth[:length], pause_N[:length]
    moves, both = np.abs(np.diff(mouth)), pause_N[1:] & pause_N[:-1]
    print(f"{length} output frames, {pause_N.mean():.0%} of them in pauses")
    print(f"motion of the mouth in pauses: {moves[both].mean() / moves[~both].mean():.2f}")
    print(f"its opening: {mouth[pause_N].mean() / mouth[~pause_N].mean():.2f}")


if __name__ == "__main__":
    main()
