"""The denoiser: diffusers' SVD UNet with audio attention.

Shape letters: B guidance branches, T frames of a window, C channels, H, W rows and columns of the
latents, K audio tokens of a frame, D channels of the context, M channels that deep features take.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import ModelMixin, UNetSpatioTemporalConditionModel
from torch import Tensor, nn

from sonic_ops.models.attention import add_audio_attention
from sonic_ops.models.temporal import fold_time


class CachedFeatures:
    """What comes of all levels but the finest, laid out like latents: (B, T, M, H, W).

    It is filled by a call, unless it is made of what another call has left.
    """

    def __init__(self, reused_BTMHW: Tensor | None = None) -> None:
        self.is_reused = reused_BTMHW is not None
        self._kept_BTMHW = reused_BTMHW

    @property
    def kept(self) -> Tensor:
        assert self._kept_BTMHW is not None, "no call has filled it"
        return self._kept_BTMHW

    def keep(self, features_NMhw: Tensor, shape_BTCHW: Sequence[int]) -> None:
        """Take features of another height and width than those of the latents."""
        factor, rest = divmod(shape_BTCHW[-1], features_NMhw.shape[-1])
        assert not rest
        laid_out = F.pixel_shuffle(features_NMhw, factor)
        self._kept_BTMHW = laid_out.unflatten(0, tuple(shape_BTCHW[:2]))


class AudioUNet(ModelMixin):  # type: ignore[misc]
    """`UNetSpatioTemporalConditionModel` with audio attention; `unet` holds the released keys."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.unet = fold_time(UNetSpatioTemporalConditionModel.from_config(dict(config)))
        self._context = add_audio_attention(self.unet)

    def forward(
        self,
        sample_BTCHW: Tensor,
        timestep_B: Tensor,
        image: Sequence[Tensor],
        audio: Sequence[Tensor],
        time_ids_B3: Tensor,
        mask_B1HW: Tensor | None = None,
        cached: CachedFeatures | None = None,
    ) -> Tensor:
        """Predict v: (B, T, 2C, H, W) -> (B, T, C, H, W).

        `image` holds a (T or 1, 1, D) per branch and `audio` a (T or 1, K, D); `time_ids_B3` are
        frames per second, head bucket and expression bucket; masks, one for all branches or one
        for each, are in pixels of the image. `cached` is filled, or used if it is full.
        """
        self._context.set(image, audio, mask_B1HW, sample_BTCHW.shape[1])
        # The stock class repeats this per frame; our attention reads the context instead.
        first = sample_BTCHW.new_zeros(len(image), 1, image[0].shape[-1])
        if cached is None:
            return self._whole(sample_BTCHW, timestep_B, first, time_ids_B3)
        if cached.is_reused:
            return self._shallow(sample_BTCHW, timestep_B, first, time_ids_B3, cached.kept)
        with capture_input(self._upsampler, cached, sample_BTCHW.shape):
            return self._whole(sample_BTCHW, timestep_B, first, time_ids_B3)

    def _whole(
        self, sample_BTCHW: Tensor, timestep_B: Tensor, first: Tensor, time_ids_B3: Tensor
    ) -> Tensor:
        predicted: Tensor = self.unet(
            sample_BTCHW, timestep_B, first, time_ids_B3, return_dict=False
        )[0]
        return predicted

    def _shallow(
        self,
        sample_BTCHW: Tensor,
        timestep_B: Tensor,
        first: Tensor,
        time_ids_B3: Tensor,
        deep_BTMHW: Tensor,
    ) -> Tensor:
        """Run only the finest level, around the cached features of another step."""
        unet, (num_branches, num_frames) = self.unet, sample_BTCHW.shape[:2]
        shared = {
            "temb": self._embedding(timestep_B, time_ids_B3, num_frames, sample_BTCHW.dtype),
            "image_only_indicator": sample_BTCHW.new_zeros(num_branches, num_frames),
        }
        hidden = unet.conv_in(sample_BTCHW.flatten(0, 1))
        context = {"encoder_hidden_states": first.repeat_interleave(num_frames, 0)}
        fine_down, fine_up = unet.down_blocks[0], unet.up_blocks[-1]
        _, skipped = fine_down(hidden, **shared, **(context if _attends(fine_down) else {}))
        skipped = (hidden, *skipped)[: len(fine_up.resnets)]
        factor = 2 ** len(fine_down.downsamplers)
        coarse = F.pixel_unshuffle(deep_BTMHW.flatten(0, 1).to(hidden), factor)
        inner = self._upsampler(coarse)
        outer = {"res_hidden_states_tuple": skipped}
        hidden = fine_up(inner, **shared, **outer, **(context if _attends(fine_up) else {}))
        predicted: Tensor = unet.conv_out(unet.conv_act(unet.conv_norm_out(hidden)))
        return predicted.reshape(num_branches, num_frames, *predicted.shape[1:])

    def _embedding(
        self, timestep_B: Tensor, time_ids_B3: Tensor, num_frames: int, dtype: torch.dtype
    ) -> Tensor:
        """Return time, frame rate and motion, for each frame of each branch."""
        unet, num_branches = self.unet, len(timestep_B)
        at = unet.time_embedding(unet.time_proj(timestep_B).to(dtype))
        ids = unet.add_time_proj(time_ids_B3.flatten()).reshape(num_branches, -1).to(at.dtype)
        embedded: Tensor = at + unet.add_embedding(ids)
        return embedded.repeat_interleave(num_frames, 0)

    @property
    def _upsampler(self) -> nn.Module:
        """Return what leads from the second finest level, where deep features end, upwards."""
        upsampler: nn.Module = self.unet.up_blocks[-2].upsamplers[0]
        return upsampler


@contextmanager
def capture_input(
    upsampler: nn.Module, cached: CachedFeatures, shape_BTCHW: Sequence[int]
) -> Iterator[None]:
    """Keep what goes into a module."""

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        cached.keep(inputs[0], shape_BTCHW)

    hook = upsampler.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        hook.remove()


def _attends(block: Any) -> bool:
    return bool(getattr(block, "has_cross_attention", False))
