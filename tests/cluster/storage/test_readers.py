"""Tokens of the track out of its pieces: the same whatever is read, and without a step inside."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cluster.pool.base import Pool
from cluster.storage import artifacts
from cluster.storage.readers import token_track
from cluster.video.render import encode_audio
from sonic_ops.audio.resampling import read_samples
from sonic_ops.audio.whisper import encode_mel, log_mel
from sonic_ops.core.config import AudioContext, ModelsConfig
from sonic_ops.core.constants import SAMPLES_PER_TOKEN
from sonic_ops.core.timeline import AudioChunk, cut_audio_chunks
from sonic_ops.pipeline import SonicPipeline
from tests.cluster.conftest import Prepare

NUM_TOKENS = 430
CHUNK_TOKENS = 100
OUTSIDE = ((442, 460), (-20, -10))
"""What a film asks for that goes on after its audio."""


def made(
    folder: Path, overlap_tokens: int
) -> tuple[tuple[AudioChunk, ...], list[Tensor], list[str]]:
    """Pieces of 100 tokens (L=2, D=3), every one with numbers of its own."""
    chunks = cut_audio_chunks(
        NUM_TOKENS * SAMPLES_PER_TOKEN,
        CHUNK_TOKENS * SAMPLES_PER_TOKEN,
        overlap_tokens * SAMPLES_PER_TOKEN,
    )
    generator = torch.Generator().manual_seed(1)
    tokens = [torch.randn(CHUNK_TOKENS, 2, 3, generator=generator) for _ in chunks]
    files = [str(folder / f"{chunk.index}.safetensors") for chunk in chunks]
    for file, own in zip(files, tokens, strict=True):
        artifacts.write_tensors(file, lambda own=own: {"tokens": own})  # type: ignore[misc]
    return chunks, tokens, files


@pytest.mark.parametrize("overlap_tokens", [0, 4, 60])
def test_a_token_is_the_mean_of_its_pieces_whatever_is_read(
    tmp_path: Path, overlap_tokens: int
) -> None:
    chunks, tokens, files = made(tmp_path, overlap_tokens)
    whole = token_track(chunks, files, NUM_TOKENS).read(0, NUM_TOKENS)
    for token in range(NUM_TOKENS):
        expected = torch.zeros(2, 3)
        for chunk, own in zip(chunks, tokens, strict=True):
            if share := chunk.share(token):
                expected += share * own[token - chunk.first_token]
        assert torch.allclose(whole[token], expected, atol=1e-6)
    track = token_track(chunks, files, NUM_TOKENS)
    for start, stop in (
        (-24, 30),
        (90, 130),
        (180, 181),
        (395, 456),
        (10, 40),
        (430, 440),
        *OUTSIDE,
    ):
        padded = torch.cat([torch.zeros(24, 2, 3), whole, torch.zeros(30, 2, 3)])
        assert torch.equal(track.read(start, stop), padded[start + 24 : stop + 24])


def test_side_by_side_the_tokens_are_those_of_the_pieces(tmp_path: Path) -> None:
    chunks, tokens, files = made(tmp_path, 0)
    whole = token_track(chunks, files, NUM_TOKENS).read(0, NUM_TOKENS)
    assert torch.equal(whole, torch.cat(tokens)[:NUM_TOKENS])


@pytest.mark.parametrize(
    ("context", "seconds", "kept"),
    [("blocks", 4, [200, 200, 100]), ("overlapped", 7, [250, 225, 350])],
)
def test_only_tokens_that_count_are_kept_and_all_frames_hear_the_same(
    tmp_path: Path,
    prepare: Prepare,
    local_pool: Pool,
    models: ModelsConfig,
    context: AudioContext,
    seconds: int,
    kept: list[int],
) -> None:
    known = prepare(125, tmp_path / "known")  # 10 s
    request = replace(known, work=str(tmp_path), audio_context=context, audio_chunk_s=seconds)
    files = encode_audio(local_pool, request, lambda progress: None)
    assert [len(artifacts.read_tensors(file)["tokens"]) for file in files] == kept
    chunks, whole = [job.chunk for job in request.chunks], [f"{file}.whole" for file in files]
    encoder = SonicPipeline.load(models).speech_encoder
    for chunk, file in zip(chunks, whole, strict=True):
        mel = log_mel(read_samples(request.audio, chunk.start, chunk.stop))
        artifacts.write_tensors(file, lambda mel=mel: {"tokens": encode_mel(encoder, mel)})  # type: ignore[misc]
    read, expected = (token_track(chunks, each, 500).read(-40, 600) for each in (files, whole))
    assert torch.equal(read, expected)
    assert read[:40].count_nonzero() == read[540:].count_nonzero() == 0 < read.count_nonzero()
