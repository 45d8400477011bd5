"""Whisper's features of a track: log-mel and hidden states of its chunks, joined to one track.

Shape letters: S samples, M mel bins, T mel frames, L tokens, K kept layers, D channels.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.core.constants import CHUNK_SAMPLES, NUM_MEL_BINS, SAMPLE_RATE_HZ
from sonic_ops.core.timeline import AudioChunk


def log_mel(samples_S: NDArray[np.float32]) -> Tensor:
    """Compute Whisper's log-mel of a chunk, padded with silence to 30 s: S -> M T (3000 steps).

    The floor is the chunk's own maximum minus 8, so loudness is normalised per chunk.
    Source: Whisper (arXiv:2212.04356), by its feature extractor in transformers.
    """
    assert samples_S.shape[0] <= CHUNK_SAMPLES
    features = _extractor()(samples_S, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np")
    return torch.from_numpy(features["input_features"][0])


@torch.no_grad()
def encode_mel(encoder: WhisperEncoder, mel_MT: Tensor) -> Tensor:
    """Compute the hidden states of one chunk: M T -> L K D with 1500 tokens.

    K holds the embeddings and every layer's output; the last layer's is the one after the final
    layer norm, as the released Sonic reads it.
    """
    weight = encoder.conv1.weight
    mel_1MT = mel_MT[None].to(weight.device, weight.dtype)
    output = encoder(mel_1MT, output_hidden_states=True)
    return torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=2)[0]


def encode_chunk(encoder: WhisperEncoder, samples_S: NDArray[np.float32]) -> Tensor:
    """Return hidden states of up to 30 s of audio: S -> L K D with 1500 tokens."""
    return encode_mel(encoder, log_mel(samples_S))


@cache
def _extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=NUM_MEL_BINS, sampling_rate=SAMPLE_RATE_HZ)


class TokenTrack:
    """Tokens of the whole track, read from its chunks when needed."""

    def __init__(
        self, chunks: Sequence[AudioChunk], read_chunk: Callable[[int], Tensor], num_tokens: int
    ) -> None:
        self._chunks = chunks
        self._read_chunk = read_chunk
        self._num_tokens = num_tokens
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Return tokens `[start, stop)`: (stop - start, L, D), zero outside the track.

        Sums run in the order of the chunks, so that a token does not depend on what is read.
        """
        first, last = max(start, 0), min(stop, self._num_tokens)
        inside = min(max(first, 0), self._num_tokens - 1)
        out: Tensor | None = None
        for chunk in self._chunks:
            span = range(max(first, chunk.rise.start), min(last, chunk.fall.stop))
            if not span and (out is not None or chunk.share(inside) == 0):
                continue
            tokens = self._tokens(chunk.index)
            if out is None:
                out = tokens.new_zeros(stop - start, *tokens.shape[1:])
            if not span:  # all that is asked for is outside: its form alone is of use
                continue
            share = torch.tensor([chunk.share(token) for token in span])[:, None, None]
            part = tokens[span.start - chunk.first_token : span.stop - chunk.first_token]
            out[span.start - start : span.stop - start] += share * part
        assert out is not None
        return out

    def _tokens(self, index: int) -> Tensor:
        if index not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k >= index - 1}
            self._cache[index] = self._read_chunk(index)
        return self._cache[index]
