"""Pictures to latents: what the UNet trains on, in shards.

Shape letters: P people, F frames, C channels, H, W rows and columns.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderDC

from sonic_ops.training.autoencoder import to_tensor
from sonic_ops.training.dataset import Pictures, Speech, load_arrays, read_pictures, save_arrays
from sonic_ops.training.unet_stage import Samples


@torch.no_grad()
def write_latents(target: Path, vae: AutoencoderDC, pictures: Pictures) -> None:
    """Encode a shard of pictures: P F C H W, half precision, unit size."""
    latents = []
    for frames in pictures.pictures:
        with torch.autocast("cpu", torch.bfloat16):
            latents.append(vae.encode(to_tensor(frames)).latent.half())
    save_arrays(target, latents=torch.stack(latents).numpy())


def read_samples(
    pictures: list[Path], latents: list[Path], speech: Speech, tokens: torch.Tensor
) -> Samples:
    """Join shards of latents with what is known about their pictures."""
    values = np.concatenate([load_arrays(folder)["latents"] for folder in latents])
    known = read_pictures(pictures, load_pictures=False)
    clips = np.searchsorted(speech.starts, known.rows, side="right") - 1
    frames = torch.from_numpy(values)
    residual = frames[::7, :-1].float() - frames[::7, -1:].float()
    return Samples(
        latents=frames,
        mouths=torch.from_numpy(known.mouths),
        boxes=torch.from_numpy(known.boxes),
        rows=torch.from_numpy(known.rows),
        amplitudes=torch.from_numpy(speech.amplitudes[clips]),
        tokens=tokens,
        residual_scale=round(float(residual.std()), 4),
    )
