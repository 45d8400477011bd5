"""Sonic on one page: an image and a track become a talking portrait, in one process.

Workers hold the same object and call its parts, so a render of many videos gives the same bits.

Shape letters: F frames, T frames of a window, C channels, H, W rows and columns.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.audio.resampling import decode_audio, num_samples_in, read_samples
from sonic_ops.audio.whisper import TokenTrack, encode_chunk
from sonic_ops.core.config import ModelsConfig, SamplingConfig
from sonic_ops.core.constants import CHUNK_OVERLAP_SAMPLES, SAMPLE_RATE_HZ
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.finite import in_words, locating, require_finite
from sonic_ops.core.presets import INDEX, PipelineConfig, preset_path, read_preset
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.timeline import (
    Ring,
    cut_audio_chunks,
    num_frames_of,
    num_output_frames_of,
    num_tokens_of,
    window_grid,
)
from sonic_ops.core.weights import weights_folder
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.interpolation.layers import PortraitLayers
from sonic_ops.models.loading import load_networks, require_device
from sonic_ops.models.networks import SonicNetworks, place_networks
from sonic_ops.models.portrait_decoder import Reference
from sonic_ops.picture.images import load_image
from sonic_ops.picture.portrait import Portrait, prepare_portrait
from sonic_ops.sampling.conditioning import (
    FrameCondition,
    PortraitCondition,
    condition_frames,
    condition_portrait,
    one_by_one,
    window_denoiser,
)
from sonic_ops.sampling.decoding import Read, decode_chunks, decode_frames, to_uint8
from sonic_ops.sampling.fusion import fuse
from sonic_ops.sampling.sampler import (
    IMAGE,
    Sampler,
    SourceFrames,
    Step,
    frame_noise,
    video_noise,
)

Frames = NDArray[np.uint8]
Samples = NDArray[np.float32]
OnStep = Callable[["SonicPipeline", int, float, dict[str, Tensor]], dict[str, Tensor]]

KEPT_SAMPLERS = 16
"""Settings of sampling whose samplers are kept, since rows in flight share them."""


@dataclass
class SonicPipelineOutput(BaseOutput):
    """The frames of a video, as images of PIL or as an array (F, H, W, 3), and their rate."""

    frames: list[Image.Image] | Frames
    fps: Fraction


class SonicPipeline(SonicNetworks):
    """Animate a portrait with speech. Source: Sonic (CVPR 2025, arXiv:2411.16331)."""

    settings = PipelineConfig()

    @classmethod
    def from_pretrained(
        cls,
        weights: str,
        *,
        preset: str | None = None,
        device: str = "cpu",
        torch_dtype: torch.dtype = torch.float32,
    ) -> Self:
        """Load `package:NAME` or a weights folder, with the settings it was trained for.

        These are in the preset that the folder's `model_index.json` names, unless `preset` names
        another. Raises ConfigError if weights or preset do not fit.
        """
        name = preset or read_index(weights).get("preset")
        dtype = str(torch_dtype).removeprefix("torch.")
        models = ModelsConfig.model_validate({"weights": weights, "device": device, "dtype": dtype})
        pipe = cls.load(models)
        if name:
            pipe.settings = PipelineConfig.model_validate(read_preset(preset_path(name)))
        return pipe

    @classmethod
    def load(cls, models: ModelsConfig) -> Self:
        """Load the networks as a preset describes them. Raises ConfigError."""
        require_device(models.device)
        read_index(models.weights)
        pipe = cls(**load_networks(models))
        place_networks(pipe, models)
        return pipe

    @torch.inference_mode()
    def __call__(
        self,
        image: str | Path | Image.Image,
        audio: str | Path | Samples,
        *,
        num_inference_steps: int | None = None,
        audio_guidance_scale: float | None = None,
        head_motion: float | None = None,
        expression: float | None = None,
        fps: float | None = None,
        generator: torch.Generator | None = None,
        output_type: Literal["pil", "np"] = "pil",
        callback_on_step_end: OnStep | None = None,
    ) -> SonicPipelineOutput:
        """Render the whole track, held in memory; for long or many videos use `flows.render`.

        `audio` is a file, or mono float32 samples at 16 kHz. The seed of `generator` decides the
        noise. Raises SonicError if the input cannot be read, or if there is no face.
        """
        guidance = audio_guidance_scale
        settings = self._with(
            steps=num_inference_steps,
            audio_guidance=None if guidance is None else (guidance, guidance),
            head_motion=head_motion,
            expression=expression,
        )
        self.check_inputs(settings, output_type)
        seed = generator.initial_seed() if generator else 0
        samples = read_audio(audio)
        portrait = self.prepare_image(image)

        shown = self.encode_portrait(portrait, seed, settings.condition_noise)
        audio_condition = self.encode_audio(samples, shown, settings)
        latents = self.denoise(shown, audio_condition, seed, settings, callback_on_step_end)
        is_layered = self.settings.media.interpolation == "layers"
        decode = self.decode_over if is_layered else self.decode
        decoded = decode(latents, self.encode_reference(portrait))
        rate = self.settings.media.fps if fps is None else Fraction(str(fps))
        frames = self.interpolate(decoded, num_output_frames_of(len(samples), rate), rate)
        self.maybe_free_model_hooks()
        return SonicPipelineOutput(_as(output_type, frames), rate)

    def check_inputs(self, settings: SamplingConfig, output_type: str) -> None:
        """Raise ConfigError for settings that this pipeline cannot follow."""
        if output_type not in ("pil", "np"):
            raise ConfigError(f"output_type is {output_type!r}", remedy="Use 'pil' or 'np'.")
        if self.settings.portrait.framing == "paste":
            raise ConfigError(
                "SonicPipeline does not paste faces into images",
                remedy="Use `sonic render`, or set portrait.framing to face or full.",
            )

    def prepare_image(self, image: str | Path | Image.Image) -> Portrait:
        """Crop the image around its largest face. Raises InputError."""
        config = self.settings.portrait
        loaded = image.convert("RGB") if isinstance(image, Image.Image) else load_image(str(image))
        return prepare_portrait(
            loaded,
            resolution=config.resolution,
            framing=config.framing,
            face_box=None,
            expand=config.expand,
            mask_area=config.mask_area,
            model_resolution=config.model_resolution,
        )

    def encode_portrait(self, portrait: Portrait, seed: int, noise: float) -> PortraitCondition:
        """Encode the portrait; `noise` is added to the image that conditions the UNet."""
        shape = portrait.image_CHW.shape
        pixel_noise = noise * frame_noise(seed, IMAGE, shape) if noise else None
        return condition_portrait(self, portrait, pixel_noise)

    def encode_chunk(self, samples: Samples) -> Tensor:
        """Encode up to 30 s of audio with Whisper: (tokens, layers, channels) on the CPU."""
        return require_finite(
            encode_chunk(self.speech_encoder, samples).cpu(), "The speech encoder"
        )

    def encode_audio(
        self, samples: Samples, portrait: PortraitCondition, settings: SamplingConfig
    ) -> FrameCondition:
        """Encode the whole track, and project it to what every frame hears and how it moves."""
        overlap = CHUNK_OVERLAP_SAMPLES if self.settings.audio_context == "overlapped" else 0
        size = self.settings.audio_chunk_s * SAMPLE_RATE_HZ
        chunks = cut_audio_chunks(len(samples), size, overlap)
        tokens = [
            self.encode_chunk(samples[chunk.start : chunk.stop])[: chunk.num_tokens]
            for chunk in chunks
        ]
        track = TokenTrack(chunks, tokens.__getitem__, num_tokens_of(len(samples)))
        frames = range(num_frames_of(len(samples)))
        return condition_frames(self, track.read, frames, portrait.image_11E).moving(settings)

    def denoise(
        self,
        portrait: PortraitCondition,
        audio_condition: FrameCondition,
        seed: int,
        settings: SamplingConfig,
        callback_on_step_end: OnStep | None = None,
        source: SourceFrames | None = None,
    ) -> Tensor:
        """Denoise all frames: windows that move at every step, fused after it. (F, C, H, W).

        With `source`, start from its latents, as noisy as `settings.strength` asks for.
        """
        sampler, num_frames = self.sampler(settings), len(audio_condition.frames)
        reference_CHW = portrait.reference_CHW
        noise = video_noise(seed, range(num_frames), reference_CHW.shape, settings)
        y_FCHW = sampler.start(noise, reference_CHW, source)
        for step in self.progress_bar(sampler.steps):
            y_FCHW = self._fused_step(step, y_FCHW, portrait, audio_condition, sampler)
            if callback_on_step_end is not None:
                said = callback_on_step_end(self, step.index, step.timestep, {"latents": y_FCHW})
                y_FCHW = said.get("latents", y_FCHW)
        return sampler.finish(y_FCHW, reference_CHW)

    def _fused_step(
        self,
        step: Step,
        y_FCHW: Tensor,
        portrait: PortraitCondition,
        audio_condition: FrameCondition,
        sampler: Sampler,
    ) -> Tensor:
        """Move the window grid, denoise each window once, and average where windows overlap."""
        num_frames, config = len(y_FCHW), sampler.config
        ring = Ring(0, num_frames, config.padding_mode)
        parts: list[Tensor] = []
        targets: list[int] = []
        for window in window_grid(
            num_frames,
            step.index,
            size=config.window_frames,
            overlap=config.window_overlap,
            shift=config.shift_frames,
            padding_mode=config.padding_mode,
        ):
            frames = ring.frames(window)
            y_TCHW = y_FCHW[list(frames)]
            y_TCHW = self.denoise_window(step, y_TCHW, frames, portrait, audio_condition, sampler)
            positions, owners = zip(*ring.parts(window), strict=True)
            parts.append(y_TCHW[list(positions)])
            targets += owners
        return fuse(torch.cat(parts), targets, num_frames)

    def denoise_window(
        self,
        step: Step,
        y_TCHW: Tensor,
        frames: Sequence[int],
        portrait: PortraitCondition,
        audio_condition: FrameCondition,
        sampler: Sampler,
        *,
        low_memory: bool = False,
    ) -> Tensor:
        """Take one step of one window: one UNet call with its guidance branches."""
        denoiser = window_denoiser(self.unet, portrait, *audio_condition.take(frames))
        with locating(f" in step {step.index + 1} of {len(sampler.steps)}, {in_words(frames)}"):
            return sampler.step(step, y_TCHW, one_by_one(denoiser) if low_memory else denoiser)

    def decode(self, latents_FCHW: Tensor, reference: Reference | None = None) -> Frames:
        """Decode latents chunk by chunk on a fixed grid: (F, H, W, 3) at 12.5 fps."""
        span, decoding = range(len(latents_FCHW)), self.settings.decoding
        decode, read = partial(self.decode_latents, reference=reference), _reader(latents_FCHW)
        chunks = decode_frames(decode, read, span, len(span), decoding)
        return np.concatenate([to_uint8(chunk) for chunk in chunks])

    def decode_over(self, latents_FCHW: Tensor, reference: Reference | None) -> PortraitLayers:
        """Decode latents on the same grid to layers over the portrait. Raises ConfigError."""
        span, decoding = range(len(latents_FCHW)), self.settings.decoding
        decode, read = partial(self.decode_layers, reference=reference), _reader(latents_FCHW)
        layers = np.concatenate(list(decode_chunks(decode, read, span, len(span), decoding)))
        assert reference is not None
        return PortraitLayers(reference.image_CHW.cpu(), layers)

    def interpolate(
        self, decoded_FHWC: Frames | PortraitLayers, num_frames: int, fps: Fraction
    ) -> Frames:
        """Raise the rate from 12.5 fps to `fps`, as long as the audio lasts."""
        interpolator = self.interpolator(self.settings.media.interpolation)
        return np.stack(list(output_frames(interpolator, decoded_FHWC, 0, range(num_frames), fps)))

    def sampler(self, settings: SamplingConfig) -> Sampler:
        """Make the sampler of some settings; those of rows in flight are kept."""
        if not hasattr(self, "_samplers"):
            self._samplers = lru_cache(KEPT_SAMPLERS)(self._new_sampler)
        return self._samplers(settings)

    def _new_sampler(self, settings: SamplingConfig) -> Sampler:
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        return Sampler(scheduler, settings, self.latent_channels)

    def _with(self, **given: Any) -> SamplingConfig:
        """Return the settings of sampling with what the caller gave. Raises ValidationError."""
        sampling = self.settings.sampling
        asked = {key: value for key, value in given.items() if value is not None}
        return SamplingConfig.model_validate(sampling.model_dump() | asked)


def read_index(weights: str) -> dict[str, Any]:
    """Read `model_index.json` of a weights folder; empty without one. Raises ConfigError."""
    path = weights_folder(weights) / INDEX
    if not path.is_file():
        return {}
    index: dict[str, Any] = json.loads(path.read_text())
    if index.get("_class_name") != SonicPipeline.__name__:
        raise ConfigError(
            f"{path} describes a {index.get('_class_name')}, not a {SonicPipeline.__name__}",
            remedy="Use the folder that `sonic weights convert` wrote.",
        )
    return index


def read_audio(audio: str | Path | Samples) -> Samples:
    """Read a track as mono float32 samples at 16 kHz. Raises InputError."""
    if isinstance(audio, np.ndarray):
        return audio.astype(np.float32, copy=False)
    with scratch_folder() as folder:
        wav = folder / "audio.wav"
        decode_audio(str(audio), wav)
        return read_samples(wav, 0, num_samples_in(wav))


def _reader(latents_FCHW: Tensor) -> Read:
    return lambda start, stop: latents_FCHW[start:stop]


def _as(output_type: str, frames_FHWC: Frames) -> list[Image.Image] | Frames:
    return frames_FHWC if output_type == "np" else [Image.fromarray(frame) for frame in frames_FHWC]
