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
from torch.nn import functional

from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import OUTPUT_FPS, OUTPUT_FRAMES_PER_FRAME
from sonic_ops.core.presets import PipelineConfig
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.interpolation.layers import PortraitLayers
from sonic_ops.media.muxing import EncodeSettings, encode_frames
from sonic_ops.pipeline import SonicPipeline
from training.evaluation.cases import Case

Bytes = NDArray[np.uint8]
Decoded = Bytes | PortraitLayers
"""Frames at 12.5 a second, as pictures (F H W 3) or as layers over the portrait."""


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
    def render(self, case: Case, seed: int, watch: Stopwatch) -> Decoded:
        """Render what a case says, of any length."""
        with watch.part("portrait"):
            portrait = case.portrait(self.pipe.settings.portrait)
            shown = self.pipe.encode_portrait(portrait, seed, self.sampling.condition_noise)
            reference = self.pipe.encode_reference(portrait)
        with watch.part("listen"):
            heard = self.pipe.encode_audio(case.samples, shown, self.sampling)
        with watch.part("denoise"):
            latents_FCHW = self.pipe.denoise(shown, heard, seed, self.sampling)
        with watch.part("decode"):
            if reference is None:
                return self.pipe.decode(latents_FCHW)
            return self.pipe.decode_over(latents_FCHW, reference)

    @torch.inference_mode()
    def through_decoder(self, case: Case, pictures_FHW3: Bytes) -> Bytes:
        """Encode and decode pictures of a case: the ceiling of what the UNet can do."""
        portrait = case.portrait(self.pipe.settings.portrait)
        pixels = torch.from_numpy(pictures_FHW3).permute(0, 3, 1, 2).float() / 127.5 - 1
        size = portrait.image_CHW.shape[1:]
        if pixels.shape[2:] != size:
            pixels = functional.interpolate(pixels, size, mode="area")
        latents = torch.cat([self.pipe.encode_image(part) for part in pixels.split(8)])
        return self.pipe.decode(
            latents * self.pipe.latent_scale, self.pipe.encode_reference(portrait)
        )

    def output(self, decoded: Decoded) -> Iterator[Bytes]:
        """Interpolate to the frames of a video."""
        interpolator = self.pipe.interpolator(self.pipe.settings.media.interpolation)
        num_frames = OUTPUT_FRAMES_PER_FRAME * len(decoded)
        return output_frames(interpolator, decoded, 0, range(num_frames), OUTPUT_FPS)

    @torch.inference_mode()
    def finish(self, decoded: Decoded, watch: Stopwatch) -> None:
        """Interpolate and encode as the renderer does, for the time that it takes."""
        media = self.pipe.settings.media
        settings = EncodeSettings(crf=media.crf, preset=media.speed)
        with tempfile.TemporaryDirectory() as folder:
            with watch.part("interpolate"):
                frames = list(self.output(decoded))
            with watch.part("encode"):
                encode_frames(iter(frames), Path(folder) / "video.mp4", settings)


@torch.inference_mode()
def as_shown(decoded: Decoded) -> Bytes:
    """Return the frames at 12.5 a second as they are shown: F H W 3."""
    if isinstance(decoded, PortraitLayers):
        return np.stack([decoded.pixels(index) for index in range(len(decoded))])
    return decoded


def preset_with(name: str, weights: str | None) -> RenderConfig:
    """Return a preset, perhaps with other weights. Raises ConfigError."""
    preset = load_preset(name)
    if weights is None:
        return preset
    models = preset.models.model_copy(update={"weights": weights})
    return preset.model_copy(update={"models": models})


def renderer_of(preset: RenderConfig) -> Renderer:
    """Load the networks of a preset, for the threads it asks for. Raises SonicError."""
    torch.set_num_threads(preset.cluster.threads_per_worker)
    pipe = SonicPipeline.load(preset.models)
    pipe.settings = PipelineConfig.model_validate(preset.model_dump())
    pipe.set_progress_bar_config(disable=True)
    return Renderer(pipe, preset.sampling)
