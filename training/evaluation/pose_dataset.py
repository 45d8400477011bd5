"""The dataset of the pose reader: people painted in poses that were really spoken.

Shape letters: B pictures, N poses, K channels, P people, F frames, H, W rows and columns.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from training.data.dataset import SIZE
from training.evaluation.cases import centred
from training.evaluation.reader import (
    PoseReader,
    beside,
    load_reader,
    readable,
    save_reader,
)
from training.people.faces import NEUTRAL, Framing, Portraitist
from training.people.motion import BROW, NUM_CHANNELS, SHIFT_Y, YAW, animate
from training.people.people import draw_identity, is_held_out
from training.speech.speech import draw_clip

_NUM_PEOPLE, _NUM_FRAMES, _NUM_STEPS, _NUM_CLIPS = 800, 7, 1500, 30
_FIRST_SEED: Final = 300_000_000

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def known_reader(folder: Path) -> PoseReader:
    """Return the reader for people as they are painted now; trained once, then kept in a folder."""
    path = folder / f"reader-{painter_digest()}.safetensors"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        dataset = _pose_dataset(_NUM_PEOPLE, _NUM_CLIPS, _NUM_FRAMES)
        save_reader(train_reader(dataset, steps=_NUM_STEPS, seed=1), path)
    return load_reader(path)


@cache
def painter_digest() -> str:
    """Return a hash of some pictures in any poses: it changes when people are painted otherwise."""
    poses = np.random.default_rng(0).standard_normal((50, NUM_CHANNELS)).astype(np.float32)
    dataset = paint_poses(_people(20), poses, 2, seed=1)
    return hashlib.sha256(dataset.portraits.tobytes() + dataset.pictures.tobytes()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class PoseDataset:
    """Painted people in poses: portraits P H W 3, pictures P F H W 3, poses P F NUM_READ."""

    portraits: Bytes
    pictures: Bytes
    poses: Floats


def paint_poses(seeds: Sequence[int], poses_NK: Floats, num_frames: int, seed: int) -> PoseDataset:
    """People in poses taken at random, head and brows moved more or less than they were."""
    rng = np.random.default_rng(seed)
    dataset = [_paint_person(person, poses_NK, num_frames, rng) for person in seeds]
    portraits, pictures, poses = (np.stack(part) for part in zip(*dataset, strict=True))
    return PoseDataset(portraits, pictures, poses)


def _paint_person(
    seed: int, poses_NK: Floats, num_frames: int, rng: np.random.Generator
) -> tuple[Bytes, Bytes, Floats]:
    identity = draw_identity(seed)
    frame = centred(identity)
    shift = rng.uniform(-4, 4, 2)
    framing = Framing(frame.zoom * rng.uniform(0.95, 1.05), frame.x + shift[0], frame.y + shift[1])
    painter = Portraitist(identity, size=SIZE, framing=framing)
    poses = poses_NK[rng.choice(len(poses_NK), num_frames)].copy()
    poses[:, YAW : SHIFT_Y + 1] *= np.exp(rng.uniform(-1.2, 1.2, (num_frames, 1)))
    poses[:, BROW] *= np.exp(rng.uniform(-0.7, 0.7, num_frames))
    pictures = np.stack([painter.paint(pose) for pose in poses])
    return painter.paint(NEUTRAL), pictures, readable(poses)


def train_reader(dataset: PoseDataset, *, steps: int, seed: int, batch: int = 48) -> PoseReader:
    """Train on painted pictures."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    reader = PoseReader()
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=1e-3)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps) + 2e-5
        people = rng.integers(len(dataset.pictures), size=batch)
        frames = rng.integers(dataset.pictures.shape[1], size=batch)
        x = beside(dataset.pictures[people, frames], dataset.portraits[people])
        wanted = torch.from_numpy(dataset.poses[people, frames])
        loss = F.smooth_l1_loss(reader(_worn(x)), wanted, beta=0.1)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return reader.eval()


def _worn(x_BCHW: Tensor) -> Tensor:
    """Pictures as a decoder might give them: half of them blurred, all of them a little noisy."""
    half = len(x_BCHW) // 2
    soft = F.avg_pool2d(F.pad(x_BCHW[:half], (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand(half, 1, 1, 1)
    worn = torch.cat([torch.lerp(x_BCHW[:half], soft, share), x_BCHW[half:]])
    # One noise for all, in a strength of each picture's own: noise costs more than the network.
    return worn + 0.05 * torch.randn(len(worn), 1, 1, 1) * torch.randn(worn.shape[1:])


def _pose_dataset(num_people: int, num_clips: int, num_frames: int) -> PoseDataset:
    """People and poses that may be trained on."""
    clips = (
        animate(draw_clip(seed, held_out=False), np.random.default_rng(seed))
        for seed in range(_FIRST_SEED, _FIRST_SEED + num_clips)
    )
    poses = np.concatenate([clip.track for clip in clips])
    return paint_poses(_people(num_people), poses, num_frames, seed=1)


def _people(num_people: int) -> list[int]:
    """People who may be trained on."""
    seeds = range(_FIRST_SEED, _FIRST_SEED + 2 * num_people)
    return [seed for seed in seeds if not is_held_out(seed)][:num_people]
