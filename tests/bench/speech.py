"""Real speech of any length: recordings of a folder, one after the other."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sonic_ops.constants import SAMPLE_RATE_HZ

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def recordings(folder: Path) -> list[NDArray[np.float32]]:
    """All WAV files of a folder, which are 16 kHz mono."""
    parts = [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*.wav"))]
    assert parts, f"no WAV file in {folder}"
    assert {rate for _, rate in parts} == {SAMPLE_RATE_HZ}
    return [samples for samples, _ in parts]


def joined(folder: Path, seconds: float) -> NDArray[np.float32]:
    """The recordings in one random order after the other, cut off after so many seconds."""
    parts, order = recordings(folder), np.random.default_rng(0)
    length, track, chosen = round(seconds * SAMPLE_RATE_HZ), 0, []
    while track < length:
        for index in order.permutation(len(parts)):
            chosen.append(parts[index])
            track += len(parts[index])
    return np.concatenate(chosen)[:length]
