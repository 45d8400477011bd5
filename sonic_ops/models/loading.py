"""Loading of a weights folder in diffusers layout: one sub-folder per network, all safetensors.

unet/ vae/ image_encoder/ audio2token/ audio2bucket/ speech_encoder/ scheduler/ rife/, and
portrait_decoder/ in weights whose decoder is given the portrait
"""

from pathlib import Path
from typing import Any

import diffusers
import torch
from accelerate import init_empty_weights
from diffusers import EulerDiscreteScheduler
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder, sinusoids

from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.weights import weights_files, weights_folder, weights_part
from sonic_ops.interpolation.rife import load_flownet
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.inventory import compare, read_config, read_weights, shapes_of
from sonic_ops.models.portrait_decoder import PortraitDecoder
from sonic_ops.models.temporal import fold_time
from sonic_ops.models.unet import AudioUNet

PORTRAIT_DECODER = "portrait_decoder"


def load_networks(config: ModelsConfig) -> dict[str, Any]:
    """Load every network strictly, on the CPU, and the scheduler. Raises ConfigError."""
    folder, dtypes = weights_folder(config.weights), precisions(config)
    flow_dtype = dtypes.pop("flownet")
    decoder_dtype = dtypes.pop(PORTRAIT_DECODER)
    networks: dict[str, Any] = {
        part: _loaded(folder, part, dtype) for part, dtype in dtypes.items()
    }
    networks["flownet"] = load_flownet(weights_part(folder, "rife"), flow_dtype)
    networks["scheduler"] = EulerDiscreteScheduler.from_config(read_config(folder, "scheduler"))
    if (weights_part(folder, PORTRAIT_DECODER) / "config.json").is_file():
        decoder = _loaded(folder, PORTRAIT_DECODER, decoder_dtype)
        networks[PORTRAIT_DECODER] = decoder.to(memory_format=torch.channels_last)
    return networks


def precisions(config: ModelsConfig) -> dict[str, torch.dtype]:
    """Return the precision in which each network computes."""
    half = getattr(torch, config.dtype)
    # Eight bits of mantissa are fewer than an image shows.
    precise = torch.float32 if half == torch.bfloat16 else half
    coarse = torch.bfloat16 if half == torch.bfloat16 else torch.float32
    vae = getattr(torch, config.vae_dtype) if config.vae_dtype else precise
    # The speech side stays in float32: it runs once, and its tokens decide the lips.
    speech = dict.fromkeys(("audio2token", "audio2bucket", "speech_encoder"), torch.float32)
    return {
        "unet": half,
        "vae": vae,
        "image_encoder": precise,
        **speech,
        "flownet": getattr(torch, config.flow_dtype) if config.flow_dtype else coarse,
        PORTRAIT_DECODER: vae,
    }


def require_device(device: str) -> None:
    """Raise ConfigError if torch cannot use the device; a retry would not help."""
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(
            f"torch {torch.__version__} cannot use the device {device} of the preset here",
            remedy="Install the CUDA build of torch on a machine with a driver, or set "
            "models.device: cpu.",
        )


def build_network(folder: Path, part: str) -> nn.Module:
    """Build an empty network from `part/config.json`. Raises ConfigError."""
    config = read_config(folder, part)
    try:
        return build_from(part, config)
    # A wrong value may fail anywhere inside the libraries that build the networks.
    # A size beyond all memory is a RuntimeError, and one beyond all numbers an OverflowError.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise ConfigError(
            f"{part}/config.json in {folder} does not describe a network ({error})",
            remedy="Fetch or convert the weights again.",
        ) from error


def computed_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return weights that files may leave out, since they follow from the configuration."""
    if isinstance(network, WhisperEncoder):
        shape = network.embed_positions.weight.shape
        return {"embed_positions.weight": sinusoids(*shape)}
    return {}


def as_stored(network: nn.Module) -> nn.Module:
    """Return the module whose names of weights are those of the files."""
    return network.unet if isinstance(network, AudioUNet) else network


def processor_of(device: str) -> str:
    """Name what decides the last bits of a sum: the GPU, or the CPU's instruction set."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() if kind == "cpu" else kind


def build_from(part: str, config: dict[str, Any]) -> nn.Module:
    """Build an empty network from its configuration."""
    network: nn.Module
    match part:
        case "unet":
            network = AudioUNet(config)
        case "vae":
            network = fold_time(getattr(diffusers, config["_class_name"]).from_config(config))
        case "image_encoder":
            network = CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
        case "speech_encoder":
            network = WhisperEncoder(WhisperConfig(**config))
        case "audio2token":
            network = AudioToToken.from_config(config)
        case _ if part == PORTRAIT_DECODER:
            network = PortraitDecoder.from_config(config)
        case _:
            network = AudioToBucket.from_config(config)
    return network


def _loaded(folder: Path, part: str, dtype: torch.dtype) -> Any:
    """Build a network around its weights: none are drawn first, and none are held twice."""
    with init_empty_weights():
        network = build_network(folder, part)
    stored = as_stored(network)
    weights = computed_weights(network)
    weights |= read_weights(weights_files(folder, part), dtype)
    if difference := compare(shapes_of(stored), shapes_of(weights)):
        raise ConfigError(
            f"{folder / part} does not fit: {difference}",
            remedy="Use weights made for this config.json.",
        )
    stored.load_state_dict(weights, strict=True, assign=True)
    # The plain form: diffusers' own warns of precisions that these networks do not ask for.
    return nn.Module.to(network, dtype=dtype).eval()
