"""The files that the authors of Sonic publish, of any size, with random numbers in them.

Names, shapes, precisions and file formats are the released ones; the numbers say nothing.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    ModelMixin,
)
from safetensors.torch import save_file
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.unet import AudioUNet
from sonic_ops.released.sources import SOURCES, SVD, WHISPER
from tests import tiny
from tests.hub import Content, Hub

Configs = Mapping[str, dict[str, Any]]
TINY: Configs = {
    "unet": tiny.UNET,
    "vae": tiny.VAE,
    "image_encoder": tiny.CLIP,
    "speech_encoder": tiny.WHISPER
    | {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 64}
    | {"vocab_size": 100, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    | {"decoder_start_token_id": 1},
    "audio2token": {"channels": 32, "intermediate_dim": 32, "output_dim": 32},
    "audio2bucket": tiny.BUCKET,
}
"""The sizes of `tests/tiny.py`, but as many audio tokens as are released."""

_DAMPED = {"conv2.": 0.5, "to_out": 0.5, "out_proj": 0.5, "net.2": 0.5, "fc2.": 0.5}
_TIED = "proj_out.weight"  # the same numbers as the decoder's embedding, and in the file once
_BUFFER = (1 << 22) - 3  # an odd number: repeated parts do not line up with rows of a matrix


class Numbers:
    """Random numbers that are drawn once, since a billion of them would take minutes."""

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._drawn = torch.randn(_BUFFER, generator=generator)
        self._next = 0

    def weight(self, name: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Make a weight under which a signal neither grows nor vanishes, in memory of its own."""
        scale = 1 / math.sqrt(math.prod(shape[1:])) if len(shape) > 1 else 0.05
        shift = 1.0 if name.endswith("weight") and len(shape) == 1 else 0.0
        weight = torch.empty(shape, dtype=dtype)
        flat, done = weight.view(-1), 0
        while done < len(flat):
            part = self._drawn[self._next : self._next + len(flat) - done]
            flat[done : done + len(part)] = part * (scale * self._gain(name)) + shift
            done += len(part)
            self._next = (self._next + len(part)) % _BUFFER
        return weight

    @staticmethod
    def _gain(name: str) -> float:
        """Return less than one where a branch is added to what it is made from."""
        return min((gain for part, gain in _DAMPED.items() if part in name), default=1.0)


def write_released(folder: Path, configs: Configs) -> Path:
    """Write what the authors publish, laid out as they recommend."""
    numbers, half, single = Numbers(), torch.float16, torch.float32
    for part, name, dtype in (
        ("unet", "Sonic/unet.pth", half),
        ("audio2token", "Sonic/audio2token.pth", single),
        ("audio2bucket", "Sonic/audio2bucket.pth", single),
        ("vae", f"{SVD}/vae/diffusion_pytorch_model.safetensors", single),
        ("image_encoder", f"{SVD}/image_encoder/model.fp16.safetensors", half),
        ("speech_encoder", f"{WHISPER}/model.safetensors", single),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with torch.device("meta"):
            network = _network(part, configs[part])
        shapes = {k: v.shape for k, v in network.state_dict().items() if k != _TIED}
        weights = {name: numbers.weight(name, shape, dtype) for name, shape in shapes.items()}
        torch.save(weights, path) if path.suffix == ".pth" else save_file(weights, path)
        _write_config(network, folder / SVD / part if part == "unet" else path.parent)
    EulerDiscreteScheduler(**tiny.SCHEDULER).save_pretrained(folder / SVD / "scheduler")
    return folder


def _write_config(network: Any, folder: Path) -> None:
    """Write the configuration of a network as its library does; the adapters have none."""
    match network:
        case AudioToToken() | AudioToBucket():
            pass
        case ModelMixin():
            network.save_config(folder)
        case _:
            network.config.save_pretrained(folder)


def hub_of(released: Path) -> Hub:
    """Make a hub that has what `write_released` has written, and more than is needed."""
    repositories: dict[str, dict[str, Content]] = {}
    for source in SOURCES:
        files: dict[str, Content] = {n: released / source.folder / n for n in source.files}
        files["README.md"] = b"# Card\n"
        files["unused.safetensors"] = b"large and not needed"
        repositories[source.repository] = files
    return Hub(repositories)


def _network(part: str, config: dict[str, Any]) -> Any:
    """Build the network whose weights a released file holds, with the authors' own classes."""
    match part:
        case "unet":
            return AudioUNet(config).unet
        case "vae":
            return AutoencoderKLTemporalDecoder.from_config(config)
        case "image_encoder":
            return CLIPVisionModelWithProjection(CLIPVisionConfig(**config))
        case "speech_encoder":
            return WhisperForConditionalGeneration(WhisperConfig(**config))
        case "audio2token":
            return AudioToToken.from_config(config)
        case _:
            return AudioToBucket.from_config(config)
