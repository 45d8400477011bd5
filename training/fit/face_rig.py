"""Fit the rig to the landmarks that FaceMesh reads from painted people, whose poses are known.

Shape letters: P people, F frames of one person, whose last is the portrait, B a batch, M landmarks,
K numbers of a pose, D = 2 M.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from sonic_ops.models.face_rig import FaceFrame, FaceRig
from sonic_ops.picture.landmarks import (
    BROWS,
    INNER_LIPS,
    LEFT_EYE,
    NUM_LANDMARKS,
    OUTER_LIPS,
    RIGHT_EYE,
)
from training.data.albums import SIZE, Album
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average
from training.people.motion import in_mirror

_BATCH: Final = 256
_ANOTHER_PORTRAIT: Final = 0.3
"""Share of pairs whose portrait is any frame of the person."""
_NOISE: Final = 0.02
"""A pose that is read is not quite that of the image."""
_BESIDE: Final = 0.05
"""Scale of the network's first output, beside the linear fit."""
_LEAST_SPREAD: Final = 1e-3
"""Components of the shape that vary less than this are noise."""
_MOST_MOVES: Final = 12_000


def landmark_weights() -> Tensor:
    """Return how much each landmark counts: M."""
    weights = torch.ones(NUM_LANDMARKS)
    weights[[*INNER_LIPS, *OUTER_LIPS, *LEFT_EYE, *RIGHT_EYE]] = 2.5
    weights[[*BROWS]] = 1.5
    return weights


def mirror_order(landmarks_PM2: Tensor) -> Tensor:
    """Return which landmark is the mirror image of each."""
    mean = FaceFrame.of(landmarks_PM2).own(landmarks_PM2).mean(0)
    distances = torch.cdist(mean * torch.tensor([-1.0, 1.0]), mean)
    return torch.from_numpy(linear_sum_assignment(distances.numpy())[1])


class People:
    """Landmarks P F M 2 in halves of the image, and poses P F K, of people and their mirror images.

    `order` says which landmark is the mirror image of each.
    """

    def __init__(self, albums: Sequence[Album]) -> None:
        marks, poses = (
            torch.cat([torch.from_numpy(getattr(album, name)).float() for album in albums])
            for name in ("landmarks", "poses")
        )
        marks = marks * (2 / SIZE) - 1
        self.order = mirror_order(marks[:, -1])
        mirrored = marks[..., self.order, :] * torch.tensor([-1.0, 1.0])
        self.landmarks = torch.cat([marks, mirrored])
        self.poses = torch.cat([poses, torch.from_numpy(in_mirror(poses.numpy()))])

    @property
    def moves(self) -> Tensor:
        """Return how landmarks move from the portrait, in the frame of its face: P F M 2."""
        frame = FaceFrame.of(self.landmarks[:, -1])
        own = frame.own(self.landmarks[:, -1])
        return torch.stack([frame.own(f) - own for f in self.landmarks[:, :-1].unbind(1)], 1)


def start_rig(rig: FaceRig, people: People) -> None:
    """Fill a rig with principal components and the best linear fit to the pose."""
    portraits = people.landmarks[:, -1]
    own = FaceFrame.of(portraits).own(portraits)
    shapes = (own - own.mean(0)).flatten(1)
    shape_basis = _components(shapes, len(rig.shape_basis))
    weights = landmark_weights().sqrt()[:, None].expand(-1, 2).flatten()
    weighted = people.moves.flatten(0, 1).flatten(1) * weights
    some = weighted[torch.randperm(len(weighted))[:_MOST_MOVES]]
    moves = _components(some, len(rig.move_basis)).T
    turned = (people.poses[:, :-1] - people.poses[:, -1:]).flatten(0, 1)
    with torch.no_grad():
        rig.mean.copy_(own.mean(0))
        rig.shape_basis.copy_(shape_basis)
        rig.shape_scale.copy_(1 / (shapes @ shape_basis.T).std(0).clamp(min=_LEAST_SPREAD))
        rig.move_basis.copy_(moves.T / weights)
        rig.linear.weight.copy_((torch.linalg.pinv(turned) @ (weighted @ moves)).T)
        last = cast(nn.Linear, rig.shaped[-1])
        last.weight.mul_(_BESIDE)
        last.bias.zero_()


def _components(rows: Tensor, count: int) -> Tensor:
    """Return the largest principal directions of rows, exactly, also where there are fewer."""
    directions: Tensor = torch.linalg.svd(rows, full_matrices=False).Vh[:count]
    return directions


def rig_loss(rig: FaceRig, people: People) -> Loss:
    """Return the loss of some pairs of a portrait and a frame."""
    weights = landmark_weights()[:, None]
    count, num_frames = people.poses.shape[:2]

    def loss(generator: torch.Generator) -> Tensor:
        who, frame, other = (
            torch.randint(high, (_BATCH,), generator=generator)
            for high in (count, num_frames, num_frames)
        )
        is_other = torch.rand(_BATCH, generator=generator) < _ANOTHER_PORTRAIT
        portrait = torch.where(is_other, other, num_frames - 1)
        pose, own = (
            people.poses[who, which]
            + _NOISE * torch.randn(_BATCH, people.poses.shape[2], generator=generator)
            for which in (frame, portrait)
        )
        landmarks = people.landmarks[who, portrait]
        error = rig(pose, own, landmarks) - people.landmarks[who, frame]
        error = error / FaceFrame.of(landmarks).radius_N11
        total: Tensor = (weights * error.abs()).mean() + 5 * (weights * error.square()).mean()
        return total

    return loss


def train_rig(rig: FaceRig, albums: Sequence[Album], folder: Path, budget: Budget) -> FaceRig:
    """Train until the budget is used; resumes from `folder`."""
    people = People(albums)
    start_rig(rig, people)
    schedule = Schedule(rate=2e-3, warmup_steps=100, weight_decay=1e-2, average=0.998)
    trainer = Trainer([Group(dict(rig.named_parameters()))], folder, schedule, seed=3)
    trainer.run(rig_loss(rig, people), budget)
    load_average(rig, folder)
    return rig
