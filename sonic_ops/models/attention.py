"""Audio attention: every second cross-attention of the UNet also attends to audio tokens.

Shape letters: B guidance branches, T frames of a window, Q pixels of a level, C channels of a
level, K context tokens, D channels of the context, H, W rows and columns of the face mask.

Source: Sonic (arXiv:2411.16331), audio cross-attention of the released weights.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor, nn


def mask_at_level(mask_11HW: Tensor, num_pixels: int) -> Tensor:
    """Scale the face mask to a level of `num_pixels`: (1, 1, H, W) -> (Q,), bicubic.

    A level knows its number of pixels and not its sides, so these are guessed from the ratio of
    the mask, then cut or zero-filled, as the released model does. Values may leave [0, 1].
    """
    ratio = mask_11HW.shape[-1] / mask_11HW.shape[-2]
    height = max(1, int(torch.tensor(num_pixels / ratio, dtype=torch.float32).sqrt()))
    height += int(num_pixels % height != 0)
    size = (height, num_pixels // height)
    level_Q = F.interpolate(mask_11HW.float(), size=size, mode="bicubic").flatten()
    return F.pad(level_Q, (0, max(0, num_pixels - len(level_Q))))[:num_pixels]


class Context:
    """The audio context of one UNet call, read by all its attention processors.

    A branch's context is (T, K, D), or (1, K, D) when it is the same for every frame: then it is
    projected once and not T times.
    """

    def __init__(self) -> None:
        self.image: Sequence[Tensor] = ()
        self.audio: Sequence[Tensor] = ()
        self.mask_B1HW: Tensor | None = None
        self.num_frames = 0
        self._levels: dict[int, Tensor] = {}

    def set(
        self,
        image: Sequence[Tensor],
        audio: Sequence[Tensor],
        mask_B1HW: Tensor | None,
        num_frames: int,
    ) -> None:
        """Take the contexts of the branches, image (T or 1, 1, D) and audio (T or 1, K, D).

        There is one face mask for all branches, or one for each.
        """
        for part in (*image, *audio):
            assert part.shape[0] in (1, num_frames), part.shape
        assert len(image) == len(audio)
        assert mask_B1HW is None or len(mask_B1HW) in (1, len(image))
        self.image, self.audio, self.mask_B1HW = image, audio, mask_B1HW
        self.num_frames = num_frames
        self._levels = {}

    def mask_for(self, num_pixels: int, like: Tensor) -> Tensor | None:
        """Return the face mask of a level: (1 or B T, Q, 1), or None when the call has no mask."""
        if self.mask_B1HW is None:
            return None
        if num_pixels not in self._levels:
            level_BQ = torch.stack([mask_at_level(m[None], num_pixels) for m in self.mask_B1HW])
            frames = self.num_frames if len(level_BQ) > 1 else 1
            level = level_BQ.repeat_interleave(frames, 0)[..., None]
            self._levels[num_pixels] = level.to(like)
        return self._levels[num_pixels]


def project_once(layer: nn.Module, branches: Sequence[Tensor]) -> list[Tensor]:
    """Apply `layer` to all branches in one call: [(T or 1, K, D)] -> [(T or 1, K, C)]."""
    sizes = [len(branch) for branch in branches]
    return list(layer(torch.cat(list(branches))).split(sizes))


def per_frame(branches: Sequence[Tensor], num_frames: int) -> Tensor:
    """Lay branches out one frame after the other: [(T or 1, K, C)] -> (B T, K, C)."""
    return torch.cat([branch.expand(num_frames, -1, -1) for branch in branches])


def over_time(branches: Sequence[Tensor]) -> list[Tensor]:
    """Average the context of each branch over its frames: [(T or 1, K, D)] -> [(1, K, D)]."""
    return [branch.mean(0, keepdim=True) for branch in branches]


class AudioAttention(nn.Module):
    """Attention processor: image context through `attn`, plus audio context through its own keys.

    The image context has one token, so softmax over it is 1 and its attention is its value.
    Spatial layers attend frame by frame and weigh the audio with the face mask. Temporal layers
    attend to the mean context of the window and use no mask.
    """

    def __init__(self, channels: int, context_channels: int, context: Context, *, temporal: bool):
        super().__init__()
        self.to_k_ip = nn.ModuleList([nn.Linear(context_channels, channels, bias=False)])
        self.to_v_ip = nn.ModuleList([nn.Linear(context_channels, channels, bias=False)])
        self.temporal = temporal
        self.context = context

    def forward(self, attn: Any, hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
        """Attend to image and audio: (N, Q, C) -> (N, Q, C).

        N is B T (spatial) or B Q (temporal).
        """
        if self.temporal:
            return self._attend_over_time(attn, hidden_states)
        return self._attend_in_frames(attn, hidden_states)

    def _attend_in_frames(self, attn: Any, hidden_states: Tensor) -> Tensor:
        context, frames = self.context, self.context.num_frames
        key = per_frame(project_once(self.to_k_ip[0], context.audio), frames)
        value = per_frame(project_once(self.to_v_ip[0], context.audio), frames)
        attended = _attention(attn.to_q(hidden_states), key, value, attn.heads)
        mask = context.mask_for(hidden_states.shape[1], attended)
        seen = per_frame(project_once(attn.to_v, context.image), frames)
        return _out(attn, seen + (attended if mask is None else mask * attended))

    def _attend_over_time(self, attn: Any, hidden_states: Tensor) -> Tensor:
        audio, image = over_time(self.context.audio), over_time(self.context.image)
        shape = hidden_states.shape
        hidden_states = hidden_states.reshape(len(audio), -1, shape[-1])
        key = torch.cat(project_once(self.to_k_ip[0], audio))
        value = torch.cat(project_once(self.to_v_ip[0], audio))
        attended = _attention(attn.to_q(hidden_states), key, value, attn.heads)
        seen = torch.cat(project_once(attn.to_v, image))
        return _out(attn, seen + attended).reshape(shape)


def _attention(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    query, key, value = (
        part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value)
    )
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def _out(attn: Any, hidden_states: Tensor) -> Tensor:
    projected: Tensor = attn.to_out[1](attn.to_out[0](hidden_states))
    return projected


def add_audio_attention(unet: UNetSpatioTemporalConditionModel) -> Context:
    """Put audio attention on every `attn2` of a stock UNet; returns the context they share.

    The new weights are `<attn2>.processor.to_k_ip.0.weight` and `...to_v_ip.0.weight`.
    """
    context = Context()
    for name, module in unet.named_modules():
        if name.endswith("attn2"):
            module.set_processor(
                AudioAttention(
                    module.to_q.in_features,
                    unet.config.cross_attention_dim,
                    context,
                    temporal="temporal_transformer_blocks" in name,
                )
            )
    return context
