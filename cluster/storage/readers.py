"""A track of the whole video out of its files; only those that are asked for are read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cluster.storage.artifacts import read_tensors
from sonic_ops.audio.whisper import TokenTrack
from sonic_ops.core.timeline import AudioChunk, Segment


def token_track(chunks: Sequence[AudioChunk], files: Sequence[str], num_tokens: int) -> TokenTrack:
    """Open the tokens of a track from the files of its chunks."""
    return TokenTrack(chunks, lambda index: read_tensors(files[index])["tokens"], num_tokens)


class LatentTrack:
    """Latents of neighbouring segments out of their files."""

    def __init__(self, segments: Sequence[Segment], files: Sequence[str]) -> None:
        self._segments = segments
        self._files = files
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Return latents of the frames `[start, stop)`: (F, C, H, W)."""
        parts = [
            self._of(position)[max(start - segment.start, 0) : stop - segment.start]
            for position, segment in enumerate(self._segments)
            if segment.start < stop and segment.stop > start
        ]
        return torch.cat(parts)

    def _of(self, position: int) -> Tensor:
        if position not in self._cache:
            self._cache[position] = read_tensors(self._files[position])["latents"]
        return self._cache[position]
