"""Where the landmarks of a face are at a pose: a rig for any portrait, learnt from painted people.

A pose is a few numbers that say all that moves in a face: jaw, lips, head, lids, brows, gaze. The
rig moves the landmarks of a portrait as people of its shape move theirs.

Shape letters: N faces, P the 468 landmarks of FaceMesh, K numbers of a pose, D = 2 P. Places are
(x, y) in halves of the height of the image, from its middle. A face's own frame has its middle at
0, its eyes level, and a root mean square radius of 1.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonic_ops.picture.landmarks import EYE_CORNERS, NUM_LANDMARKS

_USUAL_RADIUS, _RADII = 0.4, 4.0
"""Mean radius of the training faces, and the scale of differences from it."""


@dataclass(frozen=True, slots=True)
class FaceFrame:
    """Converts between places in the image and a face's own frame."""

    middle_N12: Tensor
    radius_N11: Tensor
    turn_N22: Tensor

    @classmethod
    def of(cls, landmarks_NP2: Tensor) -> "FaceFrame":
        """Find the frame of faces."""
        middle = landmarks_NP2.mean(1, keepdim=True)
        radius = (landmarks_NP2 - middle).square().sum(-1).mean(1).sqrt()[:, None, None]
        left, right = (landmarks_NP2[:, corner] for corner in EYE_CORNERS)
        x, y = F.normalize(right - left, dim=1).unbind(1)
        turn = torch.stack([torch.stack([x, y], -1), torch.stack([-y, x], -1)], 1)
        return cls(middle, radius, turn)

    def own(self, landmarks_NP2: Tensor) -> Tensor:
        """Return landmarks of the image in the face's own frame."""
        return ((landmarks_NP2 - self.middle_N12) / self.radius_N11) @ self.turn_N22.mT

    def back(self, own_NP2: Tensor) -> Tensor:
        """Return landmarks of the face's own frame in the image."""
        return own_NP2 @ self.turn_N22 * self.radius_N11 + self.middle_N12


class FaceRig(nn.Module):
    """Moves landmarks from the pose of a portrait to other poses.

    Moves are mixtures of `move_basis`. The amounts are linear in the pose, plus what a small
    network adds for the shape of the face, which it sees as principal components.
    """

    mean: Tensor
    shape_basis: Tensor
    shape_scale: Tensor
    move_basis: Tensor

    def __init__(self, pose_channels: int, shapes: int, moves: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(NUM_LANDMARKS, 2))
        self.register_buffer("shape_basis", torch.zeros(shapes, 2 * NUM_LANDMARKS))
        self.register_buffer("shape_scale", torch.ones(shapes))
        self.register_buffer("move_basis", torch.zeros(moves, 2 * NUM_LANDMARKS))
        self.linear = nn.Linear(pose_channels, moves, bias=False)
        self.shaped = nn.Sequential(
            nn.Linear(2 * pose_channels + shapes + 3, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, moves),
        )

    def forward(self, pose_NK: Tensor, portrait_pose_NK: Tensor, landmarks_NP2: Tensor) -> Tensor:
        """Return where the landmarks of portraits are at poses: N P 2 in float32."""
        frame = FaceFrame.of(landmarks_NP2)
        own_NP2 = frame.own(landmarks_NP2)
        shape_ND = (own_NP2 - self.mean.float()).flatten(1)
        shape = (shape_ND @ self.shape_basis.float().T) * self.shape_scale.float()
        middle, radius = frame.middle_N12[:, 0], frame.radius_N11[:, 0]
        moved_NK = pose_NK - portrait_pose_NK
        told = (portrait_pose_NK, shape, middle, _RADII * (radius - _USUAL_RADIUS))
        weight = self.linear.weight
        at_pose, at_rest = (
            self.shaped(torch.cat([moved, *told], 1).to(weight))
            for moved in (moved_NK, torch.zeros_like(moved_NK))
        )
        amounts = self.linear(moved_NK.to(weight)) + at_pose - at_rest
        moves_ND = amounts.float() @ self.move_basis.float()
        return frame.back(own_NP2 + moves_ND.unflatten(1, (NUM_LANDMARKS, 2)))
