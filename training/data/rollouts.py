"""Latents that the UNet makes of speech whose mouth poses are known, to train the pose reader on.

Shape letters: F frames, K numbers of a pose, C channels, h, w rows and columns of the latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.pipeline import SonicPipeline
from training.data.dataset import load_arrays, save_arrays
from training.data.sitters import draw_sitter
from training.evaluation.cases import Case, cut, make_case
from training.speech.speech import Utterance, draw_clip

Array = NDArray[Any]

_SECONDS: Final = 4.0
_SIZE: Final = 256
_FIRST_CLIP: Final = 50_000
_HEADS: Final = 0.5
"""Share of rendered heads among the people."""


@dataclass(frozen=True)
class Rollout:
    """Latents of frames F C h w and of the portrait 1 C h w, unscaled, and the true poses F K."""

    latents: Array
    portrait: Array
    poses: Array


def write_rollout(target: Path, pipe: SonicPipeline, sampling: SamplingConfig, seed: int) -> None:
    """Write the latents of person `seed` speaking for 4 s; do nothing if they exist."""
    if target.exists():
        return
    rng = np.random.default_rng([seed, 17])
    sitter = draw_sitter("heads" if rng.random() < _HEADS else "drawn", seed, rng, size=_SIZE)
    case = make_case(str(seed), sitter, _said(seed), seed, has_truth=False)
    latents, portrait = _denoised(pipe, sampling, case, seed)
    smiles = np.full((case.num_frames, 1), sitter.smile_at(is_portrait=False), np.float32)
    poses = np.concatenate([case.poses_FK, smiles], 1)
    save_arrays(target, latents=latents, portrait=portrait, poses=poses)


def read_rollouts(folders: Sequence[Path]) -> list[Rollout]:
    """Return stored rollouts."""
    return [Rollout(**load_arrays(folder)) for folder in folders]


def _said(seed: int) -> Utterance:
    """Return the first clip from `seed` on that is long enough."""
    clip = _FIRST_CLIP + seed % _FIRST_CLIP
    while True:
        spoken = cut(draw_clip(clip, held_out=False), _SECONDS)
        if len(spoken.samples) >= _SECONDS * SAMPLE_RATE_HZ:
            return spoken
        clip += 1


@torch.inference_mode()
def _denoised(
    pipe: SonicPipeline, sampling: SamplingConfig, case: Case, seed: int
) -> tuple[Array, Array]:
    portrait = case.portrait(pipe.settings.portrait)
    shown = pipe.encode_portrait(portrait, seed, sampling.condition_noise)
    heard = pipe.encode_audio(case.samples, shown, sampling)
    latents = pipe.denoise(shown, heard, seed, sampling) / pipe.latent_scale
    own = pipe.encode_image(portrait.image_CHW[None])
    return latents.numpy().astype(np.float16), own.numpy().astype(np.float16)
