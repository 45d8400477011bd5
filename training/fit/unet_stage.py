"""The UNet: single frames of many people first (spatial layers alone), then windows of frames."""

from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any, Final

import torch
from diffusers.models.resnet import SpatioTemporalResBlock
from diffusers.models.transformers.transformer_temporal import (
    TransformerSpatioTemporalModel,
    TransformerTemporalModelOutput,
)
from torch import Tensor

from sonic_ops.models.unet import AudioUNet
from training.fit.audio_head import CONTEXT_CHANNELS
from training.fit.autoencoder import LATENT_CHANNELS
from training.fit.device import batch_size, training_device
from training.fit.diffusion import LATENT_SIZE, Feed, denoising_loss
from training.fit.loop import Budget, Group, Schedule, Trainer, load_average

_CHANNELS: Final = (64, 96, 128)
_TEMPORAL: Final = ("temporal", "mix_factor", "time_pos")
_ZEROED: Final = (
    "spatial_res_block.conv2", "temporal_res_block.conv2", "proj_out", "conv_out", "mix_factor",
    "time_pos_embed.linear_2",
)  # fmt: skip
_ZEROED_IN_TIME: Final = ("to_out.0", "net.2")


def unet_config() -> dict[str, Any]:
    """Return the sketch UNet: the classes of the released one, with smaller numbers."""
    down = ("DownBlockSpatioTemporal",) + ("CrossAttnDownBlockSpatioTemporal",) * 2
    up = ("CrossAttnUpBlockSpatioTemporal",) * 2 + ("UpBlockSpatioTemporal",)
    return {
        "sample_size": LATENT_SIZE,
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
    """Return a new UNet whose residual branches start at zero.

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


def is_temporal(name: str) -> bool:
    """Tell whether only windows can train a parameter."""
    return any(part in name for part in _TEMPORAL)


def skip_time(unet: AudioUNet) -> None:
    """Make the UNet treat every frame alone: its temporal layers are left out."""
    for module in unet.modules():
        if isinstance(module, SpatioTemporalResBlock):
            module.forward = MethodType(_spatial_res, module)
        if isinstance(module, TransformerSpatioTemporalModel):
            module.forward = MethodType(_spatial_attention, module)


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


@dataclass(frozen=True, slots=True)
class Windows:
    """How windows are trained: their number per step and process on a CPU, and their frames."""

    per_step: int = 2
    frames: int = 25
    rate: float = 1.5e-3
    shared_noise: tuple[float, float] = (0.5, 0.9)
    """Each window's share is drawn between these."""
    guidance: float = 1.0
    frozen: tuple[str, ...] = ()
    """Layers whose names have one of these in them stay as they are."""

    def learns(self, name: str) -> bool:
        """Tell whether a parameter is trained."""
        return not any(part in name for part in self.frozen)


def train_frames(
    feed: Feed, start: AudioUNet, folder: Path, budget: Budget, *, seed: int, per_step: int = 24
) -> AudioUNet:
    """Spatial layers of `start` on single frames; resumes from `folder`."""
    device = training_device()
    unet = start.to(device)
    skip_time(unet)
    spatial = {k: p for k, p in unet.named_parameters() if not is_temporal(k)}
    trainer = Trainer([Group(spatial)], folder, Schedule(rate=1.5e-3), seed=seed)
    num_samples = batch_size(per_step, device)
    trainer.run(denoising_loss(unet, feed, num_samples=num_samples, num_frames=1, mean=0.0), budget)
    load_average(unet, folder)
    moved: AudioUNet = unet.cpu()
    return moved


def train_windows(
    feed: Feed,
    start: AudioUNet,
    folder: Path,
    budget: Budget,
    *,
    seed: int,
    windows: Windows,
) -> AudioUNet:
    """Train all layers of `start` on windows, the spatial ones slower; resume from `folder`."""
    device = training_device()
    unet = start.to(device)
    named = {k: p for k, p in unet.named_parameters() if windows.learns(k)}
    groups = [
        Group({k: p for k, p in named.items() if is_temporal(k)}),
        Group({k: p for k, p in named.items() if not is_temporal(k)}, gain=0.5),
    ]
    trainer = Trainer(groups, folder, Schedule(rate=windows.rate), seed=seed)
    loss = denoising_loss(
        unet,
        feed,
        num_samples=batch_size(windows.per_step, device),
        num_frames=windows.frames,
        mean=0.3,
        shared_noise=windows.shared_noise,
        guidance=windows.guidance,
    )
    trainer.run(loss, budget)
    load_average(unet, folder)
    moved: AudioUNet = unet.cpu()
    return moved
