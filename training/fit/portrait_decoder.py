"""The portrait decoder, on latents as the UNet leaves them.

Some are those of the encoder with noise. Most were noisy latents of known frames that the UNet has
denoised again, as SDEdit does (arXiv:2108.01073): they have its faults, and the true frame is
known. What changes weighs more than what stays, and mouth and eyes the most. The
finest stage is computed on a crop around one of them.
Shape letters: B frames, C channels, H, W rows and columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderDC
from torch import Tensor

from sonic_ops.interpolation.layers import warp
from sonic_ops.models.portrait_decoder import PortraitDecoder, Reference
from training.data.albums import SIZE, Album
from training.data.altering import draw_colours, draw_place, moved, placed
from training.data.remade import Remade
from training.fit.autoencoder import to_tensor
from training.fit.device import batch_size, native_precision
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average

_PEOPLE: Final = 4
_FRAMES: Final = 3
_CROP: Final = 64
"""Side of the crop, in half pixels."""
_EDGE: Final = 4
"""Pixels of the crop's border that convolutions saw cut off."""
_NOISE: Final = 0.4
_REMADE: Final = 0.75
"""Share of the batches whose latents the UNet made."""


@dataclass(frozen=True)
class Batch:
    """Portraits and frames in [-1, 1] (B 3 256 256), and the middles of mouths and eyes (B 2).

    With latents of the frames and of the portraits (B C h w), if the UNet made them.
    """

    portraits: Tensor
    frames: Tensor
    mouths: Tensor
    eyes: Tensor
    latents: tuple[Tensor, Tensor] | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the same on a device."""
        z = self.latents and (self.latents[0].to(device), self.latents[1].to(device))
        parts = (self.portraits, self.frames, self.mouths, self.eyes)
        portraits, frames, mouths, eyes = (part.to(device) for part in parts)
        return Batch(portraits, frames, mouths, eyes, z)


def draw_batch(album: Album, rng: np.random.Generator, num_people: int) -> Batch:
    """Return some frames of some people, turned, scaled, mirrored and recoloured as one."""
    parts: list[list[Any]] = [[], [], [], []]
    num_frames = album.pictures.shape[1] - 1
    for person in rng.integers(len(album.pictures), size=num_people):
        frames = rng.permutation(num_frames)[:_FRAMES]
        portrait = num_frames if rng.random() > 0.15 else int(rng.integers(num_frames))
        place, recolour = draw_place(rng, SIZE), draw_colours(rng)
        rows = [*frames, portrait]
        shown = [recolour(placed(album.pictures[person, row], place)) for row in rows]
        ends = [moved(points[person, frames], place) for points in (album.mouths, album.eyes)]
        parts[0] += [shown[-1]] * _FRAMES
        parts[1] += shown[:-1]
        parts[2].append(ends[0])
        parts[3].append(ends[1])
    mouths, eyes = (torch.from_numpy(np.concatenate(part)).float() for part in parts[2:])
    return Batch(to_tensor(np.stack(parts[0])), to_tensor(np.stack(parts[1])), mouths, eyes)


def draw_remade(clips: Sequence[Remade], rng: np.random.Generator, num_people: int) -> Batch:
    """Return some frames of some clips, with the latents that the UNet made of them."""
    chosen = [clips[i] for i in rng.integers(len(clips), size=num_people)]
    pairs = [(clip, rng.permutation(len(clip.latents))[:_FRAMES]) for clip in chosen]
    frames = np.concatenate([clip.pictures[rows] for clip, rows in pairs])
    portraits = np.repeat(np.stack([clip.pictures[-1] for clip in chosen]), _FRAMES, 0)
    own = np.repeat(np.concatenate([clip.own for clip in chosen]), _FRAMES, 0)
    mouths, eyes, z = (
        torch.from_numpy(np.concatenate([getattr(clip, name)[rows] for clip, rows in pairs]))
        for name in ("mouths", "eyes", "latents")
    )
    latents = z.float(), torch.from_numpy(own).float()
    return Batch(to_tensor(portraits), to_tensor(frames), mouths.float(), eyes.float(), latents)


def decoder_loss(
    decoder: PortraitDecoder,
    vae: AutoencoderDC,
    albums: Sequence[Album],
    clips: Sequence[Remade],
) -> Loss:
    """Return the loss of a batch of one of the albums, or of clips that the UNet has remade."""
    device = next(decoder.parameters()).device
    num_people = batch_size(_PEOPLE, device)

    def loss(generator: torch.Generator) -> Tensor:
        number = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        rng = np.random.default_rng(number)
        if clips and rng.random() < _REMADE:
            batch = draw_remade(clips, rng, num_people).to(device)
        else:
            batch = draw_batch(albums[int(rng.integers(len(albums)))], rng, num_people).to(device)
        z, z_portrait = batch.latents or _latents(vae, batch, generator)
        crop = _draw_crop(batch, rng)
        with native_precision(device):
            reference = Reference(
                batch.portraits[0], z_portrait, decoder.portrait(_channels_last(batch.portraits))
            )
            x, flow = decoder.coarse_layers(z, reference)
            near = _fetched(reference.features[0], flow, _places(crop, 1))
            mask, paint = decoder.fine_layers(_looked_up(x, _places(crop, 1)).to(x), near)
        warped = _fetched(batch.portraits, flow, _places(crop, 2), mode="bicubic")
        shown = warped + mask * (paint * 2 - 1 - warped)
        return _loss_of(shown, flow, mask, batch, crop)

    return loss


@torch.no_grad()
def _latents(vae: AutoencoderDC, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Latents of frames, a little noisy, and of their portraits."""
    pictures = F.avg_pool2d(torch.cat([batch.frames, batch.portraits]), 2)
    with native_precision(pictures.device):
        z = vae.encode(_channels_last(pictures)).latent.float()
    frames, portraits = z.chunk(2)
    options: dict[str, Any] = {"generator": generator, "device": z.device}
    level = torch.rand(len(frames), 1, 1, 1, **options) ** 3 * _NOISE
    return frames + level * torch.randn(frames.shape, **options), portraits


def _draw_crop(batch: Batch, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Row and column of the crop of each frame: near the mouth, the eyes, or anywhere."""
    corners = []
    for mouth, eye in zip(batch.mouths.cpu().numpy(), batch.eyes.cpu().numpy(), strict=True):
        kind, last = rng.random(), SIZE // 2 - _CROP
        near = (mouth if kind < 0.6 else eye) / 2 - _CROP / 2 + rng.normal(0, 10, 2)
        x, y = np.clip(near if kind < 0.85 else rng.uniform(0, last, 2), 0, last).astype(int)
        corners.append((int(y), int(x)))
    return corners


def _loss_of(
    shown: Tensor, flow: Tensor, mask: Tensor, batch: Batch, crop: list[tuple[int, int]]
) -> Tensor:
    """Sum the errors of pixels and edges, of the warped portrait, of rough flow and of paint."""
    inner = (..., slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
    weight = _cut(_weights(batch), crop, 2)[inner]
    weight = 2.2 * weight / weight.mean((1, 2, 3), keepdim=True)
    error = (shown - _cut(batch.frames, crop, 2))[inner]
    pixels = (weight * (error.abs() + 8 * error.square())).mean() + 0.5 * _edges(error, weight)
    small = warp(F.avg_pool2d(batch.portraits, 4), flow) - F.avg_pool2d(batch.frames, 4)
    moved = small.abs().mean() + 0.4 * _edges(small, torch.ones_like(small))
    loss: Tensor = pixels + 0.4 * moved + 0.1 * _edges(flow, torch.ones_like(flow))
    return loss + 0.01 * mask.mean()


def _weights(batch: Batch) -> Tensor:
    """More for what changes, and for mouth and eyes: B 1 H W."""
    small = F.avg_pool2d((batch.frames - batch.portraits).abs().mean(1, keepdim=True), 4)
    changed = F.interpolate((3 * small).clamp(max=1), scale_factor=4, mode="bilinear")
    mouth, eyes = _near(batch.mouths, 26, 22), _near(batch.eyes, 34, 14)
    return 1 + 2 * changed + 4 * mouth + 1.5 * eyes


def _near(points_B2: Tensor, width: float, height: float) -> Tensor:
    axis = torch.arange(SIZE, device=points_B2.device)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    x, y = points_B2[:, 0, None, None], points_B2[:, 1, None, None]
    return torch.exp(-(((columns - x) / width) ** 2) - ((rows - y) / height) ** 2)[:, None]


def _edges(x: Tensor, weight: Tensor) -> Tensor:
    """Return the mean change from a pixel to the next, weighted."""
    across = (weight[..., 1:] * (x[..., 1:] - x[..., :-1]).abs()).mean()
    down = (weight[..., 1:, :] * (x[..., 1:, :] - x[..., :-1, :]).abs()).mean()
    return across + down


def _cut(images: Tensor, crop: list[tuple[int, int]], scale: int) -> Tensor:
    side = _CROP * scale
    return torch.stack(
        [
            image[:, y * scale : y * scale + side, x * scale : x * scale + side]
            for image, (y, x) in zip(images, crop, strict=True)
        ]
    )


def _places(crop: list[tuple[int, int]], scale: int) -> Tensor:
    """Return where the pixels of the crop are, in halves of the picture: B h w 2 (x, y)."""
    side = _CROP * scale
    steps = (torch.arange(side) + 0.5) * (2 / (scale * SIZE // 2)) - 1
    corners = torch.tensor(crop).float() * (2 / (SIZE // 2))
    y, x = (corners[:, axis, None] + steps for axis in (0, 1))
    return torch.stack([x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], -1)


def _looked_up(maps: Tensor, places_BHW2: Tensor, mode: str = "bilinear") -> Tensor:
    return F.grid_sample(
        maps.float(), places_BHW2.to(maps.device), mode, "border", align_corners=False
    )


def _fetched(maps: Tensor, flow: Tensor, places_BHW2: Tensor, mode: str = "bilinear") -> Tensor:
    """Return the crop of warped maps."""
    moved_BHW2 = places_BHW2.to(flow.device) + _looked_up(flow, places_BHW2).movedim(1, -1)
    return _looked_up(maps, moved_BHW2, mode)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def train_portrait_decoder(
    decoder: PortraitDecoder,
    vae: AutoencoderDC,
    albums: Sequence[Album],
    clips: Sequence[Remade],
    folder: Path,
    budget: Budget,
    *,
    rate: float,
) -> PortraitDecoder:
    """Train until the budget is used; resumes from `folder`."""
    schedule = Schedule(rate=rate, warmup_steps=40, weight_decay=1e-4, average=0.997)
    trainer = Trainer([Group(dict(decoder.named_parameters()))], folder, schedule, seed=7)
    trainer.run(decoder_loss(decoder, vae, albums, clips), budget)
    load_average(decoder, folder)
    return decoder
