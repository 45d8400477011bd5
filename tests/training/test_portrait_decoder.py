"""Training of the portrait decoder: what is drawn belongs together, and all weights learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sonic_ops.models.face_rig import FaceFrame, FaceRig
from sonic_ops.models.portrait_decoder import PortraitDecoder, PoseReader
from sonic_ops.picture.landmarks import NUM_LANDMARKS
from tests.tiny import PORTRAIT_DECODER
from training.data.albums import NUM_POSE, SIZE, Album, Encoded, encode_album, people, write_album
from training.data.altering import draw_colours, draw_place, mirrors
from training.data.dataset import save_arrays
from training.data.rollouts import Rollout, read_rollouts, write_rollout
from training.evaluation.rendering import preset_with, renderer_of
from training.fit.autoencoder import make_autoencoder
from training.fit.face_rig import People, mirror_order, train_rig
from training.fit.loop import Budget
from training.fit.portrait_decoder import decoder_loss, draw_batch
from training.fit.pose_reader import calibrate_reader, reader_loss
from training.people.motion import YAW
from training.people.mouth import JAW
from training.people.people import is_held_out

MOUTH, EYES = (90, 160), (140, 100)
CONFIG = PORTRAIT_DECODER | {"latent_channels": 8, "pose_channels": NUM_POSE, "smoothing": ()}
ORDER = torch.arange(NUM_LANDMARKS)


def face(rng: np.random.Generator) -> np.ndarray:
    """Landmarks in pixels that are as good as symmetric."""
    half = rng.uniform([5, -60], [60, 60], (NUM_LANDMARKS // 2, 2))
    points = np.concatenate([half, half * [-1, 1]])
    pairs = NUM_LANDMARKS // 2
    points[[33, 33 + pairs]] = [-30, 0], [30, 0]
    points[[263 - pairs, 263]] = [-45, 0], [45, 0]
    return points + SIZE / 2


@pytest.fixture
def album() -> Album:
    """Two people of one colour each, with a white dot for a mouth and a black one for eyes.

    All the landmarks of a frame are the number of its colour, so that what belongs to it is known.
    """
    rng = np.random.default_rng(0)
    pictures = np.zeros((2, 5, SIZE, SIZE, 3), np.uint8)
    pictures += rng.integers(90, 160, (2, 5, 1, 1, 1), np.uint8)
    for (x, y), colour in ((MOUTH, 255), (EYES, 0)):
        pictures[:, :, y - 4 : y + 4, x - 4 : x + 4] = colour
    mouths, eyes = (np.tile(np.array(p, np.float32), (2, 5, 1)) for p in (MOUTH, EYES))
    poses = rng.standard_normal((2, 5, NUM_POSE)).astype(np.float32)
    landmarks = np.stack([face(rng) for _ in range(10)]).reshape(2, 5, NUM_LANDMARKS, 2)
    landmarks[:, :, 0] = MOUTH
    return Album(pictures, poses, landmarks.astype(np.float32), mouths, eyes)


def test_places_go_with_the_pictures(album: Album) -> None:
    batch = draw_batch(album, np.random.default_rng(1), 6, ORDER)
    assert len({tuple(mouth) for mouth in batch.mouths.round().tolist()}) > 3
    marks = ((batch.landmarks[:, 0] + 1) * SIZE / 2).round().int().tolist()
    for frame, portrait, mouth, eye, mark in zip(
        batch.frames, batch.portraits, batch.mouths, batch.eyes, marks, strict=True
    ):
        (mx, my), (ex, ey) = mouth.round().int().tolist(), eye.round().int().tolist()
        assert frame[0, my, mx] > 0.9
        assert frame[0, ey, ex] < -0.9
        assert portrait[0, mark[1], mark[0]] > 0.9


def test_poses_are_mirrored_with_the_pictures(album: Album) -> None:
    batch = draw_batch(album, np.random.default_rng(1), 6, ORDER)
    known = {round(float(pose[JAW]), 4): pose[YAW] for person in album.poses for pose in person}
    is_mirrored = batch.mouths[:, 0] > batch.eyes[:, 0]
    assert 0 < is_mirrored.sum() < len(is_mirrored)
    for pose, mirrored in zip(batch.poses, is_mirrored, strict=True):
        yaw = known[round(float(pose[JAW]), 4)]
        assert pose[YAW] == pytest.approx(-yaw if mirrored else yaw)


def test_landmarks_change_sides_in_a_mirror(album: Album) -> None:
    """Here the first two are each other's mirror image: one on the mouth, one on the eyes."""
    album.landmarks[:, :, 1] = EYES
    order = ORDER.clone()
    order[:2] = torch.tensor([1, 0])
    batch = draw_batch(album, np.random.default_rng(1), 6, order)
    is_mirrored = (batch.mouths[:, 0] > batch.eyes[:, 0]).tolist()
    marks = ((batch.landmarks[:, 0] + 1) * SIZE / 2).round().int().tolist()
    assert 0 < sum(is_mirrored) < len(is_mirrored)
    for portrait, (x, y), mirrored in zip(batch.portraits, marks, is_mirrored, strict=True):
        assert portrait[0, y, x] < -0.9 if mirrored else portrait[0, y, x] > 0.9


def test_all_weights_learn(album: Album) -> None:
    torch.manual_seed(0)
    decoder = PortraitDecoder(**CONFIG)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    loss = decoder_loss(decoder, [album], ORDER)(torch.Generator().manual_seed(0))
    loss.backward()
    still = [name for name, p in decoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in still if name.startswith(("portrait.", "layers."))]


def test_all_of_the_reader_learns() -> None:
    rng = np.random.default_rng(0)
    album = Encoded(
        rng.standard_normal((3, 8, 8, 16, 16), np.float32),
        rng.standard_normal((3, 8, NUM_POSE), np.float32),
    )
    reader = PoseReader(8, NUM_POSE, 4)
    for parameter in reader.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    loss = reader_loss(reader, [album], [rollout(rng)])(torch.Generator().manual_seed(0))
    loss.backward()
    assert all(p.grad is not None and p.grad.any() for p in reader.parameters())


def rollout(rng: np.random.Generator) -> Rollout:
    shapes = ((40, 8, 16, 16), (1, 8, 16, 16), (40, NUM_POSE))
    latents, portrait, poses = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return Rollout(latents, portrait, poses)


@torch.inference_mode()
def test_mouths_are_read_as_wide_as_they_are_said_to_be() -> None:
    torch.manual_seed(0)
    decoder, said = PortraitDecoder(**CONFIG), rollout(np.random.default_rng(0))
    latents, own = torch.from_numpy(said.latents), torch.from_numpy(said.portrait)
    wanted = decoder.reader(latents, own).std(0).numpy() * 2
    said.poses[:] *= wanted
    calibrate_reader(decoder, [said])
    read = decoder.reader(latents, own).numpy()
    assert read[:, JAW].std() == pytest.approx(said.poses[:, JAW].std(), rel=0.01)
    assert read[:, JAW].mean() == pytest.approx(said.poses[:, JAW].mean(), abs=0.01)


def test_a_rig_learns_where_landmarks_move(tmp_path: Path, album: Album) -> None:
    """Here the jaw moves all landmarks down, by 10 pixels, and nothing else ever changes."""
    album.poses[..., JAW + 1 :] = 0
    album.landmarks[:] = album.landmarks[:, -1:]
    album.landmarks[..., 1] += 10 * album.poses[..., None, JAW]
    torch.manual_seed(0)
    rig = FaceRig(NUM_POSE, 3, 4, 8)
    train_rig(rig, [album], tmp_path, Budget(steps=150))
    marks = torch.from_numpy(album.landmarks[0, -1:] * (2 / SIZE) - 1)
    pose = torch.from_numpy(album.poses[0, -1:])
    opened = pose.clone()
    opened[:, JAW] += 1
    moved = (rig(opened, pose, marks) - marks) * SIZE / 2
    assert moved[..., 1].mean().item() == pytest.approx(10, abs=2)
    assert moved[..., 0].abs().mean().item() < 2


def test_landmarks_have_a_mirror_image() -> None:
    faces = torch.from_numpy(face(np.random.default_rng(0)))[None].float()
    order = mirror_order(faces)
    assert torch.equal(order[order], torch.arange(NUM_LANDMARKS))
    own = FaceFrame.of(faces).own(faces)[0]
    assert torch.allclose(own[order] * torch.tensor([-1.0, 1.0]), own, atol=1e-3)


def test_people_are_also_seen_in_a_mirror(album: Album) -> None:
    seen = People([album])
    assert torch.equal(seen.landmarks[2, ..., 0], -seen.landmarks[0][..., seen.order, 0])
    assert torch.equal(seen.poses[2, :, YAW], -seen.poses[0, :, YAW])
    assert torch.equal(seen.poses[2, :, JAW], seen.poses[0, :, JAW])


def test_encoded_people_keep_their_poses(tmp_path: Path, album: Album) -> None:
    save_arrays(tmp_path / "album", **vars(album))
    encode_album(tmp_path / "encoded", tmp_path / "album", make_autoencoder(), copies=2)
    encoded = Encoded.joined([tmp_path / "encoded"])
    assert encoded.latents.shape[:2] == (4, 5)
    assert np.array_equal(encoded.poses[[0, 2], :, JAW], album.poses[[0, 0], :, JAW])
    rng, signs = np.random.default_rng(2), []
    for _ in range(4):  # as the pictures were altered
        signs.append(-1 if mirrors(draw_place(rng, SIZE)) else 1)
        draw_colours(rng)
    assert len(set(signs)) == 2
    turned = album.poses[[0, 1, 0, 1], :, YAW] * np.array(signs)[:, None]
    assert np.array_equal(encoded.poses[..., YAW], turned)


@torch.inference_mode()
def test_the_unet_lets_people_speak(tmp_path: Path) -> None:
    pipe = renderer_of(preset_with("lite", None)).pipe
    write_rollout(tmp_path / "said", pipe, pipe.settings.sampling, 20_000_001)
    (said,) = read_rollouts([tmp_path / "said"])
    assert len(said.latents) == len(said.poses) == 50
    assert said.poses.shape[1] == NUM_POSE


def test_an_album_holds_what_belongs_to_a_person(tmp_path: Path) -> None:
    """FaceMesh finds the mouth of a drawing where it was drawn."""
    write_album(tmp_path / "album", "drawn", [1_000_000], 2)
    album = Album.joined([tmp_path / "album"])
    assert album.poses.shape == (1, 3, NUM_POSE)
    corners = album.landmarks[0][:, [61, 291]].mean(1)
    assert np.abs(corners - album.mouths[0]).max() < 12


def test_held_out_people_are_apart() -> None:
    seen, unseen = people(70, 30, held_out=False), people(70, 30, held_out=True)
    assert len(seen) == len(unseen) == 30
    assert not set(seen) & set(unseen)
    assert all(is_held_out(seed) for seed in unseen)
