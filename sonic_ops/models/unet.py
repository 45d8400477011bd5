"""The denoiser: diffusers' SVD UNet that also listens.

Shape letters: B guidance branches, T frames of a window, C channels, H, W rows and columns of the
latents, K audio tokens of a frame, D channels of the context.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor, nn

from sonic_ops.models.attention import listen
from sonic_ops.models.temporal import fold_time


class AudioUNet(nn.Module):
    """`UNetSpatioTemporalConditionModel` with audio attention; `unet` holds the released keys."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.unet = fold_time(UNetSpatioTemporalConditionModel.from_config(dict(config)))
        self._context = listen(self.unet)

    def forward(
        self,
        sample_BTCHW: Tensor,
        timestep_B: Tensor,
        image: Sequence[Tensor],
        audio: Sequence[Tensor],
        time_ids_B3: Tensor,
        mask_B1HW: Tensor | None = None,
    ) -> Tensor:
        """Predict v: (B, T, 2C, H, W) -> (B, T, C, H, W).

        `image` holds a (T or 1, 1, D) per branch and `audio` a (T or 1, K, D); `time_ids_B3` are
        frames per second, head bucket and expression bucket; masks, one for all branches or one
        for each, are in pixels of the picture.
        """
        self._context.set(image, audio, mask_B1HW, sample_BTCHW.shape[1])
        # The stock class repeats this per frame; our attention reads the context instead.
        first = sample_BTCHW.new_zeros(len(image), 1, image[0].shape[-1])
        predicted: Tensor = self.unet(
            sample_BTCHW, timestep_B, first, time_ids_B3, return_dict=False
        )[0]
        return predicted
