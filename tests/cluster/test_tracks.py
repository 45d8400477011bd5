"""Tokens of the track out of its pieces: the same whatever is read, and without a step inside."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cluster import artifacts
from cluster.tracks import TokenTrack
from sonic_ops.constants import SAMPLES_PER_TOKEN
from sonic_ops.timeline import Piece, cut_pieces

NUM_TOKENS = 430
PIECE_TOKENS = 100


def made(folder: Path, overlap_tokens: int) -> tuple[tuple[Piece, ...], list[Tensor], list[str]]:
    """Pieces of 100 tokens (L=2, D=3), every one with numbers of its own."""
    pieces = cut_pieces(
        NUM_TOKENS * SAMPLES_PER_TOKEN,
        PIECE_TOKENS * SAMPLES_PER_TOKEN,
        overlap_tokens * SAMPLES_PER_TOKEN,
    )
    generator = torch.Generator().manual_seed(1)
    tokens = [torch.randn(PIECE_TOKENS, 2, 3, generator=generator) for _ in pieces]
    files = [str(folder / f"{piece.index}.safetensors") for piece in pieces]
    for file, own in zip(files, tokens, strict=True):
        artifacts.write_tensors(file, lambda own=own: {"tokens": own})  # type: ignore[misc]
    return pieces, tokens, files


@pytest.mark.parametrize("overlap_tokens", [0, 4, 60])
def test_a_token_is_the_mean_of_its_pieces_whatever_is_read(
    tmp_path: Path, overlap_tokens: int
) -> None:
    pieces, tokens, files = made(tmp_path, overlap_tokens)
    whole = TokenTrack(pieces, files, NUM_TOKENS).read(0, NUM_TOKENS)
    for token in range(NUM_TOKENS):
        expected = torch.zeros(2, 3)
        for piece, own in zip(pieces, tokens, strict=True):
            if share := piece.share(token):
                expected += share * own[token - piece.first_token]
        assert torch.allclose(whole[token], expected, atol=1e-6)
    track = TokenTrack(pieces, files, NUM_TOKENS)
    for start, stop in ((-24, 30), (90, 130), (180, 181), (395, 456), (10, 40), (430, 440)):
        padded = torch.cat([torch.zeros(24, 2, 3), whole, torch.zeros(30, 2, 3)])
        assert torch.equal(track.read(start, stop), padded[start + 24 : stop + 24])


def test_side_by_side_the_tokens_are_those_of_the_pieces(tmp_path: Path) -> None:
    pieces, tokens, files = made(tmp_path, 0)
    whole = TokenTrack(pieces, files, NUM_TOKENS).read(0, NUM_TOKENS)
    assert torch.equal(whole, torch.cat(tokens)[:NUM_TOKENS])
