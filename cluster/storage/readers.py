"""A track of the whole video out of its files; only those that are asked for are read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from cluster.storage.artifacts import read_tensors
from sonic_ops.core.timeline import Piece, Segment


class TokenTrack:
    """Tokens of the whole track out of the files of its pieces."""

    def __init__(self, pieces: Sequence[Piece], files: Sequence[str], num_tokens: int) -> None:
        self._pieces = pieces
        self._files = files
        self._num_tokens = num_tokens
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Tokens `[start, stop)`: (stop - start, L, D), zero outside the track.

        Sums run in the order of the pieces, so that a token does not depend on what is read.
        """
        first, last = max(start, 0), min(stop, self._num_tokens)
        inside = min(max(first, 0), self._num_tokens - 1)
        out: Tensor | None = None
        for piece in self._pieces:
            span = range(max(first, piece.rise.start), min(last, piece.fall.stop))
            if not span and (out is not None or piece.share(inside) == 0):
                continue
            tokens = self._tokens(piece.index)
            if out is None:
                out = tokens.new_zeros(stop - start, *tokens.shape[1:])
            share = torch.tensor([piece.share(token) for token in span])[:, None, None]
            part = tokens[span.start - piece.first_token : span.stop - piece.first_token]
            out[span.start - start : span.stop - start] += share * part
        assert out is not None
        return out

    def _tokens(self, index: int) -> Tensor:
        if index not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k >= index - 1}
            self._cache[index] = read_tensors(self._files[index])["tokens"]
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
