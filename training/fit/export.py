"""The trained model in diffusers layout, half precision, ready for the renderer's loader."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderDC, EulerDiscreteScheduler
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from sonic_ops.core.weights import CHANGES
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.unet import AudioUNet
from training.fit.audio_head import CONTEXT_CHANNELS
from training.fit.unet_stage import unet_config

SIGMA_MIN, SIGMA_MAX = 0.02, 20.0
_WEIGHTS: Final = "diffusion_pytorch_model.safetensors"


def export_model(
    target: Path,
    *,
    unet: AudioUNet,
    vae: AutoencoderDC,
    token_head: AudioToToken,
    bucket_head: AudioToBucket,
    speech_encoder: Path,
) -> None:
    """Write every part that this project trains, and a copy of the speech encoder."""
    _write(
        target / "unet",
        unet.unet,
        {"_class_name": "UNetSpatioTemporalConditionModel", **unet_config()},
    )
    _write(target / "vae", vae, _config_of(vae))
    _write(target / "audio2token", token_head, _config_of(token_head))
    _write(target / "audio2bucket", bucket_head, _config_of(bucket_head))
    encoder = blank_image_encoder()
    _write(target / "image_encoder", encoder, encoder.config.to_dict(), name="model.safetensors")
    scheduler = EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        prediction_type="v_prediction", use_karras_sigmas=True, timestep_type="continuous",
        timestep_spacing="leading", steps_offset=1, interpolation_type="linear",
        sigma_min=SIGMA_MIN, sigma_max=SIGMA_MAX,
    )  # fmt: skip
    scheduler.save_pretrained(target / "scheduler")
    (target / "speech_encoder").mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(speech_encoder / name, target / "speech_encoder" / name)


def blank_image_encoder() -> CLIPVisionModelWithProjection:
    """Write a small image encoder that says nothing: projection and embedding are zero."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1,
        image_size=224, patch_size=56, projection_dim=CONTEXT_CHANNELS,
    )  # fmt: skip
    encoder = CLIPVisionModelWithProjection(config)
    nn.init.zeros_(encoder.visual_projection.weight)
    return encoder


def write_part(target: Path, module: Any) -> None:
    """Write one network of diffusers with its configuration, in half precision."""
    _write(target, module, _config_of(module))


def write_changes(target: Path, module: nn.Module, base: nn.Module) -> None:
    """Write the weights in which a network differs from that of its base, in half precision."""
    before = _stored(base)
    state = {k: v for k, v in _stored(module).items() if not torch.equal(v, before[k])}
    target.mkdir(parents=True, exist_ok=True)
    save_file(state, target / CHANGES, metadata={"format": "pt"})


def _config_of(module: Any) -> dict[str, Any]:
    kept = {key: value for key, value in module.config.items() if not key.startswith("_")}
    return {"_class_name": type(module).__name__, **kept}


def _write(
    target: Path, module: nn.Module, config: dict[str, Any], *, name: str = _WEIGHTS
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    (target / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file(_stored(module), target / name, metadata={"format": "pt"})


def _stored(module: nn.Module) -> dict[str, Tensor]:
    return {
        key: value.detach().half().contiguous() if value.is_floating_point() else value
        for key, value in module.state_dict().items()
    }
