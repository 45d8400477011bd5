"""Train the layers of the portrait decoder on people whose poses are known.

What changes weighs more than what stays, and mouth and eyes the most. The finest stage is computed
on a crop around one of them. Shape letters: B frames, K numbers of a pose, M landmarks, C channels,
H, W rows and columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sonic_ops.interpolation.layers import warp
from sonic_ops.models.face_maps import maps_at_pose, maps_of_portrait
from sonic_ops.models.portrait_decoder import PortraitDecoder
from training.data.albums import SIZE, Album
from training.data.altering import draw_colours, draw_place, mirrors, moved, placed
from training.fit.autoencoder import to_tensor
from training.fit.device import batch_size, channels_last, native_precision
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average
from training.people.motion import in_mirror

_PEOPLE: Final = 4
_FRAMES: Final = 3
_CROP: Final = 64
"""Side of the crop, in half pixels."""
_EDGE: Final = 4
"""Pixels of the crop's border that convolutions saw cut off."""
_ANOTHER_PORTRAIT: Final = 0.25
"""Share of people whose portrait is any frame."""
_FLOW_RATE: Final = 8.0
"""The last layer of the flow learns faster: one pixel is a small number, in halves of the image."""


@dataclass(frozen=True)
class Batch:
    """Portraits and frames in [-1, 1] (B 3 256 256), their poses (B K), and places.

    Places are the landmarks of portraits in halves of the image (B M 2), and the middles of mouths
    and eyes of frames in pixels (B 2).
    """

    portraits: Tensor
    frames: Tensor
    portrait_poses: Tensor
    poses: Tensor
    landmarks: Tensor
    mouths: Tensor
    eyes: Tensor


def draw_batch(album: Album, rng: np.random.Generator, num_people: int, order: Tensor) -> Batch:
    """Return some frames of some people, turned, scaled, mirrored and recoloured as one.

    `order` says which landmark is the mirror image of each.
    """
    parts: list[list[Any]] = [[] for _ in range(7)]
    last = album.pictures.shape[1] - 1
    for person in rng.integers(len(album.pictures), size=num_people):
        frames = rng.permutation(last + 1 if rng.random() < 0.2 else last)[:_FRAMES]
        portrait = last if rng.random() > _ANOTHER_PORTRAIT else int(rng.integers(last))
        place, recolour = draw_place(rng, SIZE), draw_colours(rng)
        rows = [*frames, portrait]
        shown = [recolour(placed(album.pictures[person, row], place)) for row in rows]
        poses = album.poses[person, rows]
        landmarks = moved(album.landmarks[person, portrait], place)
        if mirrors(place):
            poses, landmarks = in_mirror(poses), landmarks[order]
        ends = [moved(points[person, frames], place) for points in (album.mouths, album.eyes)]
        parts[0] += [shown[-1]] * _FRAMES
        parts[1] += shown[:-1]
        read = (landmarks * (2 / SIZE) - 1)[None].repeat(_FRAMES, 0)
        found = (poses[[-1] * _FRAMES], poses[:-1], read, *ends)
        for part, array in zip(parts[2:], found, strict=True):
            part.append(array)
    tensors = [torch.from_numpy(np.concatenate(part)).float() for part in parts[2:]]
    return Batch(to_tensor(np.stack(parts[0])), to_tensor(np.stack(parts[1])), *tensors)


def decoder_loss(decoder: PortraitDecoder, albums: Sequence[Album], order: Tensor) -> Loss:
    """Return the loss of a batch of one of the albums."""
    device = next(decoder.parameters()).device
    num_people = batch_size(_PEOPLE, device)

    def loss(generator: torch.Generator) -> Tensor:
        number = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        rng = np.random.default_rng(number)
        batch = draw_batch(albums[int(rng.integers(len(albums)))], rng, num_people, order)
        batch = Batch(*(tensor.to(device) for tensor in vars(batch).values()))
        crop = _draw_crop(batch, rng)
        pose, own = batch.poses, batch.portrait_poses
        maps = _maps(decoder, batch.landmarks, pose, own)
        with native_precision(device):
            portraits = channels_last(batch.portraits[::_FRAMES])
            features = tuple(f.repeat_interleave(_FRAMES, 0) for f in decoder.portrait(portraits))
            x, flow = decoder.layers.coarse(maps, pose, own, features)
            near = _fetched(features[0], flow, _places(crop, 1))
            mask, paint = decoder.layers.fine(_looked_up(x, _places(crop, 1)).to(x), near)
        warped = _fetched(batch.portraits, flow, _places(crop, 2), mode="bicubic")
        shown = warped + mask * (paint * 2 - 1 - warped)
        total = _loss_of(shown, flow, mask, batch, crop)
        return total + _loss_of_moved(warped, mask, batch, crop)

    return loss


@torch.no_grad()
def _maps(decoder: PortraitDecoder, landmarks: Tensor, pose: Tensor, own: Tensor) -> Tensor:
    size = (SIZE // 4, SIZE // 4)
    moving = maps_at_pose(landmarks, decoder.rig(pose, own, landmarks), decoder.rig.mean, size)
    return torch.cat([moving, maps_of_portrait(landmarks, size)], 1)


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


def _loss_of_moved(
    warped: Tensor, mask: Tensor, batch: Batch, crop: list[tuple[int, int]]
) -> Tensor:
    """Penalise paint away from mouth and eyes, where pixels can be moved and paint only blurs."""
    features = torch.maximum(_near(batch.mouths, 30, 24), _near(batch.eyes, 40, 16))
    elsewhere = 1 - _cut(features, crop, 2)
    inner = (..., slice(_EDGE, -_EDGE), slice(_EDGE, -_EDGE))
    error = ((warped - _cut(batch.frames, crop, 2)) * elsewhere)[inner]
    moved = error.abs().mean() + 4 * error.square().mean()
    edges = 0.5 * _edges(error, torch.ones_like(error))
    total: Tensor = moved + edges + 0.15 * (mask * elsewhere).mean()
    return total


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


def train_portrait_decoder(
    decoder: PortraitDecoder,
    albums: Sequence[Album],
    order: Tensor,
    folder: Path,
    budget: Budget,
    *,
    rate: float,
) -> PortraitDecoder:
    """Train all but reader and rig until the budget is used; resumes from `folder`."""
    schedule = Schedule(rate=rate, warmup_steps=60, weight_decay=1e-4, average=0.998)
    learnt = {
        name: parameter
        for name, parameter in decoder.named_parameters()
        if name.startswith(("portrait.", "layers."))
    }
    flow = {name: learnt.pop(name) for name in [*learnt] if name.startswith("layers.flow.")}
    groups = [Group(learnt), Group(flow, gain=_FLOW_RATE)]
    trainer = Trainer(groups, folder, schedule, seed=7)
    trainer.run(decoder_loss(decoder, albums, order), budget)
    load_average(decoder, folder)
    return decoder
