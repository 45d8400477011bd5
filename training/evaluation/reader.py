"""Reads a pose from a picture: a small network trained on painted people, where truth is free.

It sees the picture beside the portrait, so it reads what moved and not who it is. How well it
reads painted and decoded people that it never met is part of every table.
Shape letters: B pictures, K channels, C colours, F frames, H, W rows and columns.
"""

from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sonic_ops.core.files import draft_of
from training.data.dataset import SIZE
from training.people.motion import BLINK, BROW, SHIFT_Y, YAW
from training.people.mouth import JAW, PRESS

OPENING, HEAD, LIDS, BROWS = 0, slice(1, 6), 6, 7
"""Channels that are read; the head's are yaw, pitch, roll, shift x, shift y."""
NUM_READ: Final = 8
REACH: Final = np.array([11.0, 8.0, 5.0, 9.0, 6.0]) * SIZE / 256
"""Way of the middle of the face in pixels at 1 of each head channel, as it is painted."""
BROW_REACH: Final = 7.0 * SIZE / 256

_SEEN: Final = slice(16, 112)
_WIDTHS: Final = (48, 64, 96)
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Reader(Protocol):
    """Reads poses from pictures."""

    def read(self, pictures_FHW3: Bytes, portrait_HW3: Bytes) -> Floats:
        """Return the poses of a person's pictures: F NUM_READ."""
        ...


def readable(poses_FK: Floats) -> Floats:
    """Return the channels of a pose that the reader reads: F NUM_READ."""
    opening = poses_FK[:, JAW] * (1 - poses_FK[:, PRESS])
    columns = [opening[:, None], poses_FK[:, YAW : SHIFT_Y + 1], poses_FK[:, [BLINK, BROW]]]
    return np.concatenate(columns, 1).astype(np.float32)


class PoseReader(nn.Module):
    """A picture and its portrait to the channels of a pose: B 6 96 96 -> B NUM_READ."""

    def __init__(self) -> None:
        super().__init__()
        first, *widths = _WIDTHS
        layers: list[nn.Module] = [nn.Conv2d(6, first, 4, stride=4), nn.SiLU()]
        for before, after in pairwise((first, *widths)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.SiLU()]
        self.body = nn.Sequential(
            *layers,
            nn.Flatten(),
            nn.Linear(widths[-1] * 36, 128),
            nn.SiLU(),
            nn.Linear(128, NUM_READ),
        )

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        pose: Tensor = self.body(pictures_BCHW)
        return pose

    @torch.inference_mode()
    def read(self, pictures_FHW3: Bytes, portrait_HW3: Bytes) -> Floats:
        """Return the poses of a person's pictures: F NUM_READ."""
        portraits = np.broadcast_to(portrait_HW3, pictures_FHW3.shape)
        return np.asarray(self(beside(pictures_FHW3, portraits)).numpy())


def beside(pictures_BHW3: Bytes, portraits_BHW3: Bytes) -> Tensor:
    """Return the middle of pictures and portraits in [-1, 1]: B 6 96 96."""
    both = np.concatenate([pictures_BHW3, portraits_BHW3], -1)[:, _SEEN, _SEEN]
    return torch.from_numpy(np.ascontiguousarray(both)).permute(0, 3, 1, 2).float() / 127.5 - 1


def save_reader(reader: PoseReader, path: Path) -> None:
    """Write a safetensors file that appears whole."""
    with draft_of(path) as draft:
        save_file(reader.state_dict(), draft)


def load_reader(path: Path) -> PoseReader:
    """Return the reader that `save_reader` wrote."""
    reader = PoseReader()
    reader.load_state_dict(load_file(path))
    return reader.eval()
