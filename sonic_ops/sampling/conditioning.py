"""Condition the UNet: on the portrait once, on every frame from the whole track.

Shape letters: F frames, S tokens in a frame's span, L encoder layers, D channels of a token,
K audio tokens, E channels of the context, C, H, W latents (or pixels where it is said).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import (
    BUCKET_GAIN,
    BUCKET_OFFSET,
    MODEL_FPS,
    MOTION_BEFORE_TOKENS,
    MOTION_SPAN_TOKENS,
    SPEECH_BEFORE_TOKENS,
    SPEECH_SPAN_TOKENS,
    TOKENS_PER_FRAME,
)
from sonic_ops.core.finite import in_words, require_finite
from sonic_ops.core.timeline import BLOCK_FRAMES, block_frames
from sonic_ops.models.networks import SonicNetworks
from sonic_ops.models.unet import AudioUNet, CachedFeatures
from sonic_ops.picture.portrait import Portrait
from sonic_ops.sampling.sampler import Denoiser

ReadTokens = Callable[[int, int], Tensor]
"""Tokens `[start, stop)` of the track, (stop - start, L, D); zero outside the track."""


@dataclass(frozen=True, slots=True)
class PortraitCondition:
    """The portrait as the UNet reads it; the same for all frames and steps."""

    image_11E: Tensor
    latents_CHW: Tensor  # not scaled: joined to the input of the UNet
    reference_CHW: Tensor  # scaled: the start, or the origin, of the latents
    mask_11HW: Tensor  # in pixels
    silence_1KE: Tensor  # audio tokens of no audio


@dataclass(frozen=True, slots=True)
class FrameCondition:
    """Audio tokens and motion buckets of some frames; row i belongs to `frames[i]`."""

    frames: tuple[int, ...]
    tokens_FKE: Tensor
    buckets_F2: Tensor

    def take(self, frames: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return tokens (T, K, E) and buckets (T, 2) of a window's frames."""
        row = {frame: index for index, frame in enumerate(self.frames)}
        rows = torch.tensor([row[frame] for frame in frames])
        return self.tokens_FKE[rows], self.buckets_F2[rows]

    def tensors(self) -> dict[str, Tensor]:
        """Return the condition as named tensors for a file."""
        frames = torch.tensor(self.frames)
        return {"frames": frames, "tokens": self.tokens_FKE, "buckets": self.buckets_F2}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "FrameCondition":
        """Restore the condition from named tensors."""
        frames = tuple(tensors["frames"].tolist())
        return cls(frames, tensors["tokens"], tensors["buckets"])

    def scaled(self, head_motion: float, expression: float) -> "FrameCondition":
        """Return head and expression scaled apart: the motion-decoupled controller."""
        gain = torch.tensor([head_motion, expression])
        return replace(self, buckets_F2=self.buckets_F2 * gain)

    def moving(self, sampling: SamplingConfig) -> "FrameCondition":
        """Scale the motion buckets, predicted or given, by the settings."""
        given, buckets_F2 = sampling.motion_buckets, self.buckets_F2
        if given is not None:
            buckets_F2 = torch.tensor(given).expand_as(buckets_F2)
        moved = replace(self, buckets_F2=buckets_F2)
        return moved.scaled(sampling.head_motion, sampling.expression)


@torch.inference_mode()
def condition_portrait(
    models: SonicNetworks, portrait: Portrait, pixel_noise_CHW: Tensor | None = None
) -> PortraitCondition:
    """Encode the portrait; noise, if any, is added to its pixels before the condition latents."""
    image_1CHW = portrait.image_CHW[None]
    noisy_1CHW = image_1CHW if pixel_noise_CHW is None else image_1CHW + pixel_noise_CHW
    reference_1CHW = models.encode_image(image_1CHW)
    same = pixel_noise_CHW is None
    condition_1CHW = reference_1CHW if same else models.encode_image(noisy_1CHW)
    for latents in (reference_1CHW, condition_1CHW):
        require_finite(latents, "The autoencoder's encoder", " for the portrait")
    image_1E = models.embed_image(portrait.clip_CHW[None])
    silence_1KE = models.audio2token(_silence(models)).cpu()
    # The embedded models say nothing through it: their image encoder gives zeros.
    require_finite(image_1E, "The image encoder", " for the portrait", may_be_zero=True)
    return PortraitCondition(
        image_11E=image_1E[:, None],
        latents_CHW=condition_1CHW[0],
        reference_CHW=reference_1CHW[0] * models.latent_scale,
        mask_11HW=portrait.face_HW[None, None],
        silence_1KE=require_finite(silence_1KE, "audio2token", " for silence"),
    )


@torch.inference_mode()
def condition_frames(
    models: SonicNetworks, read: ReadTokens, frames: Sequence[int], image_11E: Tensor
) -> FrameCondition:
    """Project the tokens around every frame, block by block on the fixed grid."""
    wanted = tuple(sorted(set(frames)))
    blocks = sorted({frame // BLOCK_FRAMES for frame in wanted})
    projected = [_project_block(models, read, block, image_11E) for block in blocks]
    row = {frame: i for i, frame in enumerate(f for b in blocks for f in block_frames(b))}
    rows = torch.tensor([row[frame] for frame in wanted])
    tokens_FKE = torch.cat([tokens for tokens, _ in projected])[rows]
    buckets_F2 = torch.cat([buckets for _, buckets in projected])[rows]
    return FrameCondition(wanted, tokens_FKE, buckets_F2)


def speech_spans(read: ReadTokens, start: int, stop: int) -> Tensor:
    """Return the 10 tokens around every frame, for what is said: (F, 10, L, D)."""
    return _spans(read, start, stop, SPEECH_BEFORE_TOKENS, SPEECH_SPAN_TOKENS)


def motion_spans(read: ReadTokens, start: int, stop: int) -> Tensor:
    """Return the 50 tokens around every frame, last layer only, for how it is said.

    (F, 50, 1, D).
    """
    spans = _spans(read, start, stop, MOTION_BEFORE_TOKENS, MOTION_SPAN_TOKENS)
    return spans[:, :, -1:]


def _spans(read: ReadTokens, start: int, stop: int, before: int, span: int) -> Tensor:
    first = TOKENS_PER_FRAME * start - before
    last = TOKENS_PER_FRAME * (stop - 1) - before + span
    return read(first, last).unfold(0, span, TOKENS_PER_FRAME).movedim(-1, 1)


def _project_block(
    models: SonicNetworks, read: ReadTokens, block: int, image_11E: Tensor
) -> tuple[Tensor, Tensor]:
    span = block_frames(block)
    start, stop = span.start, span.stop
    device = models.compute_device
    tokens_FKE = models.audio2token(speech_spans(read, start, stop).to(device))
    image_FE = image_11E[:, 0].float().expand(BLOCK_FRAMES, -1).to(device)
    raw_F2 = models.audio2bucket(motion_spans(read, start, stop).to(device), image_FE)
    # Tokens are kept for all steps, so in the precision that the UNet reads them in.
    kept_FKE, where = tokens_FKE.to("cpu", models.unet_dtype), f" for {in_words(span)}"
    raw_F2 = require_finite(raw_F2.cpu(), "audio2bucket", where)
    return require_finite(kept_FKE, "audio2token", where), raw_F2 * BUCKET_GAIN + BUCKET_OFFSET


def _silence(models: SonicNetworks) -> Tensor:
    config = models.audio2token.config
    shape = (1, config.seq_len, config.blocks, config.channels)
    return torch.zeros(shape, device=models.compute_device)


def one_by_one(denoiser: Denoiser) -> Denoiser:
    """Run the guidance branches one after another, which needs less memory.

    Last bits differ, since those of a matrix product depend on its size.
    """

    def denoise(
        branches: Sequence[str],
        y_TCHW: Tensor,
        timestep: float,
        cached: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        predicted: dict[str, Tensor] = {}
        for name in branches:
            own = None if cached is None else {key: cached[key] for key in cached if key == name}
            predicted |= denoiser([name], y_TCHW, timestep, *(() if own is None else (own,)))
            if cached is not None:
                cached |= own or {}
        return predicted

    return denoise


def window_denoiser(
    unet: AudioUNet, portrait: PortraitCondition, tokens_TKE: Tensor, buckets_T2: Tensor
) -> Denoiser:
    """Make the denoiser of one window; guidance branches run together."""
    time_ids = [float(MODEL_FPS), *buckets_T2.mean(0).tolist()]

    def denoise(
        branches: Sequence[str],
        y_TCHW: Tensor,
        timestep: float,
        cached: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        like = next(unet.parameters())
        condition_TCHW = portrait.latents_CHW.expand(y_TCHW.shape)
        shown = [condition_TCHW * (name != "uncond") for name in branches]
        sample_BTCHW = torch.stack([torch.cat([y_TCHW, part], dim=1) for part in shown])
        audio_condition = [
            tokens_TKE if name == "image_audio" else portrait.silence_1KE for name in branches
        ]
        reused = torch.stack([cached[name] for name in branches]).to(like) if cached else None
        seen = None if cached is None else CachedFeatures(reused)
        predicted_BTCHW = unet(
            sample_BTCHW.to(like),
            torch.full((len(branches),), timestep, device=like.device),
            [(portrait.image_11E * (name != "uncond")).to(like) for name in branches],
            [tokens.to(like) for tokens in audio_condition],
            torch.tensor([time_ids] * len(branches), device=like.device),
            portrait.mask_11HW.to(like.device),
            seen,
        )
        if seen and cached is not None:
            cached |= zip(branches, seen.kept.float().cpu(), strict=True)
        predicted_BTCHW = require_finite(predicted_BTCHW.float().cpu(), "The UNet")
        return dict(zip(branches, predicted_BTCHW, strict=True))

    return denoise
