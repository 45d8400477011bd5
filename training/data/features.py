"""Speech features of whole clips, as the renderer makes them.

Shape letters: L tokens, K = 5 hidden states, D = 384 channels.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.audio.whisper import encode_mel
from sonic_ops.core.constants import (
    CHUNK_SAMPLES,
    CHUNK_TOKENS,
    MOTION_BEFORE_TOKENS,
    MOTION_SPAN_TOKENS,
    SAMPLE_RATE_HZ,
    TOKENS_PER_SECOND,
)

BEFORE: Final = MOTION_BEFORE_TOKENS
AFTER: Final = MOTION_SPAN_TOKENS - MOTION_BEFORE_TOKENS
"""Zero rows around the features of a clip, so that every window can be cut without a test."""
_MEL_FRAMES_PER_TOKEN: Final = 2
_LOWEST_MEL, _MEL_STEP = -1.6, 0.03
_FLOOR, _SILENT_MEL = 2.0, -1.5
"""Whisper's log-mel: nothing is lower than the piece's maximum less 2, nor than -1.5."""


def load_encoder(folder: Path) -> WhisperEncoder:
    """Return the frozen speech encoder; its sinusoids are not stored."""
    config = WhisperConfig.from_pretrained(folder)
    encoder = WhisperEncoder(config)
    state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    missing = encoder.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert set(missing.missing_keys) <= {"embed_positions.weight"}
    return encoder.eval().requires_grad_(False)


def token_rows(encoder: WhisperEncoder, mel_MT: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """Features of a clip, half precision, with zeros around: BEFORE + L + AFTER, K, D."""
    tokens = encode_mel(encoder, mel_MT)[:num_tokens]
    rows = torch.zeros(BEFORE + num_tokens + AFTER, *tokens.shape[1:], dtype=torch.float16)
    rows[BEFORE : BEFORE + num_tokens] = tokens.half()
    return rows


def tokens_of(samples: NDArray[np.float32]) -> int:
    """Return how many tokens a clip of at most 30 s has."""
    assert len(samples) <= CHUNK_SAMPLES
    return min(len(samples) * TOKENS_PER_SECOND // SAMPLE_RATE_HZ, CHUNK_TOKENS)


def pack_mel(mel_MT: torch.Tensor, num_tokens: int) -> NDArray[np.uint8]:
    """Return the mel frames of a clip in 1 byte each: 2 L, M. What follows them is silence."""
    spoken = mel_MT[:, : _MEL_FRAMES_PER_TOKEN * num_tokens].T
    packed = ((spoken - _LOWEST_MEL) / _MEL_STEP).round().clamp(0, 255)
    return np.asarray(packed.byte().numpy())


def unpack_mel(packed: NDArray[np.uint8]) -> torch.Tensor:
    """Return the log-mel of the piece, M T; in speech, exact to half a step of 0.03."""
    spoken = torch.from_numpy(packed.astype(np.float32).T) * _MEL_STEP + _LOWEST_MEL
    missing = CHUNK_TOKENS * _MEL_FRAMES_PER_TOKEN - spoken.shape[1]
    silence = max(float(spoken.max()) - _FLOOR, _SILENT_MEL)
    return F.pad(spoken, (0, missing), value=silence)
