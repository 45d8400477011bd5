"""SyncNet, which says how well lips fit speech: two branches into one space of 1024 numbers.

Shape letters: N embeddings, T frames in a row, H, W rows and columns of a face, K cepstra, S steps
of 10 ms, E numbers of an embedding.
Source: Chung and Zisserman, "Out of time: automated lip sync in the wild", ACCV workshops 2016;
layers and names of weights are those of the model that its authors release as `syncnet_v2.model`.
"""

from typing import Final

from torch import Tensor, nn

NUM_FACES: Final = 5
"""Frames that an embedding of lips sees."""
FACE_PIXELS: Final = 224
"""Rows and columns of such a frame."""
NUM_STEPS: Final = 20
"""Steps of 10 ms that an audio embedding covers."""
EMBEDDED: Final = 1024
"""Numbers of an embedding."""

_CHANNELS: Final = 512  # of a branch, before its head


class SyncNet(nn.Module):
    """Embeddings of lips and of audio; those of a moment are close to each other if they fit."""

    def __init__(self) -> None:
        super().__init__()
        self.netcnnaud = _audio_branch()
        self.netfcaud = _head()
        self.netcnnlip = _lip_branch()
        self.netfclip = _head()

    def embed_video(self, faces_3THW: Tensor) -> Tensor:
        """Embed every 5 frames of lips: 3 T 224 224, blue first, 0 to 255 -> T - 4 E.

        Each embedding depends on its own frames alone, so a video can be cut anywhere.
        """
        found = self.netcnnlip(faces_3THW[None])[0, :, :, 0, 0]
        embedded: Tensor = self.netfclip(found.T)
        return embedded

    def embed_audio(self, cepstra_NKS: Tensor) -> Tensor:
        """Embed every 20 steps of cepstra: N 13 20 -> N E."""
        found = self.netcnnaud(cepstra_NKS[:, None])
        embedded: Tensor = self.netfcaud(found.flatten(1))
        return embedded


def _audio_branch() -> nn.Sequential:
    return nn.Sequential(
        *_level(nn.Conv2d(1, 64, 3, padding=1)),
        nn.Identity(),  # the release pools over one value here: the place counts in the names
        *_level(nn.Conv2d(64, 192, 3, padding=1)),
        nn.MaxPool2d(3, stride=(1, 2)),
        *_level(nn.Conv2d(192, 384, 3, padding=1)),
        *_level(nn.Conv2d(384, 256, 3, padding=1)),
        *_level(nn.Conv2d(256, 256, 3, padding=1)),
        nn.MaxPool2d(3, stride=2),
        *_level(nn.Conv2d(256, _CHANNELS, (5, 4))),
    )


def _lip_branch() -> nn.Sequential:
    pool, small, beside = (1, 3, 3), (1, 2, 2), (0, 1, 1)
    return nn.Sequential(
        *_level(nn.Conv3d(3, 96, (NUM_FACES, 7, 7), stride=small)),
        nn.MaxPool3d(pool, stride=small),
        *_level(nn.Conv3d(96, 256, (1, 5, 5), stride=small, padding=beside)),
        nn.MaxPool3d(pool, stride=small, padding=beside),
        *_level(nn.Conv3d(256, 256, pool, padding=beside)),
        *_level(nn.Conv3d(256, 256, pool, padding=beside)),
        *_level(nn.Conv3d(256, 256, pool, padding=beside)),
        nn.MaxPool3d(pool, stride=small),
        *_level(nn.Conv3d(256, _CHANNELS, (1, 6, 6))),
    )


def _level(convolution: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, ...]:
    norm = nn.BatchNorm2d if isinstance(convolution, nn.Conv2d) else nn.BatchNorm3d
    return convolution, norm(convolution.out_channels), nn.ReLU(inplace=True)


def _head() -> nn.Sequential:
    first, last = nn.Linear(_CHANNELS, _CHANNELS), nn.Linear(_CHANNELS, EMBEDDED)
    return nn.Sequential(first, nn.BatchNorm1d(_CHANNELS), nn.ReLU(), last)
