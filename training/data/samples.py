"""Pictures to latents, and latents to what the UNet trains on, shard by shard.

Shape letters: P people, F frames, C channels, H, W rows and columns.
"""

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderDC

from sonic_ops.core.errors import ConfigError, RenderError
from training.data.altering import altered
from training.data.dataset import Pictures, load_arrays, read_pictures, save_arrays
from training.fit.autoencoder import from_bytes
from training.fit.device import native_precision, training_device
from training.fit.diffusion import Samples

LATENTS: Final = "latents-"
_LOOK_EVERY_S: Final = 20.0
_LOOK_FOR_S: Final = 4.0
"""So that shard workers that are faster than the encoder do not keep a GPU from training."""
_LOOKED_AT: Final = 300
"""People whose latents tell the spread."""
_MOST_OFF: Final = 1.6
"""How many times more or less than in training latents may spread: what stands still teaches no
motion."""
_MOST_PEOPLE: Final = 50_000
_ENCODED_TOGETHER: Final = {"cpu": 26, "cuda": 416}
"""Pictures."""


def finished(folder: Path, kind: str) -> list[Path]:
    """List the finished shards of a kind by number: later ones move no rows of earlier ones."""
    found = [path for path in folder.glob(f"{kind}-[0-9]*") if path.suffix != ".draft"]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


@torch.no_grad()
def write_latents(target: Path, vae: AutoencoderDC, pictures: Pictures, *, copies: int = 0) -> None:
    """Encode a shard of pictures: latents P F C H W, half precision, and all that is not pixels.

    With `copies`, everybody comes again so many times: mirrored or not, moved and recoloured.
    """
    shard = int(pictures.rows.sum())
    parts = [
        pictures,
        *(altered(pictures, np.random.default_rng([n, shard])) for n in range(copies)),
    ]
    arrays = [vars(part) for part in parts]
    pictures = Pictures(**{key: np.concatenate([a[key] for a in arrays]) for key in arrays[0]})
    people, frames = pictures.pictures.shape[:2]
    flat_NHWC = torch.from_numpy(pictures.pictures).flatten(0, 1)
    latents = []
    for part in flat_NHWC.split(_ENCODED_TOGETHER[vae.device.type]):
        with native_precision(vae.device):
            latents.append(vae.encode(from_bytes(part.to(vae.device))).latent.half().cpu())
    save_arrays(
        target,
        latents=torch.cat(latents).unflatten(0, (people, frames)).numpy(),
        mouths=pictures.mouths,
        boxes=pictures.boxes,
        rows=pictures.rows,
        amplitudes=pictures.amplitudes,
    )


def read_samples(
    shards: Iterable[Path], tokens: torch.Tensor, residual_scale: float | None = None
) -> Samples:
    """Join shards of latents; without a given scale, it is the spread around the reference.

    Raises ConfigError if the spread is far from a given scale.
    """
    arrays = [load_arrays(folder) for folder in shards]
    joined = {
        key: torch.from_numpy(np.concatenate([part[key] for part in arrays])) for key in arrays[0]
    }
    frames = joined["latents"][:: max(1, len(joined["latents"]) // _LOOKED_AT)].float()
    spread = round(float((frames[:, :-1] - frames[:, -1:]).std()), 4)
    scale = residual_scale or spread
    if not 1 / _MOST_OFF < spread / scale < _MOST_OFF:
        raise ConfigError(
            f"The latents spread by {spread} around their portraits, and not by about {scale}",
            remedy="Remove the latents and windows of the run; if it happens again, the encoder "
            "gives other latents on this machine: train on a CPU.",
        )
    return Samples(tokens=tokens, residual_scale=scale, **joined)


class GrowingSamples:
    """The samples of a folder in which shard workers put new shards while the UNet trains.

    Looks for them every 20 s, encodes them for 4 s at most, and deletes their pictures.
    `more_may_come` says whether any shard worker is still running.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        vae: AutoencoderDC,
        tokens: torch.Tensor,
        scale: float | None,
        more_may_come: Callable[[], bool],
    ) -> None:
        self.folder, self.kind, self.more_may_come = folder, kind, more_may_come
        self.tokens, self.scale = tokens, scale
        self.device = training_device()
        self.vae = vae.to(self.device)
        self.known: list[Path] = []
        self.samples: Samples | None = None
        self.looked = -_LOOK_EVERY_S

    def __call__(self) -> Samples:
        """Return the samples as they are now; waits for the first shard.

        Raises RenderError if there is none and nobody makes any.
        """
        if self.samples is not None and time.monotonic() - self.looked > _LOOK_EVERY_S:
            self._look()
        while self.samples is None:
            more_may_come = self.more_may_come()  # asked first: what came last is still seen
            self._look()
            if self.samples is None:
                if not more_may_come:
                    raise _nothing_comes(self.kind)
                time.sleep(0.5)
        return self.samples

    def _look(self) -> None:
        self.looked = time.monotonic()
        for shard in finished(self.folder, self.kind):
            write_latents(shard.with_name(LATENTS + shard.name), self.vae, read_pictures([shard]))
            shutil.rmtree(shard)
            if time.monotonic() - self.looked > _LOOK_FOR_S:
                break
        shards = finished(self.folder, LATENTS + self.kind)
        if new := [shard for shard in shards if shard not in self.known]:
            self.known += new
            more = read_samples(new, self.tokens, self.scale).to(self.device)
            self.scale = more.residual_scale
            self.samples = self.samples.joined(more, _MOST_PEOPLE) if self.samples else more


def _nothing_comes(kind: str) -> RenderError:
    return RenderError(
        f"There are no {kind} to train on, and no process is left that paints any",
        remedy="See what the shard workers printed when they ended (memory, disk). Then run the "
        "same command again; it continues where it stopped.",
    )
