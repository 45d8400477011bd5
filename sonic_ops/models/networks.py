"""The networks of one weights folder, and the steps that need a single one of them.

Shape letters: N images, F frames, C channels, H, W rows and columns, E channels of an embedding.
"""

import inspect
from typing import Any

import torch
from diffusers import DiffusionPipeline, EulerDiscreteScheduler
from torch import Tensor
from transformers import CLIPVisionModelWithProjection
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.core.config import Interpolation, ModelsConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.interpolation.flow import Interpolator
from sonic_ops.interpolation.layers import Layers
from sonic_ops.interpolation.rife import FlowNet
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.models.portrait_decoder import PortraitDecoder, Reference, frames_of
from sonic_ops.models.unet import AudioUNet
from sonic_ops.picture.portrait import Portrait

_ALL = slice(None)


class SonicNetworks(DiffusionPipeline):
    """Hold the networks and the scheduler of Sonic as a pipeline of diffusers does."""

    _optional_components = ["portrait_decoder"]  # noqa: RUF012 - diffusers reads a list

    model_cpu_offload_seq = (
        "speech_encoder->audio2token->audio2bucket->image_encoder->vae->unet->flownet"
    )

    def __init__(
        self,
        unet: AudioUNet,
        vae: Any,
        image_encoder: CLIPVisionModelWithProjection,
        audio2token: AudioToToken,
        audio2bucket: AudioToBucket,
        speech_encoder: WhisperEncoder,
        flownet: FlowNet,
        scheduler: EulerDiscreteScheduler,
        portrait_decoder: PortraitDecoder | None = None,
    ) -> None:
        super().__init__()
        if portrait_decoder is not None:
            order = self.model_cpu_offload_seq
            self.model_cpu_offload_seq = order.replace("->unet", "->portrait_decoder->unet")
        self.register_modules(
            unet=unet,
            vae=vae,
            image_encoder=image_encoder,
            audio2token=audio2token,
            audio2bucket=audio2bucket,
            speech_encoder=speech_encoder,
            flownet=flownet,
            scheduler=scheduler,
            portrait_decoder=portrait_decoder,
        )

    @property
    def compute_device(self) -> torch.device:
        """Name the device that networks run on, also while they wait in the memory of the CPU."""
        return torch.device(self._execution_device)

    @property
    def unet_dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.unet.unet.dtype
        return dtype

    @property
    def latent_scale(self) -> float:
        return float(self.vae.config.scaling_factor)

    @property
    def latent_channels(self) -> int:
        return int(self.unet.unet.config.out_channels)

    def interpolator(self, interpolation: Interpolation) -> Interpolator:
        """Choose the interpolator between two frames."""
        flownet: FlowNet = self.flownet
        return flownet if interpolation == "flow" else interpolation

    def encode_image(self, image_NCHW: Tensor) -> Tensor:
        """Encode images in [-1, 1]: the mode of their latents, unscaled, float32 on the CPU."""
        encoded = self.vae.encode(image_NCHW.to(self.compute_device, self.vae.dtype))
        latents: Tensor = (
            encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
        )
        return latents.float().cpu()

    def encode_reference(self, portrait: Portrait) -> Reference | None:
        """Read what the decoder must know of the portrait; None if it asks for nothing.

        Raises ConfigError if the portrait is to be shown larger than these networks can.
        """
        decoder: PortraitDecoder | None = self.portrait_decoder
        if decoder is None:
            if portrait.larger_CHW is not None:
                raise _not_given_the_portrait("portrait.model_resolution")
            return None
        latents = self.encode_image(portrait.image_CHW[None])
        device = self.compute_device
        image, landmarks = portrait.shown_image.to(device), portrait.landmarks.to(device)
        reference: Reference = decoder.refer(image, latents.to(device), landmarks)
        return reference

    def decode_layers(
        self,
        latents_FCHW: Tensor,
        wanted: slice = _ALL,
        *,
        reference: Reference | None,
    ) -> Layers:
        """Decode the frames that are wanted to layers over their portrait. Raises ConfigError.

        Poses are smoothed over all frames that are given.
        """
        if reference is None:
            raise _not_given_the_portrait("media.interpolation: layers")
        latents = (latents_FCHW / self.latent_scale).to(self.compute_device)
        layers: Layers = self.portrait_decoder.decode(latents, reference, wanted)
        return layers

    def decode_latents(
        self,
        latents_FCHW: Tensor,
        wanted: slice = _ALL,
        *,
        reference: Reference | None = None,
    ) -> Tensor:
        """Decode the frames that are wanted to [-1, 1], float32 on the CPU.

        Frames of one call see each other.
        """
        if reference is not None:
            layers = self.decode_layers(latents_FCHW, wanted, reference=reference)
            return frames_of(layers, reference)
        latents = (latents_FCHW / self.latent_scale).to(self.compute_device, self.vae.dtype)
        decode = self.vae.decode
        timed = "num_frames" in inspect.signature(decode).parameters
        frames: Tensor = decode(latents, **({"num_frames": len(latents)} if timed else {})).sample
        return frames[wanted].float().cpu()

    def embed_image(self, pixels_NCHW: Tensor) -> Tensor:
        """Embed CLIP-normalised images: (N, E), float32 on the CPU."""
        encoder = self.image_encoder
        embeds: Tensor = encoder(pixels_NCHW.to(self.compute_device, encoder.dtype)).image_embeds
        return embeds.float().cpu()


def _not_given_the_portrait(key: str) -> ConfigError:
    return ConfigError(
        f"The decoder of these weights is not given the portrait, as {key} asks for",
        remedy=f"Remove {key} from the preset, or use weights with a portrait_decoder, such as "
        "package:lite.",
    )


def place_networks(networks: SonicNetworks, config: ModelsConfig) -> None:
    """Put the networks on their device, or keep them in the memory of the CPU until they run."""
    if config.offload == "parts":
        networks.enable_model_cpu_offload(device=config.device)
    else:
        for network in networks.components.values():
            if isinstance(network, torch.nn.Module):
                torch.nn.Module.to(network, config.device)
