"""What the speech encoder hears of a piece: Whisper's log-mel, and its hidden states.

Shape letters: S samples, M mel bins, T mel frames, L tokens, K kept layers, D channels.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.core.constants import NUM_MEL_BINS, PIECE_SAMPLES, SAMPLE_RATE_HZ


def log_mel(samples_S: NDArray[np.float32]) -> Tensor:
    """Whisper's log-mel of one piece: S -> M T, padded with silence to 30 s (3000 mel frames).

    The floor is the piece's own maximum minus 8, so loudness is normalised per piece.
    Source: Whisper (arXiv:2212.04356), by its feature extractor in transformers.
    """
    assert samples_S.shape[0] <= PIECE_SAMPLES
    features = _extractor()(samples_S, sampling_rate=SAMPLE_RATE_HZ, return_tensors="np")
    return torch.from_numpy(features["input_features"][0])


@torch.no_grad()
def encode_piece(encoder: WhisperEncoder, mel_MT: Tensor) -> Tensor:
    """Hidden states of one piece: M T -> L K D with 1500 tokens.

    K holds the embeddings and every layer's output; the last layer's is the one after the final
    layer norm, as the released Sonic reads it.
    """
    weight = encoder.conv1.weight
    mel_1MT = mel_MT[None].to(weight.device, weight.dtype)
    output = encoder(mel_1MT, output_hidden_states=True)
    return torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=2)[0]


@cache
def _extractor() -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(feature_size=NUM_MEL_BINS, sampling_rate=SAMPLE_RATE_HZ)
