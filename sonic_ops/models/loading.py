"""Loading of a weights folder in diffusers layout: one sub-folder per network, all safetensors.

unet/ vae/ image_encoder/ audio2token/ audio2bucket/ speech_encoder/ scheduler/ rife/
"""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import diffusers
import torch
from diffusers import EulerDiscreteScheduler
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder, sinusoids

from sonic_ops.config import ModelsConfig
from sonic_ops.errors import ConfigError
from sonic_ops.files import weights_folder
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.rife import FlowNet, load_flownet
from sonic_ops.models.temporal import fold_time
from sonic_ops.models.unet import AudioUNet

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Models:
    """The networks of one preset on one device."""

    unet: AudioUNet
    vae: Any
    image_encoder: CLIPVisionModelWithProjection
    audio2token: AudioToToken
    audio2bucket: AudioToBucket
    speech_encoder: WhisperEncoder
    scheduler: EulerDiscreteScheduler
    flownet: FlowNet
    device: str

    @property
    def latent_scale(self) -> float:
        return float(self.vae.config.scaling_factor)

    def encode_image(self, image_NCHW: Tensor) -> Tensor:
        """The mode of the latents of pictures in [-1, 1], not scaled, float32 on the CPU."""
        encoded = self.vae.encode(image_NCHW.to(self.vae.device, self.vae.dtype))
        latents: Tensor = (
            encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
        )
        return latents.float().cpu()

    def decode_latents(self, latents_FCHW: Tensor) -> Tensor:
        """Frames in [-1, 1], float32 on the CPU; frames of one call see each other."""
        latents = (latents_FCHW / self.latent_scale).to(self.vae.device, self.vae.dtype)
        decode = self.vae.decode
        timed = "num_frames" in inspect.signature(decode).parameters
        frames: Tensor = decode(latents, **({"num_frames": len(latents)} if timed else {})).sample
        return frames.float().cpu()

    def embed_image(self, pixels_NCHW: Tensor) -> Tensor:
        """The CLIP embedding of CLIP-normalised pictures: (N, E), float32 on the CPU."""
        encoder = self.image_encoder
        embeds: Tensor = encoder(pixels_NCHW.to(encoder.device, encoder.dtype)).image_embeds
        return embeds.float().cpu()


def load_models(config: ModelsConfig) -> Models:
    """Load every network, strictly. Raises ConfigError naming the part that does not fit."""
    folder = weights_folder(config.weights)
    half = getattr(torch, config.dtype)
    # Eight bits of mantissa are fewer than a picture shows.
    precise = torch.float32 if half == torch.bfloat16 else half
    unet = AudioUNet(_config(folder, "unet"))
    _fill(unet.unet, folder, "unet")
    autoencoder = getattr(diffusers, _config(folder, "vae")["_class_name"])
    vae = fold_time(autoencoder.from_config(_config(folder, "vae")))
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**_config(folder, "image_encoder")))
    whisper = WhisperEncoder(WhisperConfig(**_config(folder, "speech_encoder")))
    positions = sinusoids(*whisper.embed_positions.weight.shape)
    token = AudioToToken.from_config(_config(folder, "audio2token"))
    bucket = AudioToBucket.from_config(_config(folder, "audio2bucket"))
    device = config.device
    # The speech side stays in float32: it runs once, and its tokens decide the lips.
    return Models(
        unet=_ready(unet, device, half),
        vae=_ready(_fill(vae, folder, "vae"), device, precise),
        image_encoder=_ready(_fill(clip, folder, "image_encoder"), device, precise),
        audio2token=_ready(_fill(token, folder, "audio2token"), device),
        audio2bucket=_ready(_fill(bucket, folder, "audio2bucket"), device),
        speech_encoder=_ready(
            _fill(whisper, folder, "speech_encoder", {"embed_positions.weight": positions}), device
        ),
        scheduler=EulerDiscreteScheduler.from_config(_config(folder, "scheduler")),
        flownet=_ready(load_flownet(folder / "rife"), device),
        device=device,
    )


def _ready(network: Network, device: str, dtype: torch.dtype = torch.float32) -> Network:
    # The plain form: diffusers' own warns of precisions that these networks do not ask for.
    return nn.Module.to(network, device, dtype).eval()


def _config(folder: Path, part: str) -> dict[str, Any]:
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    path = folder / part / name
    if not path.exists():
        raise ConfigError(
            f"{part}/{name} is missing in {folder}", remedy="complete the weights folder"
        )
    return dict(json.loads(path.read_text()))


def _fill(
    module: Network, folder: Path, part: str, computed: Mapping[str, Tensor] | None = None
) -> Network:
    """Fill a network from a folder; `computed` are weights that files may leave out."""
    files = sorted((folder / part).glob("*.safetensors"))
    weights = dict(computed or {})
    weights |= {key: value.float() for file in files for key, value in load_file(file).items()}
    missing = sorted(module.state_dict().keys() - weights.keys())
    unknown = sorted(weights.keys() - module.state_dict().keys())
    if missing or unknown:
        raise ConfigError(
            f"{folder / part} does not fit: {len(missing)} weights are missing {missing[:3]}, "
            f"{len(unknown)} are unknown {unknown[:3]}",
            remedy="use weights that were made for this config.json",
        )
    module.load_state_dict(weights, strict=True)
    return module
