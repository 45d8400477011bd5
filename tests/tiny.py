"""A whole weights folder of tiny random networks: every class is the real one."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.core.weights import PACKAGE_WEIGHTS
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.portrait_decoder import PortraitDecoder
from sonic_ops.models.unet import AudioUNet
from tests.parity import recipe

SEED = 7
DAMPED = [["conv2.", 0.5], ["to_out", 0.7], ["ff.net.2", 0.5], ["ff_in.net.2", 0.5]]
UNET: dict[str, Any] = {
    "in_channels": 8,
    "out_channels": 4,
    "down_block_types": ["CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"],
    "up_block_types": ["UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"],
    "block_out_channels": [32, 64],
    "num_attention_heads": [2, 4],
    "cross_attention_dim": 32,
    "layers_per_block": 1,
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
}
VAE: dict[str, Any] = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "block_out_channels": [32, 32, 32, 32],
    "layers_per_block": 1,
    "latent_channels": 4,
}
CLIP = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "patch_size": 32,
    "projection_dim": 32,
}
WHISPER = {
    "d_model": 32,
    "encoder_layers": 4,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "num_mel_bins": 80,
}
TOKEN = {"channels": 32, "intermediate_dim": 32, "output_dim": 32, "context_tokens": 4}
BUCKET = {"channels": 32, "clip_channels": 32, "intermediate_dim": 32}
PORTRAIT_DECODER: dict[str, Any] = {
    "latent_channels": 4,
    "pose_channels": 5,
    "reader_channels": 4,
    "rig_sizes": (3, 4, 6),
    "portrait_channels": (4, 6, 8),
    "channels": (8, 8, 8, 6, 4),
    "smoothing": (0.0, 1.0, 2.0, 0.0, 1.0),
}
SCHEDULER = {
    "prediction_type": "v_prediction",
    "use_karras_sigmas": True,
    "sigma_min": 0.002,
    "sigma_max": 700.0,
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "steps_offset": 1,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """The configuration of each network."""

    unet: dict[str, Any]
    vae: dict[str, Any]
    clip: dict[str, Any]
    whisper: dict[str, Any]
    token: dict[str, Any]
    bucket: dict[str, Any]


TINY = Sizes(UNET, VAE, CLIP, WHISPER, TOKEN, BUCKET)


def make_tiny_weights(
    folder: Path, *, scheduler: dict[str, Any] | None = None, sizes: Sizes = TINY
) -> Path:
    """Write a folder that `load_models` takes; the same bytes every time."""
    unet = AudioUNet(sizes.unet).unet
    _write(unet, folder / "unet", dict(unet.config), DAMPED)
    vae = AutoencoderKLTemporalDecoder(**sizes.vae)
    _write(vae, folder / "vae", dict(vae.config))
    clip_config = CLIPVisionConfig(**sizes.clip)
    clip = CLIPVisionModelWithProjection(clip_config)
    _write(clip, folder / "image_encoder", clip_config.to_dict())
    whisper_config = WhisperConfig(**sizes.whisper)
    _write(WhisperEncoder(whisper_config), folder / "speech_encoder", whisper_config.to_dict())
    token, bucket = AudioToToken(**sizes.token), AudioToBucket(**sizes.bucket)
    _write(token, folder / "audio2token", dict(token.config))
    _write(bucket, folder / "audio2bucket", dict(bucket.config))
    EulerDiscreteScheduler(**(scheduler or SCHEDULER)).save_pretrained(folder / "scheduler")
    shutil.copytree(PACKAGE_WEIGHTS / "rife", folder / "rife", dirs_exist_ok=True)
    return folder


def add_portrait_decoder(folder: Path) -> Path:
    """Give a folder of `make_tiny_weights` a decoder that is given the portrait."""
    decoder = PortraitDecoder(**PORTRAIT_DECODER)
    _write(decoder, folder / "portrait_decoder", dict(decoder.config))
    return folder


def _write(
    module: nn.Module,
    folder: Path,
    config: dict[str, Any],
    overrides: list[list[Any]] | None = None,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    recipe.fill_(module, SEED, overrides or ())
    config = {"_class_name": type(module).__name__} | config
    config.pop("_use_default_values", None)  # a set, in another order in every process
    (folder / "config.json").write_text(json.dumps(config, default=str))
    weights = {k: v.contiguous() for k, v in module.state_dict().items()}
    save_file(weights, folder / "diffusion_pytorch_model.safetensors")
