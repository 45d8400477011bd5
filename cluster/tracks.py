"""A track of the whole video out of its files; only those that are asked for are read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cluster.artifacts import read_tensors
from sonic_ops.constants import PIECE_TOKENS
from sonic_ops.timeline import Segment


class TokenTrack:
    """Tokens of the whole track out of its pieces."""

    def __init__(self, pieces: Sequence[str], num_tokens: int) -> None:
        self._pieces = pieces
        self._num_tokens = num_tokens
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Tokens `[start, stop)`: (stop - start, L, D), zero outside the track."""
        first, last = max(start, 0), min(stop, self._num_tokens)
        like = self._piece(min(max(first, 0), self._num_tokens - 1) // PIECE_TOKENS)
        out = like.new_zeros(stop - start, *like.shape[1:])
        while first < last:
            index, offset = divmod(first, PIECE_TOKENS)
            part = self._piece(index)[offset : offset + last - first]
            out[first - start : first - start + len(part)] = part
            first += len(part)
        return out

    def _piece(self, index: int) -> Tensor:
        if index not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k >= index - 1}
            self._cache[index] = read_tensors(self._pieces[index])["tokens"]
        return self._cache[index]


class LatentTrack:
    """Latents of neighbouring segments out of their files."""

    def __init__(self, segments: Sequence[Segment], files: Sequence[str]) -> None:
        self._segments = segments
        self._files = files
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Latents of the frames `[start, stop)`: (F, C, H, W)."""
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
