"""The released way of wiring the UNet, restated from its description: context per pixel.

Every spatial layer runs softmax over the one image token and projects the audio of every frame of
every branch; every temporal layer repeats the mean context for each pixel and projects each copy.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonic_ops.models.attention import AudioAttention, over_time, per_frame
from sonic_ops.models.temporal import TimeConv
from sonic_ops.models.unet import AudioUNet


class ReleasedAttention(AudioAttention):
    """The numbers of `AudioAttention` at the cost of the released code."""

    def _attend_in_frames(self, attn: Any, hidden_states: Tensor) -> Tensor:
        context, frames = self.context, self.context.num_frames
        image = per_frame(context.image, frames)
        audio = per_frame(context.audio, frames)
        query = attn.to_q(hidden_states)
        seen = _attention(query, attn.to_k(image), attn.to_v(image), attn.heads)
        heard = _attention(query, self.to_k_ip[0](audio), self.to_v_ip[0](audio), attn.heads)
        mask = context.mask_for(hidden_states.shape[1], heard)
        mixed = seen + (heard if mask is None else mask * heard)
        return attn.to_out[1](attn.to_out[0](mixed))  # type: ignore[no-any-return]

    def _attend_over_time(self, attn: Any, hidden_states: Tensor) -> Tensor:
        pixels = len(hidden_states) // len(self.context.audio)
        image = _per_pixel(over_time(self.context.image), pixels)
        audio = _per_pixel(over_time(self.context.audio), pixels)
        query = attn.to_q(hidden_states)
        seen = _attention(query, attn.to_k(image), attn.to_v(image), attn.heads)
        heard = _attention(query, self.to_k_ip[0](audio), self.to_v_ip[0](audio), attn.heads)
        return attn.to_out[1](attn.to_out[0](seen + heard))  # type: ignore[no-any-return]


def released_unet(ours: AudioUNet) -> AudioUNet:
    """The same weights, wired the released way."""
    other = AudioUNet(ours.unet.config)
    other.unet.load_state_dict(ours.unet.state_dict())
    for module in other.modules():
        if type(module) is AudioAttention:
            module.__class__ = ReleasedAttention
        if type(module) is TimeConv:
            module.__class__ = nn.Conv3d  # type: ignore[assignment]
    return other.eval()


def _per_pixel(branches: list[Tensor], pixels: int) -> Tensor:
    return torch.cat([branch.repeat(pixels, 1, 1) for branch in branches])


def _attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)
    )
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
