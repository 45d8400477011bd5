"""One case through the mathematics of the renderer, in this process, with the CPU time it took.

Shape letters: F frames, H, W rows and columns, L tokens, K hidden states, D channels.
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
from torch import Tensor

from sonic_ops.audio.resampling import encode_piece, log_mel
from sonic_ops.core.config import DecodingConfig, MediaConfig, SamplingConfig
from sonic_ops.core.constants import OUTPUT_FRAMES_PER_FRAME, SAMPLES_PER_TICK, TOKENS_PER_TICK
from sonic_ops.core.timeline import Ring, num_frames_of, window_grid
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.media.muxing import EncodeSettings, encode_frames
from sonic_ops.models.loading import Models
from sonic_ops.picture.portrait import Portrait
from sonic_ops.sampling.conditioning import (
    FrameCondition,
    PortraitCondition,
    ReadTokens,
    condition_frames,
    condition_portrait,
    window_denoiser,
)
from sonic_ops.sampling.decoding import decode_frames
from sonic_ops.sampling.fusion import fuse
from sonic_ops.sampling.sampler import Sampler, video_noise

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
    """Weights with the settings of a preset."""

    models: Models
    sampling: SamplingConfig
    decoding: DecodingConfig
    media: MediaConfig

    @torch.inference_mode()
    def render(
        self, portrait: Portrait, samples: NDArray[np.float32], seed: int, watch: Stopwatch
    ) -> Bytes:
        """The frames of a sound of at most 30 s: F H W 3."""
        num_frames = num_frames_of(len(samples))
        with watch.part("listen"):
            read = _token_reader(self.models, samples)
        with watch.part("denoise"):
            shown = condition_portrait(self.models, portrait)
            heard = condition_frames(self.models, read, range(num_frames), shown.image_11E)
            heard = heard.scaled(self.sampling.head_motion, self.sampling.expression)
            latents_FCHW = self._denoise(shown, heard, num_frames, seed)
        with watch.part("decode"):
            return self.decode(latents_FCHW)

    def decode(self, latents_FCHW: Tensor) -> Bytes:
        """Latents to pictures, on the renderer's grid of chunks: F H W 3."""
        num_frames = len(latents_FCHW)
        chunks = decode_frames(
            self.models.decode_latents,
            lambda start, stop: latents_FCHW[start:stop],
            range(num_frames),
            num_frames,
            self.decoding,
        )
        pictures = torch.cat([(chunk * 255).to(torch.uint8) for chunk in chunks])
        return np.ascontiguousarray(pictures.movedim(1, -1).numpy())

    @torch.inference_mode()
    def through_autoencoder(self, pictures_FHW3: Bytes) -> Bytes:
        """Pictures encoded and decoded: the ceiling of what the UNet can do."""
        pixels = torch.from_numpy(pictures_FHW3).permute(0, 3, 1, 2).float() / 127.5 - 1
        latents = torch.cat([self.models.encode_image(part) for part in pixels.split(8)])
        return self.decode(latents * self.models.latent_scale)

    def finish(self, pictures_FHW3: Bytes, watch: Stopwatch) -> None:
        """Interpolate and encode as the renderer does, for the time that it takes."""
        span = range(OUTPUT_FRAMES_PER_FRAME * len(pictures_FHW3))
        settings = EncodeSettings(crf=self.media.crf, preset=self.media.speed)
        with tempfile.TemporaryDirectory() as folder:
            with watch.part("interpolate"):
                way = self.models.between(self.media.interpolation)
                frames = list(output_frames(way, pictures_FHW3, 0, span))
            with watch.part("encode"):
                encode_frames(iter(frames), Path(folder) / "video.mp4", settings)

    def _denoise(
        self, shown: PortraitCondition, heard: FrameCondition, num_frames: int, seed: int
    ) -> Tensor:
        """All steps over all windows of the ring."""
        sampler = Sampler(self.models.scheduler, self.sampling, self.models.latent_channels)
        shape, config = shown.reference_CHW.shape, self.sampling
        noise = video_noise(seed, range(num_frames), shape, config)
        y_FCHW = sampler.start(noise, shown.reference_CHW)
        ring = Ring(0, num_frames, config.edges)
        for step in sampler.steps:
            parts: list[Tensor] = []
            targets: list[int] = []
            for window in window_grid(
                num_frames,
                step.index,
                size=config.window_frames,
                overlap=config.window_overlap,
                shift=config.shift_frames,
                edges=config.edges,
            ):
                frames = ring.frames(window)
                denoise = window_denoiser(self.models.unet, shown, *heard.take(frames))
                stepped_TCHW = sampler.step(step, y_FCHW[list(frames)], denoise)
                positions, owners = zip(*ring.parts(window), strict=True)
                parts.append(stepped_TCHW[list(positions)])
                targets += owners
            y_FCHW = fuse(torch.cat(parts), targets, num_frames)
        return sampler.finish(y_FCHW, shown.reference_CHW)


def _token_reader(models: Models, samples: NDArray[np.float32]) -> ReadTokens:
    num_tokens = len(samples) // SAMPLES_PER_TICK * TOKENS_PER_TICK
    tokens_LKD = encode_piece(models.speech_encoder, log_mel(samples))[:num_tokens].cpu()

    def read(start: int, stop: int) -> Tensor:
        tokens = torch.zeros(stop - start, *tokens_LKD.shape[1:])
        first, last = max(start, 0), min(stop, num_tokens)
        if first < last:
            tokens[first - start : last - start] = tokens_LKD[first:last]
        return tokens

    return read
