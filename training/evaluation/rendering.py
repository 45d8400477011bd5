"""One case through the mathematics of the renderer, in this process, with the CPU time it took.

Shape letters: F frames, H, W rows and columns.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import OUTPUT_FPS, OUTPUT_FRAMES_PER_FRAME
from sonic_ops.media.muxing import EncodeSettings, encode_frames
from sonic_ops.picture.portrait import Portrait
from sonic_ops.pipeline import SonicPipeline

Bytes = NDArray[np.uint8]


@dataclass
class Stopwatch:
    """CPU seconds of this process, by part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        start = time.process_time()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start


@dataclass(frozen=True, slots=True)
class Renderer:
    """A pipeline with the settings of sampling of one case."""

    pipe: SonicPipeline
    sampling: SamplingConfig

    @torch.inference_mode()
    def render(
        self, portrait: Portrait, samples: NDArray[np.float32], seed: int, watch: Stopwatch
    ) -> Bytes:
        """Render a sound of any length: F H W 3."""
        shown = self.pipe.encode_portrait(portrait, seed, self.sampling.condition_noise)
        with watch.part("listen"):
            heard = self.pipe.encode_audio(samples, shown, self.sampling)
        with watch.part("denoise"):
            latents_FCHW = self.pipe.denoise(shown, heard, seed, self.sampling)
        with watch.part("decode"):
            return self.pipe.decode(latents_FCHW)

    @torch.inference_mode()
    def through_autoencoder(self, pictures_FHW3: Bytes) -> Bytes:
        """Encode and decode pictures: the ceiling of what the UNet can do."""
        pixels = torch.from_numpy(pictures_FHW3).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = torch.cat([self.pipe.encode_image(part) for part in pixels.split(8)])
        return self.pipe.decode(latents * self.pipe.latent_scale)

    def finish(self, pictures_FHW3: Bytes, watch: Stopwatch) -> None:
        """Interpolate and encode as the renderer does, for the time that it takes."""
        media = self.pipe.settings.media
        num_frames = OUTPUT_FRAMES_PER_FRAME * len(pictures_FHW3)
        settings = EncodeSettings(crf=media.crf, preset=media.speed)
        with tempfile.TemporaryDirectory() as folder:
            with watch.part("interpolate"):
                frames = self.pipe.interpolate(pictures_FHW3, num_frames, OUTPUT_FPS)
            with watch.part("encode"):
                encode_frames(iter(frames), Path(folder) / "video.mp4", settings)
