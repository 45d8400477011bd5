"""The UNet: single frames of many people first (spatial layers alone), then windows of frames.

Diffusion around the reference latents: y = (latents - reference) / residual_scale, and plain
v-prediction of y, as `EulerDiscreteScheduler` samples it.
Shape letters: B samples, T frames, C channels, H, W rows and columns, K audio tokens, E context
channels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any, Final

import torch
import torch.nn.functional as F
from diffusers.models.resnet import SpatioTemporalResBlock
from diffusers.models.transformers.transformer_temporal import (
    TransformerSpatioTemporalModel,
    TransformerTemporalModelOutput,
)
from torch import Tensor

from sonic_ops.constants import MODEL_FPS
from sonic_ops.models.unet import AudioUNet
from sonic_ops.training.audio_head import CONTEXT_CHANNELS, MAX_BUCKET
from sonic_ops.training.autoencoder import LATENT_CHANNELS
from sonic_ops.training.dataset import SIZE
from sonic_ops.training.loop import Budget, Group, Loss, Schedule, Trainer, load_average

SHARED_NOISE: Final = 0.5
MASK_AREA: Final = 1.1
_LATENT_SIZE: Final = SIZE // 8
_CHANNELS: Final = (64, 96, 128)
_LEVELS: Final = (64, 16)
"""Pixels of the levels that have attention: 8 x 8 and 4 x 4."""
_TEMPORAL: Final = ("temporal", "mix_factor", "time_pos")
_ZEROED: Final = (
    "spatial_res_block.conv2", "temporal_res_block.conv2", "proj_out", "conv_out", "mix_factor",
    "time_pos_embed.linear_2",
)  # fmt: skip
_ZEROED_IN_TIME: Final = ("to_out.0", "net.2")


def unet_config() -> dict[str, Any]:
    """The sketch UNet: the classes of the released one, with smaller numbers."""
    down = ("DownBlockSpatioTemporal",) + ("CrossAttnDownBlockSpatioTemporal",) * 2
    up = ("CrossAttnUpBlockSpatioTemporal",) * 2 + ("UpBlockSpatioTemporal",)
    return {
        "sample_size": _LATENT_SIZE,
        "in_channels": 2 * LATENT_CHANNELS,
        "out_channels": LATENT_CHANNELS,
        "block_out_channels": _CHANNELS,
        "down_block_types": down,
        "up_block_types": up,
        "layers_per_block": 1,
        "num_attention_heads": tuple(c // 32 for c in _CHANNELS),
        "cross_attention_dim": CONTEXT_CHANNELS,
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 96,
    }


def make_unet(*, seed: int) -> AudioUNet:
    """A new UNet whose residual branches start at zero.

    Its temporal layers change nothing at first, and have half a say as soon as they learn.
    """
    torch.manual_seed(seed)
    unet = AudioUNet(unet_config())
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if _starts_at_zero(name):
                parameter.zero_()
    return unet


def _starts_at_zero(name: str) -> bool:
    bare = name.removesuffix(".weight").removesuffix(".bias")
    in_time = "temporal_transformer_blocks" in name and bare.endswith(_ZEROED_IN_TIME)
    return in_time or bare.endswith(_ZEROED)


@dataclass(frozen=True)
class Samples:
    """What the UNet trains on: N people with F frames and their reference portrait."""

    latents: Tensor
    """N F+1 C H W, half precision; the reference is last."""
    mouths: Tensor
    """N F+1 2, in pixels."""
    boxes: Tensor
    """N 4, the face in the reference, in pixels."""
    rows: Tensor
    """N F, rows of `tokens`."""
    amplitudes: Tensor
    """N F 2."""
    tokens: Tensor
    """Rows K E; the last one is silence."""
    residual_scale: float


@dataclass(frozen=True, slots=True)
class Batch:
    """One training batch of windows."""

    y_BTCHW: Tensor
    reference_BCHW: Tensor
    audio_BTKE: Tensor
    ids_B3: Tensor
    mask_B1HW: Tensor
    weight_BTHW: Tensor


def draw_batch(
    samples: Samples, generator: torch.Generator, *, num_samples: int, num_frames: int
) -> Batch:
    """Windows of `num_frames` neighbouring frames, now and then without audio or portrait."""
    people = torch.randint(len(samples.latents), (num_samples, 1), generator=generator)
    last = samples.rows.shape[1] - num_frames
    first = torch.randint(last + 1, (num_samples, 1), generator=generator)
    frames = first + torch.arange(num_frames)
    reference = samples.latents[people[:, 0], -1].float()
    y = samples.latents[people, frames].float() - reference[:, None]
    deaf = torch.rand(num_samples, 1, generator=generator) < 0.10
    blind = torch.rand(num_samples, 1, 1, 1, generator=generator) < 0.03
    rows = torch.where(deaf, len(samples.tokens) - 1, samples.rows[people, frames])
    buckets = MAX_BUCKET * samples.amplitudes[people, frames].mean(1)
    fps = torch.full((num_samples, 1), float(MODEL_FPS))
    return Batch(
        y_BTCHW=y / samples.residual_scale,
        reference_BCHW=torch.where(blind, 0.0, reference),
        audio_BTKE=samples.tokens[rows].float(),
        ids_B3=torch.cat([fps, buckets], 1),
        mask_B1HW=face_masks(samples.boxes[people[:, 0]], generator),
        weight_BTHW=face_weight(samples.mouths[people, frames]),
    )


def face_masks(boxes_B4: Tensor, generator: torch.Generator) -> Tensor:
    """1 in the detected box times 1.1, whose place and size are a little uncertain: B 1 H W."""
    size = boxes_B4[:, 2:] - boxes_B4[:, :2]
    jitter = torch.randn(len(boxes_B4), 4, generator=generator)
    centre = (boxes_B4[:, :2] + boxes_B4[:, 2:]) / 2 + 0.03 * size * jitter[:, :2]
    half = size * MASK_AREA / 2 * (1 + 0.06 * jitter[:, 2:])
    axis = torch.arange(SIZE) + 0.5
    x = (axis - centre[:, :1]).abs() <= half[:, :1]
    y = (axis - centre[:, 1:]).abs() <= half[:, 1:]
    return (y[:, None, :, None] & x[:, None, None, :]).float()


def face_weight(mouths_BT2: Tensor) -> Tensor:
    """How much an error counts at each latent: most at the mouth, then the eyes."""
    axis = torch.arange(_LATENT_SIZE) * 8 + 3.5
    x = axis - mouths_BT2[..., 0, None, None]
    y = axis[:, None] - mouths_BT2[..., 1, None, None]
    mouth = torch.exp(-((x / 17) ** 2) - (y / 15) ** 2)
    eyes = torch.exp(-((x / 26) ** 2) - ((y + 31) / 11) ** 2)
    return 1 + 3 * mouth + 2 * eyes


def add_noise(
    y_BTCHW: Tensor, sigma_B: Tensor, generator: torch.Generator, *, shared: float
) -> tuple[Tensor, Tensor]:
    """Noisy y, and the v that gives y back: y = v * -s / sqrt(s^2 + 1) + noisy / (s^2 + 1).

    `shared` of the noise is common to the frames of a window (PYoCo, arXiv:2305.10474).
    """
    own = torch.randn(y_BTCHW.shape, generator=generator)
    common = torch.randn(y_BTCHW[:, :1].shape, generator=generator)
    s = sigma_B[:, None, None, None, None]
    noisy = y_BTCHW + s * (shared**0.5 * common + (1 - shared) ** 0.5 * own)
    v = (noisy / (s * s + 1) - y_BTCHW) * (s * s + 1).sqrt() / s
    return noisy, v


def draw_sigma(num: int, generator: torch.Generator, *, mean: float) -> Tensor:
    """Noise levels in units of the residual: log-normal."""
    return (mean + 1.2 * torch.randn(num, generator=generator)).exp().clamp(0.02, 20.0)


def predict(unet: AudioUNet, batch: Batch, noisy_BTCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """The UNet's v for a batch in which every sample has its own mask."""
    s = sigma_B[:, None, None, None, None]
    num_samples, num_frames = noisy_BTCHW.shape[:2]
    reference = batch.reference_BCHW[:, None].expand_as(noisy_BTCHW)
    sample = torch.cat([noisy_BTCHW / (s * s + 1).sqrt(), reference], 2)
    blank = torch.zeros(1, 1, CONTEXT_CHANNELS)
    context = unet._context
    context.set([blank] * num_samples, [*batch.audio_BTKE], batch.mask_B1HW[:1], num_frames)
    context._levels = {
        pixels: _level(batch.mask_B1HW, pixels).repeat_interleave(num_frames, 0)
        for pixels in _LEVELS
    }
    predicted: Tensor = unet.unet(
        sample,
        0.25 * sigma_B.log(),
        blank.expand(num_samples, 1, -1),
        batch.ids_B3,
        return_dict=False,
    )[0]
    return predicted


def _level(mask_B1HW: Tensor, pixels: int) -> Tensor:
    side = round(pixels**0.5)
    return F.interpolate(mask_B1HW, size=(side, side), mode="bicubic").flatten(1)[..., None]


def denoising_loss(
    unet: AudioUNet, samples: Samples, *, num_samples: int, num_frames: int, mean: float
) -> Loss:
    """Weighted squared error of v, on windows of `num_frames`."""

    def loss(generator: torch.Generator) -> Tensor:
        batch = draw_batch(samples, generator, num_samples=num_samples, num_frames=num_frames)
        sigma = draw_sigma(num_samples, generator, mean=mean)
        noisy, v = add_noise(batch.y_BTCHW, sigma, generator, shared=SHARED_NOISE)
        with torch.autocast("cpu", torch.bfloat16), float_attention():
            predicted = predict(unet, batch, noisy, sigma)
        error = (predicted.float() - v).square().mean(2)
        return (error * batch.weight_BTHW).mean()

    return loss


@contextmanager
def float_attention() -> Iterator[None]:
    """Attention in float32 inside autocast: on a CPU, bfloat16 attention is slower."""
    stock = F.scaled_dot_product_attention

    def attend(query: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            wide = stock(query.float(), key.float(), value.float(), *rest, **options)
        return wide.to(query.dtype)

    F.scaled_dot_product_attention = attend  # type: ignore[assignment]
    try:
        yield
    finally:
        F.scaled_dot_product_attention = stock


def is_temporal(name: str) -> bool:
    """True for parameters that only windows can train."""
    return any(part in name for part in _TEMPORAL)


def skip_time(unet: AudioUNet) -> None:
    """Make the UNet treat every frame alone: its temporal layers are left out."""
    for module in unet.modules():
        if isinstance(module, SpatioTemporalResBlock):
            module.forward = MethodType(_spatial_res, module)  # type: ignore[method-assign]
        if isinstance(module, TransformerSpatioTemporalModel):
            module.forward = MethodType(_spatial_attention, module)  # type: ignore[method-assign]


def _spatial_res(
    block: Any,
    hidden_states: Tensor,
    temb: Tensor | None = None,
    image_only_indicator: Any = None,
) -> Any:
    if temb is not None and temb.ndim == 3:
        temb = temb.flatten(0, 1)
    return block.spatial_res_block(hidden_states, temb)


def _spatial_attention(
    model: Any,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor | None = None,
    image_only_indicator: Any = None,
    return_dict: bool = True,
) -> Any:
    _, _, height, width = hidden_states.shape
    x = model.norm(hidden_states).permute(0, 2, 3, 1).flatten(1, 2)
    x = model.proj_in(x)
    for block in model.transformer_blocks:
        x = block(x, encoder_hidden_states=encoder_hidden_states)
    x = model.proj_out(x).unflatten(1, (height, width)).permute(0, 3, 1, 2) + hidden_states
    return TransformerTemporalModelOutput(sample=x) if return_dict else (x,)


def train_frames(
    samples: Samples, folder: Path, budget: Budget, *, seed: int, num_samples: int = 24
) -> AudioUNet:
    """Spatial layers on single frames; resumes from `folder`."""
    unet = make_unet(seed=seed)
    skip_time(unet)
    spatial = {k: p for k, p in unet.named_parameters() if not is_temporal(k)}
    trainer = Trainer([Group(spatial)], folder, Schedule(rate=1.5e-3), seed=seed)
    loss = denoising_loss(unet, samples, num_samples=num_samples, num_frames=1, mean=0.0)
    trainer.run(loss, budget)
    load_average(unet, folder)
    return unet


def train_windows(
    samples: Samples,
    frames_folder: Path,
    folder: Path,
    budget: Budget,
    *,
    seed: int,
    num_samples: int = 2,
    num_frames: int = 14,
) -> AudioUNet:
    """All layers on windows, starting from the single frames; resumes from `folder`."""
    unet = make_unet(seed=seed)
    load_average(unet, frames_folder)
    named = dict(unet.named_parameters())
    groups = [
        Group({k: p for k, p in named.items() if is_temporal(k)}),
        Group({k: p for k, p in named.items() if not is_temporal(k)}, gain=0.25),
    ]
    trainer = Trainer(groups, folder, Schedule(rate=1.5e-3), seed=seed)
    loss = denoising_loss(unet, samples, num_samples=num_samples, num_frames=num_frames, mean=0.3)
    trainer.run(loss, budget)
    load_average(unet, folder)
    return unet
