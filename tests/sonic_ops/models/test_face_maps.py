"""Maps of a face: what moves where, and how far pixels are from lips and lids."""

import pytest
import torch

from sonic_ops.models.face_maps import maps_at_pose, maps_of_portrait, signed_distance
from sonic_ops.models.face_rig import FaceFrame, FaceRig
from sonic_ops.picture.landmarks import INNER_LIPS, NUM_LANDMARKS

SIZE = (32, 48)


def face(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(1, NUM_LANDMARKS, 2, generator=generator)


def test_a_face_that_does_not_move_has_no_flow() -> None:
    maps = maps_at_pose(face(), face(), torch.zeros(NUM_LANDMARKS, 2), SIZE)
    assert maps.shape == (1, 8, *SIZE)
    assert maps[:, :2].abs().max() < 1e-6


def test_pixels_of_a_moved_face_come_from_where_they_were() -> None:
    """The flow is in halves of each side, places are in halves of the height."""
    moved = torch.tensor([0.09, -0.06])
    maps = maps_at_pose(face(), face() + moved, torch.zeros(NUM_LANDMARKS, 2), SIZE)
    flow = maps[0, :2, SIZE[0] // 2, SIZE[1] // 2]
    assert flow.tolist() == pytest.approx([-0.06, 0.06], abs=0.005)


def test_the_border_stays() -> None:
    maps = maps_at_pose(face(), face() + 0.1, torch.zeros(NUM_LANDMARKS, 2), SIZE)
    assert maps[0, :2, 0].abs().mean() < 0.5 * maps[0, :2, SIZE[0] // 2].abs().mean()


def test_distances_to_a_square() -> None:
    square = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]])
    found = signed_distance([square], (64, 64))[0, 0]
    axis = (torch.arange(64) + 0.5) / 32 - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    across, down = x.abs() - 0.5, y.abs() - 0.5
    outside = torch.stack([across, down]).clamp(min=0).norm(dim=0)
    wanted = torch.where(outside > 0, -outside, -torch.maximum(across, down))
    assert torch.allclose(found, wanted, atol=2e-3)


def test_two_outlines_are_one_map() -> None:
    square = torch.tensor([[[-0.2, -0.2], [0.2, -0.2], [0.2, 0.2], [-0.2, 0.2]]])
    both = signed_distance([square - 0.5, square + 0.5], (64, 64))
    assert both[0, 0, 16, 16] > 0.1
    assert both[0, 0, 48, 48] > 0.1
    assert both[0, 0, 32, 32] < -0.3


def test_shut_lips_have_no_inside() -> None:
    shut = face()
    shut[:, INNER_LIPS, 1] = 0
    assert maps_of_portrait(shut, SIZE)[:, 0].max() <= 0
    assert maps_of_portrait(face(), SIZE)[:, 0].max() > 0


def test_the_frame_of_a_face_leads_back() -> None:
    frame = FaceFrame.of(face())
    own = frame.own(face())
    assert torch.allclose(frame.back(own), face(), atol=1e-6)
    assert own[0, 33, 1].item() == pytest.approx(own[0, 263, 1].item(), abs=1e-5)
    assert own.square().sum(-1).mean().item() == pytest.approx(1, abs=1e-4)


def test_a_rig_moves_nothing_at_the_pose_of_the_portrait() -> None:
    torch.manual_seed(0)
    rig = FaceRig(5, 3, 4, 6)
    rig.move_basis.normal_()
    pose = torch.randn(1, 5)
    assert torch.allclose(rig(pose, pose, face()), face(), atol=1e-6)
    assert not torch.allclose(rig(pose + 1, pose, face()), face(), atol=1e-2)
