"""Loading of a weights folder in diffusers layout: one sub-folder per network, all safetensors.

unet/ vae/ image_encoder/ audio2token/ audio2bucket/ speech_encoder/ scheduler/ rife/
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import diffusers
import torch
from diffusers import EulerDiscreteScheduler
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder, sinusoids

from sonic_ops.core.config import Interpolation, ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import weights_folder
from sonic_ops.interpolation.flow import Way
from sonic_ops.interpolation.rife import FlowNet, load_flownet
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.inventory import compare, read_config, shapes_of
from sonic_ops.models.parts import Parts
from sonic_ops.models.temporal import fold_time
from sonic_ops.models.unet import AudioUNet

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Models:
    """The networks of one preset; who asks for one has it on the device."""

    parts: Parts
    scheduler: EulerDiscreteScheduler
    device: str
    unet_dtype: torch.dtype
    latent_scale: float

    @property
    def unet(self) -> AudioUNet:
        return cast(AudioUNet, self.parts["unet"])

    @property
    def vae(self) -> Any:
        return self.parts["vae"]

    @property
    def image_encoder(self) -> CLIPVisionModelWithProjection:
        return cast(CLIPVisionModelWithProjection, self.parts["image_encoder"])

    @property
    def audio2token(self) -> AudioToToken:
        return cast(AudioToToken, self.parts["audio2token"])

    @property
    def audio2bucket(self) -> AudioToBucket:
        return cast(AudioToBucket, self.parts["audio2bucket"])

    @property
    def speech_encoder(self) -> WhisperEncoder:
        return cast(WhisperEncoder, self.parts["speech_encoder"])

    @property
    def flownet(self) -> FlowNet:
        return cast(FlowNet, self.parts["flownet"])

    def between(self, interpolation: Interpolation) -> Way:
        """What makes the pictures between two frames."""
        return self.flownet if interpolation == "flow" else interpolation

    @property
    def latent_channels(self) -> int:
        return int(self.unet.unet.config.out_channels)

    def encode_image(self, image_NCHW: Tensor) -> Tensor:
        """The mode of the latents of pictures in [-1, 1], not scaled, float32 on the CPU."""
        vae = self.vae
        encoded = vae.encode(image_NCHW.to(vae.device, vae.dtype))
        latents: Tensor = (
            encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
        )
        return latents.float().cpu()

    def decode_latents(self, latents_FCHW: Tensor) -> Tensor:
        """Frames in [-1, 1], float32 on the CPU; frames of one call see each other."""
        vae = self.vae
        latents = (latents_FCHW / self.latent_scale).to(vae.device, vae.dtype)
        decode = vae.decode
        timed = "num_frames" in inspect.signature(decode).parameters
        frames: Tensor = decode(latents, **({"num_frames": len(latents)} if timed else {})).sample
        return frames.float().cpu()

    def embed_image(self, pixels_NCHW: Tensor) -> Tensor:
        """The CLIP embedding of CLIP-normalised pictures: (N, E), float32 on the CPU."""
        encoder = self.image_encoder
        embeds: Tensor = encoder(pixels_NCHW.to(encoder.device, encoder.dtype)).image_embeds
        return embeds.float().cpu()


def load_models(config: ModelsConfig) -> Models:
    """Load every network, strictly. Raises ConfigError naming what does not fit."""
    require_device(config.device)
    folder = weights_folder(config.weights)
    half = getattr(torch, config.dtype)
    # Eight bits of mantissa are fewer than a picture shows.
    precise = torch.float32 if half == torch.bfloat16 else half
    coarse = torch.bfloat16 if half == torch.bfloat16 else torch.float32
    offload = config.offload == "parts"
    place = "cpu" if offload else config.device

    def loaded(part: str, dtype: torch.dtype = torch.float32) -> Any:
        return _ready(_fill(build_network(folder, part), folder, part), place, dtype)

    # The speech side stays in float32: it runs once, and its tokens decide the lips.
    networks = {
        "unet": loaded("unet", half),
        "vae": loaded("vae", getattr(torch, config.vae_dtype) if config.vae_dtype else precise),
        "image_encoder": loaded("image_encoder", precise),
        "audio2token": loaded("audio2token"),
        "audio2bucket": loaded("audio2bucket"),
        "speech_encoder": loaded("speech_encoder"),
        "flownet": _ready(
            load_flownet(folder / "rife"),
            place,
            getattr(torch, config.flow_dtype) if config.flow_dtype else coarse,
        ),
    }
    return Models(
        parts=Parts(networks, config.device, offload=offload),
        scheduler=EulerDiscreteScheduler.from_config(read_config(folder, "scheduler")),
        device=config.device,
        unet_dtype=half,
        latent_scale=float(networks["vae"].config.scaling_factor),
    )


def require_device(device: str) -> None:
    """Raises ConfigError if torch cannot use the device, so that nobody tries again."""
    if device != "cpu" and not torch.cuda.is_available():
        raise ConfigError(
            f"torch {torch.__version__} cannot use the device {device} of the preset here",
            remedy="Install the CUDA build of torch on a machine with a driver, or set "
            "models.device: cpu.",
        )


def build_network(folder: Path, part: str) -> nn.Module:
    """A network as `part/config.json` describes it, not filled yet. Raises ConfigError."""
    config = read_config(folder, part)
    try:
        return _build(part, config)
    # A wrong value may fail anywhere inside the libraries that build the networks.
    except (ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError) as error:
        raise ConfigError(
            f"{part}/config.json in {folder} describes no network ({error})",
            remedy="Fetch or convert the weights again.",
        ) from error


def computed_weights(network: nn.Module) -> dict[str, Tensor]:
    """Weights that files may leave out, since they follow from the configuration."""
    if isinstance(network, WhisperEncoder):
        shape = network.embed_positions.weight.shape
        return {"embed_positions.weight": sinusoids(*shape)}
    return {}


def as_stored(network: nn.Module) -> nn.Module:
    """The module whose names of weights are those of the files."""
    return network.unet if isinstance(network, AudioUNet) else network


def processor_of(device: str) -> str:
    """What decides the last bits of a sum: the GPU, or the instructions that the CPU has."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.backends.cpu.get_cpu_capability() if kind == "cpu" else kind


def _build(part: str, config: dict[str, Any]) -> nn.Module:
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
        case _:
            network = AudioToBucket.from_config(config)
    return network


def _ready(network: Network, device: str, dtype: torch.dtype = torch.float32) -> Network:
    # The plain form: diffusers' own warns of precisions that these networks do not ask for.
    return nn.Module.to(network, device, dtype).eval()


def _fill(module: Network, folder: Path, part: str) -> Network:
    """Fill a network from all safetensors files of a part."""
    files = sorted((folder / part).glob("*.safetensors"))
    stored = as_stored(module)
    weights = computed_weights(module)
    weights |= {key: value.float() for file in files for key, value in load_file(file).items()}
    if difference := compare(shapes_of(stored), shapes_of(weights)):
        raise ConfigError(
            f"{folder / part} does not fit: {difference}",
            remedy="Use weights that were made for this config.json.",
        )
    stored.load_state_dict(weights, strict=True)
    return module
