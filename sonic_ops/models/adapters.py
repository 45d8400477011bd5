"""From speech features to what the UNet reads: audio tokens and motion buckets.

Shape letters: N any number of frames, S tokens in a frame's span, L encoder layers, D channels.
Source: key and shape inventory of the released `audio2token` and `audio2bucket`.
"""

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class AudioToToken(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Audio tokens of a frame: (N, S, L, D) -> (N, context_tokens, output_dim)."""

    @register_to_config
    def __init__(
        self,
        seq_len: int = 10,
        blocks: int = 5,
        channels: int = 384,
        intermediate_dim: int = 1024,
        output_dim: int = 1024,
        context_tokens: int = 32,
    ) -> None:
        super().__init__()
        self.proj1 = nn.Linear(seq_len * blocks * channels, intermediate_dim)
        self.proj2 = nn.Linear(intermediate_dim, intermediate_dim)
        self.proj3 = nn.Linear(intermediate_dim, context_tokens * output_dim)
        self.norm = nn.LayerNorm(output_dim)

    def forward(self, span_NSLD: Tensor) -> Tensor:
        """Project the features around each frame to audio tokens."""
        hidden = F.relu(self.proj1(span_NSLD.flatten(1)))
        hidden = self.proj3(F.relu(self.proj2(hidden)))
        tokens: Tensor = self.norm(hidden.unflatten(1, (self.config.context_tokens, -1)))
        return tokens


class AudioToBucket(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """Head and expression of a frame, before gain and offset: (N, S, L, D), (N, E) -> (N, 2)."""

    @register_to_config
    def __init__(
        self,
        seq_len: int = 50,
        blocks: int = 1,
        channels: int = 384,
        clip_channels: int = 1024,
        intermediate_dim: int = 1024,
        output_dim: int = 1,
        context_tokens: int = 2,
    ) -> None:
        super().__init__()
        self.proj1 = nn.Linear(seq_len * blocks * channels + clip_channels, intermediate_dim)
        self.proj2 = nn.Linear(intermediate_dim, intermediate_dim)
        self.proj3 = nn.Linear(intermediate_dim, context_tokens * output_dim)

    def forward(self, span_NSLD: Tensor, image_NE: Tensor) -> Tensor:
        """Predict the motion buckets of head and expression."""
        hidden = torch.cat([span_NSLD.flatten(1), image_NE.to(span_NSLD.dtype)], dim=1)
        hidden = F.silu(self.proj2(F.silu(self.proj1(hidden))))
        buckets: Tensor = self.proj3(hidden)
        return buckets
