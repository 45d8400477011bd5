"""Videos for workers whose networks cost a given time: real planner, real pool, real files.

Only the networks are replaced, by ones that give tensors of the real size; a job then lasts as long
as it would with the real ones. Noise, sampler, fusion, checkpoints and files are the product's own;
what follows the latents is too if `Costs.encode_s` is none, else it is bytes of the real size.

Shape letters: N any number, F frames, B branches, T frames of a window, C channels, H, W sides.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import soundfile
import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler
from torch import Tensor

from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.storage.readers import LatentTrack
from cluster.video.jobs import AudioChunkJob, DecodeJob, DenoiseJob, EncodeJob, VideoRequest
from cluster.video.render import denoise_video, encode_audio, encode_video
from cluster.video.worker import RenderWorker
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import num_output_frames_of, window_grid
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import CLIP_SIDE, Portrait, portrait_tensors
from sonic_ops.pipeline import SonicPipeline

LATENT_CHANNELS = 4
PIXELS_PER_LATENT = 8
# The sizes of the released model: Whisper-tiny's states, and the context of SVD's UNet.
TOKENS_PER_PIECE, TOKEN_LAYERS, TOKEN_CHANNELS = 1500, 5, 384
CONTEXT_TOKENS, CONTEXT_CHANNELS = 32, 1024
ENCODED_BYTES_PER_FRAME = 4_000


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of a worker per window, decoded frame, output frame and piece of 30 s."""

    window_s: float = 0.0
    decode_s: float = 0.0
    encode_s: float | None = None  # none: the real decoding, interpolation and encoder run
    piece_s: float = 0.0


class _Network:
    """What all networks have: a weight on a device."""

    device = torch.device("cpu")
    dtype = torch.float32

    def __init__(self) -> None:
        self.weight = torch.zeros(1)

    def parameters(self) -> Iterator[Tensor]:
        return iter([self.weight])


class _UNet(_Network):
    def __call__(self, sample_BTCHW: Tensor, *context: object) -> Tensor:
        return sample_BTCHW[:, :, :LATENT_CHANNELS] * 0.5


class _FlowNet(_Network):
    def __call__(self, a_NCHW: Tensor, b_NCHW: Tensor) -> tuple[Tensor, Tensor]:
        num_pairs, _, height, width = a_NCHW.shape
        mask_N1HW = a_NCHW.new_zeros(num_pairs, 1, height, width)
        return mask_N1HW.expand(-1, 4, -1, -1), mask_N1HW


class _AudioToToken(_Network):
    config = SimpleNamespace(seq_len=10, blocks=TOKEN_LAYERS, channels=TOKEN_CHANNELS)

    def __call__(self, spans_FSLD: Tensor) -> Tensor:
        return torch.zeros(len(spans_FSLD), CONTEXT_TOKENS, CONTEXT_CHANNELS)


class _SpeechEncoder(_Network):
    conv1 = SimpleNamespace(weight=torch.zeros(1))

    def __call__(self, mel_1MT: Tensor, *, output_hidden_states: bool) -> SimpleNamespace:
        state = torch.zeros(1, TOKENS_PER_PIECE, TOKEN_CHANNELS)
        return SimpleNamespace(hidden_states=[state] * TOKEN_LAYERS, last_hidden_state=state)


class SimulatedPipeline(SonicPipeline):
    """A pipeline without a network."""

    compute_device = torch.device("cpu")
    unet_dtype = torch.float16
    latent_scale = 1.0

    def __init__(self) -> None:
        DiffusionPipeline.__init__(self)
        self.unet, self.flownet = _UNet(), _FlowNet()
        self.audio2token, self.speech_encoder = _AudioToToken(), _SpeechEncoder()
        self.scheduler = EulerDiscreteScheduler(prediction_type="v_prediction")

    def audio2bucket(self, spans_FSLD: Tensor, image_FE: Tensor) -> Tensor:
        return torch.zeros(len(spans_FSLD), 2)

    def encode_image(self, image_NCHW: Tensor) -> Tensor:
        picture = image_NCHW[:, :, ::PIXELS_PER_LATENT, ::PIXELS_PER_LATENT]
        return torch.cat([picture, picture[:, :1]], dim=1)

    def embed_image(self, pixels_NCHW: Tensor) -> Tensor:
        return pixels_NCHW.new_zeros(len(pixels_NCHW), CONTEXT_CHANNELS)

    def decode_latents(
        self, latents_FCHW: Tensor, wanted: slice = slice(None), *, reference: object = None
    ) -> Tensor:
        rows = latents_FCHW[wanted, :3].repeat_interleave(PIXELS_PER_LATENT, dim=2)
        return rows.repeat_interleave(PIXELS_PER_LATENT, dim=3)


class SimulatedWorker(RenderWorker):
    """A worker whose jobs last as long as they would with networks that have these costs."""

    def __init__(self, costs: Costs, models: ModelsConfig) -> None:
        super().__init__(models)
        self._costs = costs
        self.pipe = SimulatedPipeline()

    def encode_chunk(self, job: AudioChunkJob) -> str:
        with _lasting(self._costs.piece_s):
            return super().encode_chunk(job)

    def denoise(self, job: DenoiseJob, *arguments: Any, **options: Any) -> Any:
        with _lasting(self._costs.window_s * len(job.windows)):
            return super().denoise(job, *arguments, **options)

    def decode(self, job: DecodeJob, *arguments: Any, **options: Any) -> Any:
        if self._costs.encode_s is None:
            return super().decode(job, *arguments, **options)
        with _lasting(self._costs.decode_s * (job.stop - job.start)):
            latents = LatentTrack(job.segments, job.latents).read(job.start, job.stop)
            height, width = (PIXELS_PER_LATENT * side for side in latents.shape[2:])
            frames = np.zeros((len(latents), height, width, 3), np.uint8)
            return frames, frames[:1].copy()

    def encode(self, job: EncodeJob, *pictures: Any, **options: Any) -> str:
        if self._costs.encode_s is None:
            return super().encode(job, *pictures, **options)
        num_frames = job.stop - job.start
        with _lasting(self._costs.encode_s * num_frames):
            content = bytes(ENCODED_BYTES_PER_FRAME * num_frames)
            return artifacts.write_video(job.target, lambda path: path.write_bytes(content))


@contextmanager
def _lasting(seconds: float) -> Iterator[None]:
    """What is inside lasts at least so long."""
    until = time.perf_counter() + seconds
    yield
    time.sleep(max(0.0, until - time.perf_counter()))


def prepare(folder: Path, *, seconds: float, side: int, order: int = 0) -> VideoRequest:
    """Write the prepared files of a video of so many seconds and so many pixels a side."""
    folder.mkdir(parents=True)
    num_samples = int(seconds * SAMPLE_RATE_HZ)
    with soundfile.SoundFile(folder / "sound.wav", "w", SAMPLE_RATE_HZ, 1, "PCM_16") as audio:
        for start in range(0, num_samples, SAMPLE_RATE_HZ):
            audio.write(np.zeros(min(SAMPLE_RATE_HZ, num_samples - start), np.float32))
    image_CHW = torch.linspace(-1, 1, side).expand(3, side, side).contiguous()
    clip_CHW = torch.zeros(3, CLIP_SIDE, CLIP_SIDE)
    box, crop = Box(0, 0, side, side), (0, 0, side, side)
    portrait = Portrait(image_CHW, torch.ones(side, side), clip_CHW, box, 1, crop)
    url = str(folder / "portrait.safetensors")
    artifacts.write_tensors(url, lambda: portrait_tensors(portrait))
    return VideoRequest(
        audio=str(folder / "sound.wav"),
        portrait=url,
        num_samples=num_samples,
        work=str(folder),
        order=order,
    )


def render(pool: Pool, request: VideoRequest, config: VideoConfig) -> list[str]:
    """All that the pool does for a video; the URLs of its encoded segments."""
    encode_audio(pool, request, lambda progress: None)
    denoise_video(pool, request, config, lambda progress: None)
    return encode_video(pool, request, config, lambda progress: None)


def ideal_s(request: VideoRequest, config: VideoConfig, costs: Costs) -> float:
    """Worker seconds of a video if nothing but the networks took time."""
    assert costs.encode_s is not None
    size, overlap = config.sampling.window_frames, config.sampling.window_overlap
    num_windows = len(window_grid(request.num_frames, 0, size=size, overlap=overlap))
    return math.fsum(
        (
            costs.piece_s * len(request.chunks),
            costs.window_s * num_windows * config.sampling.num_run,
            costs.decode_s * request.num_frames,
            costs.encode_s * num_output_frames_of(request.num_samples),
        )
    )
