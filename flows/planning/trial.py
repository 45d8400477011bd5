"""The rows that a calibration renders: how many, how long, and what they are made of."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME


@dataclass(frozen=True, slots=True)
class Round:
    """Rows that are rendered at once: how many there are, and their length."""

    num_rows: int
    num_frames: int

    @property
    def video_s(self) -> float:
        """Seconds of a video."""
        return self.num_frames * SAMPLES_PER_FRAME / SAMPLE_RATE_HZ


def write_inputs(sound: Path, picture: Path, size: Round, order: int) -> None:
    """Write noise in syllables as the voice, and coloured clouds as the picture.

    Every row has others: a worker does not encode a portrait again that it has seen.
    """
    rng = np.random.default_rng(order)
    num_samples = size.num_frames * SAMPLES_PER_FRAME
    syllables = np.abs(np.sin(np.arange(num_samples) / SAMPLE_RATE_HZ * 12))
    soundfile.write(sound, 0.2 * syllables * rng.standard_normal(num_samples), SAMPLE_RATE_HZ)
    clouds = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    clouds.resize((512, 512), Image.Resampling.BICUBIC).save(picture)
