"""The released way of making a video, restated from its description, with the same weights.

Wiring: every spatial layer runs softmax over the one image token and projects the audio of every
frame of every branch; every temporal layer repeats the mean context for each pixel and projects
each copy; convolutions along time are those of three dimensions. The rest: the sound is encoded
twice, the portrait twice, adapters see one frame at a time and the silence once per frame; all
three branches are computed, whatever they weigh; 8 frames are decoded at a time and the whole video
is in memory; it is encoded silent, decoded, and encoded again beside its sound.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sonic_ops.audio.whisper import encode_mel, log_mel
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.constants import (
    BUCKET_GAIN,
    BUCKET_OFFSET,
    CHUNK_SAMPLES,
    SAMPLES_PER_TICK,
    TOKENS_PER_TICK,
)
from sonic_ops.core.guidance import BRANCHES
from sonic_ops.interpolation.flow import frames_between
from sonic_ops.media.encoding import encode_frames, settings_of
from sonic_ops.media.muxing import mux
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.models.attention import AudioAttention, over_time, per_frame
from sonic_ops.models.networks import SonicNetworks
from sonic_ops.models.temporal import TimeConv
from sonic_ops.models.unet import AudioUNet
from sonic_ops.picture.portrait import Portrait
from sonic_ops.quality.frame_analysis import frames_of
from sonic_ops.sampling.conditioning import (
    FrameCondition,
    PortraitCondition,
    condition_portrait,
    motion_spans,
    speech_spans,
)
from sonic_ops.sampling.decoding import to_uint8
from sonic_ops.sampling.sampler import Denoiser, Sampler, video_noise
from tests.reference import denoise_whole

CHUNK_FRAMES = 8


class ReleasedAttention(AudioAttention):
    """The numbers of `AudioAttention` at the cost of the released code."""

    def _attend_in_frames(self, attn: Any, hidden_states: Tensor) -> Tensor:
        context, frames = self.context, self.context.num_frames
        image = per_frame(context.image, frames)
        audio = per_frame(context.audio, frames)
        query = attn.to_q(hidden_states)
        seen = _attention(query, attn.to_k(image), attn.to_v(image), attn.heads)
        heard = _attention(query, self.to_k_ip[0](audio), self.to_v_ip[0](audio), attn.heads)
        mask = context.mask_for(hidden_states.shape[1], heard)
        mixed = seen + (heard if mask is None else mask * heard)
        return attn.to_out[1](attn.to_out[0](mixed))  # type: ignore[no-any-return]

    def _attend_over_time(self, attn: Any, hidden_states: Tensor) -> Tensor:
        pixels = len(hidden_states) // len(self.context.audio)
        image = _per_pixel(over_time(self.context.image), pixels)
        audio = _per_pixel(over_time(self.context.audio), pixels)
        query = attn.to_q(hidden_states)
        seen = _attention(query, attn.to_k(image), attn.to_v(image), attn.heads)
        heard = _attention(query, self.to_k_ip[0](audio), self.to_v_ip[0](audio), attn.heads)
        return attn.to_out[1](attn.to_out[0](seen + heard))  # type: ignore[no-any-return]


def released_unet(ours: AudioUNet) -> AudioUNet:
    """The same weights, wired the released way."""
    other = AudioUNet(ours.unet.config)
    other.unet.load_state_dict(ours.unet.state_dict())
    return _stock(other.to(next(ours.parameters()).dtype).eval())


def released_models(ours: SonicNetworks) -> SonicNetworks:
    """The same weights in networks that are wired the released way. It takes `ours` apart."""
    names = ("vae", "image_encoder", "audio2token", "audio2bucket", "speech_encoder", "flownet")
    networks = {name: _stock(getattr(ours, name)) for name in names}
    return SonicNetworks(unet=released_unet(ours.unet), scheduler=ours.scheduler, **networks)


def _stock(network: Any) -> Any:
    for module in network.modules():
        if type(module) is AudioAttention:
            module.__class__ = ReleasedAttention
        if type(module) is TimeConv:
            module.__class__ = nn.Conv3d  # type: ignore[assignment]
    return network


def hear(models: SonicNetworks, samples: NDArray[np.float32]) -> Tensor:
    """Tokens of the track, L K D, in pieces of 30 s; all of it a second time for the motion."""
    pieces = [samples[i : i + CHUNK_SAMPLES] for i in range(0, len(samples), CHUNK_SAMPLES)]
    for _ in range(2):
        tokens_LKD = torch.cat([encode_mel(models.speech_encoder, log_mel(p)) for p in pieces])
    return tokens_LKD[: len(samples) // SAMPLES_PER_TICK * TOKENS_PER_TICK]


def denoise(
    models: SonicNetworks,
    sampler: Sampler,
    portrait: Portrait,
    tokens_LKD: Tensor,
    num_frames: int,
    seed: int,
    *,
    needed_only: bool,
) -> Tensor:
    """Latents of the whole video: F C H W. `needed_only`: without branches that weigh nothing."""
    for _ in range(2):
        shown = condition_portrait(models, portrait)
    heard = _condition_frames(models, tokens_LKD, num_frames, shown)
    shape, config = shown.reference_CHW.shape, sampler.config
    noise_FCHW = video_noise(seed, range(num_frames), shape, config)
    heard = heard.scaled(config.head_motion, config.expression)
    form = _as_it_is if needed_only else _all_branches
    return denoise_whole(sampler, models.unet, shown, heard, noise_FCHW, form=form)


@torch.inference_mode()
def _condition_frames(
    models: SonicNetworks, tokens_LKD: Tensor, num_frames: int, shown: PortraitCondition
) -> FrameCondition:
    """Frame by frame, with the tokens of no audio for every frame too."""

    def read(start: int, stop: int) -> Tensor:
        inside = tokens_LKD[max(start, 0) : max(stop, 0)]
        before = max(-start, 0)
        return F.pad(inside, (0, 0, 0, 0, before, stop - start - before - len(inside)))

    speech, motion = (spans(read, 0, num_frames) for spans in (speech_spans, motion_spans))
    image_1E = shown.image_11E[:, 0]
    tokens, buckets = [], []
    for frame in range(num_frames):
        models.audio2token(torch.zeros_like(speech[:1]))
        tokens.append(models.audio2token(speech[frame : frame + 1]))
        buckets.append(models.audio2bucket(motion[frame : frame + 1], image_1E))
    scaled_F2 = torch.cat(buckets) * BUCKET_GAIN + BUCKET_OFFSET
    return FrameCondition(
        tuple(range(num_frames)), torch.cat(tokens).to(models.unet_dtype), scaled_F2
    )


def _as_it_is(denoiser: Denoiser) -> Denoiser:
    return denoiser


def _all_branches(denoiser: Denoiser) -> Denoiser:
    def denoise(_: Sequence[str], y_TCHW: Tensor, timestep: float) -> dict[str, Tensor]:
        return denoiser(BRANCHES, y_TCHW, timestep)

    return denoise


@torch.inference_mode()
def finish(models: SonicNetworks, latents_FCHW: Tensor, audio: Path, target: Path) -> None:
    """Decode, interpolate and encode the whole video, and encode it again beside its sound."""
    decoded = torch.cat([models.decode_latents(part) for part in latents_FCHW.split(CHUNK_FRAMES)])
    frames_FCHW = (decoded * 0.5 + 0.5).clamp(0, 1)
    middles = [frames_between(models.flownet, a, b, [0.5])[0] for a, b in pairwise(frames_FCHW)]
    shown = torch.stack([f for pair in zip(frames_FCHW, middles, strict=False) for f in pair])
    pictures = list(to_uint8(torch.cat((shown, frames_FCHW[-1:]))))
    first, second = (target.with_name(f"{name}-{target.name}") for name in ("first", "second"))
    settings = settings_of(MediaConfig())
    encode_frames(pictures, first, settings)
    encode_frames((frame.frame_HW3 for frame in frames_of(first)), second, settings)
    mux(second, Soundtrack(str(audio)), target)


def _per_pixel(branches: list[Tensor], pixels: int) -> Tensor:
    return torch.cat([branch.repeat(pixels, 1, 1) for branch in branches])


def _attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)
    )
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
