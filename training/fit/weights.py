"""Weights that training goes on from: networks in diffusers layout."""

from pathlib import Path
from typing import Final, TypeVar

import torch
from diffusers import AutoencoderDC
from safetensors.torch import load_file
from torch import nn

from sonic_ops.core.weights import weights_base, weights_files, weights_part
from sonic_ops.models.unet import AudioUNet
from training.fit.autoencoder import make_autoencoder
from training.fit.unet_stage import make_unet

Network = TypeVar("Network", bound=nn.Module)

_SCALE: Final = "residual_scale.txt"
"""What the latents of a model were divided by. No JSON: a preset says it to the renderer, so it has
no part in the hash of the weights."""


def fill(network: Network, folder: Path, part: str) -> Network:
    """Fill a network with a part of some weights, strictly, in float32."""
    state = {
        name: value.float()
        for file in weights_files(folder, part)
        for name, value in load_file(file).items()
    }
    network.load_state_dict(state, strict=True)
    return network


def start_unet(start: Path | None) -> AudioUNet:
    """Return a new UNet, or that of the weights that training goes on from."""
    unet = make_unet(seed=5)
    if start:
        fill(unet.unet, start, "unet")
    return unet


def start_autoencoder(start: Path | None) -> AutoencoderDC:
    """Make an autoencoder from a fixed seed, or load the one that training goes on from."""
    if start:
        return load_autoencoder(weights_part(start, "vae"))
    torch.manual_seed(1)
    return make_autoencoder()


def start_scale(start: Path | None) -> float | None:
    """Return the scale that the UNet to go on from has learnt with; None if it does not say."""
    if start is None:
        return None
    places = (start, weights_base(start) or start)
    return next((float((p / _SCALE).read_text()) for p in places if (p / _SCALE).exists()), None)


def write_scale(target: Path, scale: float | None) -> None:
    """Say in a folder of weights what scale its UNet has learnt with."""
    if scale is not None:
        (target / _SCALE).write_text(f"{scale}\n")


def load_autoencoder(folder: Path) -> AutoencoderDC:
    """Return an autoencoder in float32."""
    vae: AutoencoderDC = AutoencoderDC.from_pretrained(
        folder, torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    return vae.to(memory_format=torch.channels_last)
