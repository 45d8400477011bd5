"""A worker owns the weights of one device. Each method is one job and knows nothing of Ray.

Shape letters: F frames, C channels, H, W rows and columns of the latents or of the picture.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cluster import artifacts
from cluster.jobs import (
    ConditionJob,
    DecodeJob,
    DenoiseJob,
    EncodeJob,
    FuseJob,
    PieceJob,
    StartJob,
    StoreJob,
)
from sonic_ops.audio import encode_piece, log_mel, read_samples
from sonic_ops.conditioning import (
    FrameCondition,
    PortraitCondition,
    condition_frames,
    condition_portrait,
    window_denoiser,
)
from sonic_ops.config import ModelsConfig, SamplingConfig
from sonic_ops.decoding import decode_frames
from sonic_ops.exchange import fusion_order
from sonic_ops.fusion import fuse
from sonic_ops.interpolation import output_frames
from sonic_ops.media import EncodeSettings, encode_frames
from sonic_ops.models.loading import Models, load_models
from sonic_ops.portrait import portrait_from
from sonic_ops.sampling import PICTURE, Sampler, frame_noise, video_noise

KEPT_SEGMENTS = 4
"""Segments whose conditions a worker keeps in memory from one step to the next."""

Parcels = tuple[Tensor, ...]


class RenderWorker:
    """Jobs on one device; weights are loaded by the first job, which can say what is wrong."""

    def __init__(self, models: ModelsConfig) -> None:
        self._config = models
        self._samplers: dict[SamplingConfig, Sampler] = {}
        self._read_heard = lru_cache(KEPT_SEGMENTS)(_read_heard)

    @cached_property
    def models(self) -> Models:
        """The networks."""
        return load_models(self._config)

    def load(self) -> str:
        """Load the weights now; the device. Raises ConfigError."""
        return self.models.device

    def encode_piece(self, job: PieceJob) -> str:
        """Write the tokens of one piece; its address."""
        mel = log_mel(read_samples(job.audio, job.start, job.stop))
        tokens = encode_piece(self.models.speech_encoder, mel).cpu()
        return artifacts.write_tensors(job.target, {"tokens": tokens})

    def condition_portrait(self, address: str, seed: int, noise: float) -> PortraitCondition:
        """Encode the prepared portrait."""
        portrait = portrait_from(artifacts.read_tensors(address))
        shape = portrait.image_CHW.shape
        pixel_noise = noise * frame_noise(seed, PICTURE, shape) if noise else None
        return condition_portrait(self.models, portrait, pixel_noise)

    def condition_frames(self, job: ConditionJob, portrait: PortraitCondition) -> str:
        """Project the tokens of some frames, and scale head and expression; the file's address.

        A file, because what all frames hear is too much to keep in memory for all steps.
        """
        track = artifacts.TokenTrack(job.pieces, job.num_tokens)
        heard = condition_frames(self.models, track.read, job.frames, portrait.image_11E)
        heard = heard.scaled(job.sampling.head_motion, job.sampling.expression)
        return artifacts.write_tensors(job.target, heard.tensors())

    def start(self, job: StartJob, portrait: PortraitCondition) -> Parcels | Tensor:
        """The noisiest latents of a segment, as parcels for their readers."""
        frames = range(job.segment.start, job.segment.stop)
        shape = portrait.reference_CHW.shape
        noise = video_noise(job.seed, frames, shape, shared=job.sampling.shared_noise)
        y_FCHW = self._sampler(job.sampling).start(noise, portrait.reference_CHW)
        return _parcels(_hand_out(y_FCHW, job.segment.start, job.readers))

    @torch.inference_mode()
    def denoise(
        self,
        job: DenoiseJob,
        portrait: PortraitCondition,
        heard: str,
        *parcels: Tensor,
    ) -> Parcels | Tensor:
        """One step of the windows of a segment, as parcels for their owners."""
        row_of = {frame: i for i, frame in enumerate(f for part in job.sources for f in part)}
        y_FCHW = torch.cat(parcels)
        sampler, condition = self._sampler(job.sampling), self._read_heard(heard)
        stepped = {}
        for window in job.windows:
            frames = window.frames(job.num_frames)
            denoise = window_denoiser(self.models.unet, portrait, *condition.take(frames))
            y_TCHW = y_FCHW[[row_of[frame] for frame in frames]]
            stepped[window.index] = sampler.step(sampler.steps[job.step], y_TCHW, denoise)
        return _parcels(
            torch.stack([stepped[part.window][part.position] for part in parcel])
            for parcel in job.parts
        )

    def fuse(self, job: FuseJob, *parcels: Tensor) -> tuple[Tensor | None, ...]:
        """Fuse the parts of a segment's frames, as parcels for the readers of the next step.

        The last result is no parcel: it says that the step is done, without a tensor to fetch.
        """
        order = fusion_order(job.parts)
        targets = [part.frame - job.segment.start for parcel in job.parts for part in parcel]
        y_FCHW = fuse(torch.cat(parcels)[order], [targets[i] for i in order], len(job.segment))
        return *_hand_out(y_FCHW, job.segment.start, job.readers), None

    def store(self, job: StoreJob, portrait: PortraitCondition, y_FCHW: Tensor) -> str:
        """Write the finished latents of a segment; their address."""
        latents = self._sampler(job.sampling).finish(y_FCHW, portrait.reference_CHW)
        return artifacts.write_tensors(job.target, {"latents": latents})

    def decode(self, job: DecodeJob) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The pictures of some frames (F, H, W, 3), and the first of them alone (1, H, W, 3)."""
        track = artifacts.LatentTrack(job.segments, job.latents)
        span = range(job.start, job.stop)
        chunks = decode_frames(
            self.models.decode_latents, track.read, span, job.num_frames, job.decoding
        )
        frames = np.concatenate([_pictures(chunk) for chunk in chunks])
        return frames, frames[:1].copy()

    def encode(
        self, job: EncodeJob, frames: NDArray[np.uint8], following: NDArray[np.uint8] | None
    ) -> str:
        """Interpolate a segment to output frames and encode them; the address of the file."""
        pictures = frames if following is None else np.concatenate([frames, following])
        stream = output_frames(
            self.models.flownet, pictures, job.segment.start, range(job.start, job.stop)
        )
        settings = EncodeSettings(crf=job.media.crf, preset=job.media.speed)
        return artifacts.write_once(job.target, lambda path: encode_frames(stream, path, settings))

    def _sampler(self, config: SamplingConfig) -> Sampler:
        if config not in self._samplers:
            scheduler = type(self.models.scheduler).from_config(self.models.scheduler.config)
            self._samplers[config] = Sampler(scheduler, config)
        return self._samplers[config]


def _read_heard(address: str) -> FrameCondition:
    return FrameCondition.from_tensors(artifacts.read_tensors(address))


def _hand_out(y_FCHW: Tensor, first: int, readers: tuple[tuple[int, ...], ...]) -> Iterator[Tensor]:
    return (y_FCHW[[frame - first for frame in frames]] for frames in readers)


def _parcels(parts: Iterable[Tensor]) -> Parcels | Tensor:
    """One result per parcel; a single one is itself the result."""
    parcels = tuple(parts)
    return parcels if len(parcels) > 1 else parcels[0]


def _pictures(frames_FCHW: Tensor) -> NDArray[np.uint8]:
    # Truncated and not rounded, as the released model writes its pictures.
    pictures: NDArray[np.uint8] = (
        (frames_FCHW * 255).to(torch.uint8).movedim(1, -1).contiguous().numpy()
    )
    return pictures
