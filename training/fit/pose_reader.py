"""Train the pose reader on noisy latents of painted frames, and on latents that the UNet makes.

For the latter only the pose of the mouth is known, from the speech. Heads, lids and brows move at
random there, so the reader learns them from painted frames alone.
Shape letters: N frames, K numbers of a pose, C channels, h, w rows and columns of the latents.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from torch import Tensor, nn

from sonic_ops.models.portrait_decoder import PortraitDecoder, PoseReader
from training.data.albums import Encoded
from training.data.rollouts import Rollout
from training.fit.device import batch_size, channels_last, native_precision
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average
from training.people.motion import BROW
from training.people.mouth import JAW, NUM_MOUTH, PRESS, ROUNDING, TEETH, TONGUE, WIDTH

_PEOPLE: Final = 16
_FRAMES: Final = 4
_ROLLOUTS: Final = 12
_MOMENTS: Final = 5
_NOISE: Final = 0.6
_WEIGHTS: Final = {JAW: 3.0, PRESS: 1.5}
"""The weights of channels that do not weigh 1."""
_PORTRAITS: Final = 0.3
_HEARD: Final = (JAW, WIDTH, ROUNDING, TEETH, TONGUE)
"""Channels that are read from rollouts with r of 0.5 or more, so that their mean can be set too."""
_MOST_GAIN: Final = 2.5


def reader_loss(reader: PoseReader, albums: Sequence[Encoded], rollouts: Sequence[Rollout]) -> Loss:
    """Return the loss of some people of one of the albums, and of moments of some rollouts."""
    device = next(reader.parameters()).device
    scale = batch_size(1, device)

    def loss(generator: torch.Generator) -> Tensor:
        number = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        rng = np.random.default_rng(number)
        album = albums[int(rng.integers(len(albums)))]
        z, own, poses, own_poses = (
            part.to(device) for part in _painted(album, rng, scale * _PEOPLE)
        )
        options: dict[str, Any] = {"generator": generator, "device": device}
        level = torch.rand(len(z), 1, 1, 1, **options) ** 2 * _NOISE
        noisy = z + level * torch.randn(z.shape, **options)
        made, made_own, made_poses = (
            part.to(device) for part in _made(rollouts, rng, scale * _ROLLOUTS)
        )
        with native_precision(device):
            read = reader(
                channels_last(torch.cat([noisy, made, own])),
                channels_last(torch.cat([own.repeat_interleave(_FRAMES, 0), made_own, own])),
            ).float()
        of_painted, of_made, of_own = read.split([len(z), len(made), len(own)])
        total = _error(of_painted, poses) + _PORTRAITS * _error(of_own, own_poses)
        return total + _error(of_made[:, :NUM_MOUTH], made_poses[:, :NUM_MOUTH])

    return loss


def _error(found_NK: Tensor, true_NK: Tensor) -> Tensor:
    weights = torch.ones(found_NK.shape[1], device=found_NK.device)
    for channel, weight in _WEIGHTS.items():
        weights[channel] = weight
    return (weights * (found_NK - true_NK).square()).mean()


def _painted(album: Encoded, rng: np.random.Generator, num_people: int) -> tuple[Tensor, ...]:
    """Return latents and poses of frames, of a few for each person, and of the portraits."""
    last = album.latents.shape[1] - 1
    who = rng.integers(len(album.latents), size=num_people)
    frames = np.stack([rng.permutation(last + 1)[:_FRAMES] for _ in who])
    latents, poses = album.latents[who[:, None], frames], album.poses[who[:, None], frames]
    arrays = (
        np.concatenate(latents), album.latents[who, last],
        np.concatenate(poses), album.poses[who, last],
    )  # fmt: skip
    z, own, frame_poses, own_poses = (torch.from_numpy(array).float() for array in arrays)
    return z, own, frame_poses, own_poses


def _made(
    rollouts: Sequence[Rollout], rng: np.random.Generator, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents, those of the portraits, and poses of moments of rollouts."""
    chosen = [rollouts[i] for i in rng.integers(len(rollouts), size=count)]
    moments = [rng.permutation(len(r.latents))[:_MOMENTS] for r in chosen]
    pairs = list(zip(chosen, moments, strict=True))
    z = np.concatenate([r.latents[m] for r, m in pairs])
    own = np.concatenate([np.repeat(r.portrait, len(m), 0) for r, m in pairs])
    poses = np.concatenate([r.poses[m] for r, m in pairs])
    first, second, third = (torch.from_numpy(array).float() for array in (z, own, poses))
    return first, second, third


def train_pose_reader(
    reader: PoseReader,
    albums: Sequence[Encoded],
    rollouts: Sequence[Rollout],
    folder: Path,
    budget: Budget,
) -> PoseReader:
    """Train until the budget is used; resumes from `folder`."""
    schedule = Schedule(rate=1.5e-3, weight_decay=1e-3, average=0.998)
    trainer = Trainer([Group(dict(reader.named_parameters()))], folder, schedule, seed=9)
    trainer.run(reader_loss(reader, albums, rollouts), budget)
    load_average(reader, folder)
    return reader


@torch.no_grad()
def calibrate_reader(decoder: PortraitDecoder, rollouts: Sequence[Rollout]) -> None:
    """Scale what is read until mouths open as far as the speech says.

    A least-squares fit underestimates motion.
    """
    read, true = [], []
    for rollout in rollouts:
        z, own = (torch.from_numpy(part).float() for part in (rollout.latents, rollout.portrait))
        read.append(decoder.smoothed(decoder.reader(z, own)))
        true.append(torch.from_numpy(rollout.poses).float())
    (spread, mean), (wanted, middle) = (
        (torch.stack([clip.std(0) for clip in clips]).mean(0), torch.cat(clips).mean(0))
        for clips in (read, true)
    )
    last = cast(nn.Linear, decoder.reader.last[-1])
    for channel in range(BROW + 1):
        gain = (wanted[channel] / spread[channel]).clamp(1, _MOST_GAIN)
        target = middle[channel] if channel in _HEARD else mean[channel]
        last.weight[channel] *= gain
        last.bias[channel] = gain * (last.bias[channel] - mean[channel]) + target
