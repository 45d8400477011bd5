"""Count the operations of a preset's networks from their configurations; no weights are needed.

Networks are built on torch's meta device, where tensors have a shape and no content. Shape letters:
T frames of a window, C channels, H, W rows and columns, K audio tokens, D channels of the context.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedConfig

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.constants import CHUNK_TOKENS, MOTION_SPAN_TOKENS, SPEECH_SPAN_TOKENS
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.weights import weights_folder, weights_part
from sonic_ops.interpolation.rife import FlowNet
from sonic_ops.models.inventory import read_config
from sonic_ops.models.loading import PORTRAIT_DECODER, as_stored, build_from
from sonic_ops.models.released_sizes import RELEASED
from sonic_ops.picture.landmarks import NUM_LANDMARKS

LATENT: Final = 8
"""A side of the pixels that one latent stands for."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Floating point operations (a multiply-add is two), and numbers that are written and read.

    `largest` is the size of the largest tensor.
    """

    operations: float
    moved: float
    largest: int = 0

    def per(self, count: int) -> "Cost":
        """Share the cost among some equal parts."""
        return Cost(self.operations / count, self.moved / count, self.largest)


@dataclass(frozen=True, slots=True)
class NetworkCosts:
    """Costs of the networks of a preset, at the size that its networks read.

    `chunk` is one of 30 s of audio, `frame` its projection for a frame, `branch` a window of one
    guidance branch, `decode` a frame, `middle` an interpolated frame.
    """

    chunk: Cost
    portrait: Cost
    frame: Cost
    branch: Cost
    decode: Cost
    middle: Cost
    num_weights: Mapping[str, int]  # of every network that a worker holds
    latent_channels: int


@cache
def count_costs(config: VideoConfig, portrait: PortraitConfig, weights: str) -> NetworkCosts:
    """Count the costs of a preset; of the released sizes where its weights are not here."""
    networks = _Networks(weights)
    side = portrait.read_resolution // LATENT
    token, unet = networks.config("audio2token"), networks.config("unet")
    frames, depth = config.sampling.window_frames, unet["cross_attention_dim"]
    speech = networks.config("speech_encoder")
    channels, layers = speech["d_model"], speech["encoder_layers"] + 1
    latents = unet["out_channels"]

    def branch(network: Any) -> None:
        image, audio = [_meta(1, 1, depth)], [_meta(frames, token["context_tokens"], depth)]
        network(_meta(1, frames, 2 * latents, side, side), _meta(1), image, audio, _meta(1, 3))

    def project(network: Any) -> None:
        network(_meta(1, SPEECH_SPAN_TOKENS, layers, channels))

    def motion(network: Any) -> None:
        clip = networks.config("image_encoder")["projection_dim"]
        network(_meta(1, MOTION_SPAN_TOKENS, 1, channels), _meta(1, clip))

    return NetworkCosts(
        chunk=networks.cost(
            "speech_encoder", lambda encoder: encoder(_meta(1, 80, 2 * CHUNK_TOKENS))
        ),
        portrait=networks.cost(
            "vae", lambda vae: vae.encode(_meta(1, 3, LATENT * side, LATENT * side))
        ),
        frame=_sum(networks.cost("audio2token", project), networks.cost("audio2bucket", motion)),
        branch=networks.cost("unet", branch),
        decode=_decode_cost(networks, config, side, latents),
        middle=_middle_cost(config, portrait.resolution),
        num_weights=networks.num_weights,
        latent_channels=latents,
    )


def _decode_cost(networks: "_Networks", config: VideoConfig, side: int, latents: int) -> Cost:
    if networks.has(PORTRAIT_DECODER):

        def layers(decoder: Any) -> None:
            frame = _meta(1, latents, side, side)
            portrait = _meta(3, LATENT * side, LATENT * side)
            decoder(frame, decoder.refer(portrait, frame, _meta(NUM_LANDMARKS, 2)))

        return networks.cost(PORTRAIT_DECODER, layers)
    size = config.decoding.chunk_frames
    whole = size + 2 * config.decoding.context_frames

    def chunk(vae: Any) -> None:
        frames = _meta(whole, latents, side, side)
        has_time = type(vae).__name__ == "AutoencoderKLTemporalDecoder"
        vae.decode(frames, **({"num_frames": whole} if has_time else {}))

    return networks.cost("vae", chunk).per(size)


def _middle_cost(config: VideoConfig, side: int) -> Cost:
    if config.media.interpolation != "flow":
        return Cost(0, 0)
    with torch.device("meta"):
        flownet = FlowNet()
    return _cost_of(flownet, lambda net: net(_meta(1, 3, side, side), _meta(1, 3, side, side)))


class _Networks:
    """Builds networks without weights, each of them once."""

    def __init__(self, weights: str) -> None:
        try:
            self._folder: Path | None = weights_folder(weights)
        except ConfigError:
            self._folder = None
        self._built: dict[str, nn.Module] = {}

    @property
    def num_weights(self) -> dict[str, int]:
        """Weights of each network that was built."""
        return {
            part: sum(weight.numel() for weight in network.parameters())
            for part, network in self._built.items()
        }

    def has(self, part: str) -> bool:
        if self._folder is None:
            return part in RELEASED
        return (weights_part(self._folder, part) / "config.json").exists()

    def config(self, part: str) -> Mapping[str, Any]:
        """Return the whole configuration: files may leave out what is usual."""
        config: Any = as_stored(self._network(part)).config
        return dict(config.to_dict() if isinstance(config, PreTrainedConfig) else config)

    def cost(self, part: str, call: Callable[[Any], object]) -> Cost:
        return _cost_of(self._network(part), call)

    def _network(self, part: str) -> nn.Module:
        if part not in self._built:
            with torch.device("meta"):
                folder = self._folder
                known = RELEASED[part] if folder is None else read_config(folder, part)
                self._built[part] = build_from(part, known)
        return self._built[part]


class _Traffic(TorchDispatchMode):
    """Adds up the numbers that operations write, each of which is read once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moved = 0
        self.largest = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and not func.is_view:
            self.moved += 2 * out.numel()
            self.largest = max(self.largest, out.numel())
        return out


class _FusedAttention(TorchFunctionMode):
    """Counts attention as one operation, since a fused kernel keeps no matrix of all pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        given = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
        query, key, value = given["query"], given["key"], given["value"]
        self.operations += 2 * query.numel() * key.shape[-2]
        self.operations += 2 * query[..., 0].numel() * value.shape[-1] * value.shape[-2]
        return query.new_empty(*query.shape[:-1], value.shape[-1])


def _cost_of(network: nn.Module, call: Callable[[Any], object]) -> Cost:
    network = nn.Module.to(
        network, "meta"
    ).eval()  # some weights ignore the device they are made on
    counter, traffic, attention = FlopCounterMode(display=False), _Traffic(), _FusedAttention()
    with torch.no_grad(), counter, traffic, attention:
        call(network)
    num_weights = sum(math.prod(weight.shape) for weight in network.parameters())
    operations = counter.get_total_flops() + attention.operations
    return Cost(operations, traffic.moved + num_weights, traffic.largest)


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(
        one.operations + other.operations, one.moved + other.moved, max(one.largest, other.largest)
    )


def _meta(*shape: int) -> Tensor:
    return torch.zeros(shape, device="meta")
