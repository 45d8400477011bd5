"""Speech features of whole clips, as the renderer makes them.

Shape letters: L tokens, K = 5 hidden states, D = 384 channels.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.audio import encode_piece, log_mel
from sonic_ops.constants import (
    MOTION_BEFORE_TOKENS,
    MOTION_SPAN_TOKENS,
    PIECE_SAMPLES,
    PIECE_TOKENS,
    SAMPLE_RATE_HZ,
    TOKENS_PER_SECOND,
)

BEFORE: Final = MOTION_BEFORE_TOKENS
AFTER: Final = MOTION_SPAN_TOKENS - MOTION_BEFORE_TOKENS
"""Zero rows around the features of a clip, so that every window can be cut without a test."""


def load_encoder(folder: Path) -> WhisperEncoder:
    """The frozen speech encoder; its sinusoids are not stored."""
    config = WhisperConfig.from_pretrained(folder)
    encoder = WhisperEncoder(config)
    state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    missing = encoder.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"embed_positions.weight"}
    return encoder.eval().requires_grad_(False)


@torch.no_grad()
def speech_features(encoder: WhisperEncoder, samples: NDArray[np.float32]) -> torch.Tensor:
    """Features of a clip of at most 30 s, half precision: BEFORE zeros, L, AFTER zeros; K, D."""
    assert len(samples) <= PIECE_SAMPLES
    tokens = encode_piece(encoder, log_mel(samples))
    num_tokens = min(len(samples) * TOKENS_PER_SECOND // SAMPLE_RATE_HZ, PIECE_TOKENS)
    rows = torch.zeros(BEFORE + num_tokens + AFTER, *tokens.shape[1:], dtype=torch.float16)
    rows[BEFORE : BEFORE + num_tokens] = tokens[:num_tokens].half()
    return rows
