"""Facts of the released weights, and what follows from them.

Source: Sonic (arXiv:2411.16331), its released model, and OpenAI Whisper.
"""

from fractions import Fraction
from typing import Final

NUMERICS: Final = 3
"""Raised by every change of the results, so that finished work is not mistaken for current work."""
FILM_NUMERICS: Final = 1
"""The same, of dubbed films alone."""

SAMPLE_RATE_HZ: Final = 16_000
TICKS_PER_SECOND: Final = 25
TOKENS_PER_SECOND: Final = 50
MODEL_FPS: Final = Fraction(25, 2)
OUTPUT_FPS: Final = Fraction(25)  # unless a preset or a row says otherwise
CHUNK_SECONDS: Final = 30
NUM_MEL_BINS: Final = 80


def exact_div(a: int | Fraction, b: int | Fraction) -> int:
    """Divide numbers whose quotient must be whole."""
    quotient = Fraction(a) / Fraction(b)
    if quotient.denominator != 1:
        raise ArithmeticError(f"{a} / {b} is not a whole number")
    return quotient.numerator


SAMPLES_PER_TICK: Final = exact_div(SAMPLE_RATE_HZ, TICKS_PER_SECOND)  # 640
SAMPLES_PER_FRAME: Final = exact_div(SAMPLE_RATE_HZ, MODEL_FPS)  # 1280
TICKS_PER_FRAME: Final = exact_div(TICKS_PER_SECOND, MODEL_FPS)  # 2
TOKENS_PER_FRAME: Final = exact_div(TOKENS_PER_SECOND, MODEL_FPS)  # 4
TOKENS_PER_TICK: Final = exact_div(TOKENS_PER_SECOND, TICKS_PER_SECOND)  # 2
OUTPUT_FRAMES_PER_FRAME: Final = exact_div(OUTPUT_FPS, MODEL_FPS)  # 2
SAMPLES_PER_TOKEN: Final = exact_div(SAMPLE_RATE_HZ, TOKENS_PER_SECOND)  # 320
CHUNK_SAMPLES: Final = CHUNK_SECONDS * SAMPLE_RATE_HZ  # 480,000
CHUNK_TOKENS: Final = CHUNK_SECONDS * TOKENS_PER_SECOND  # 1500
CHUNK_OVERLAP_SAMPLES: Final = 5 * SAMPLE_RATE_HZ  # if chunks overlap
FADE_TOKENS: Final = TOKENS_PER_SECOND  # in the middle of an overlap: both sides have 2 s more

WINDOW_FRAMES: Final = 25
SHIFT_FRAMES: Final = 7

# Tokens that a frame sees: [4f - before, 4f - before + span).
SPEECH_SPAN_TOKENS: Final = 10
SPEECH_BEFORE_TOKENS: Final = 4
MOTION_SPAN_TOKENS: Final = 50
MOTION_BEFORE_TOKENS: Final = 24

BUCKET_GAIN: Final = 16.0
BUCKET_OFFSET: Final = 16.0

READY: Final = "ready"
LOOK: Final = "look at it"
FAILED: Final = "failed"
VERDICTS: Final = (FAILED, LOOK, READY)
"""What is said of a finished video, the worst first."""
