"""`python -m tests.bench.audio_context`: how far what is heard jumps where pieces meet.

The jump is the mean change from a token to the next one across a border, against that in all other
places; in a track without borders it is about 1. The speech encoder is the embedded one.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sonic_ops.audio.whisper import encode_mel, log_mel
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.constants import (
    CHUNK_OVERLAP_SAMPLES,
    CHUNK_SAMPLES,
    SAMPLE_RATE_HZ,
    SAMPLES_PER_TOKEN,
)
from sonic_ops.core.timeline import cut_audio_chunks
from sonic_ops.pipeline import SonicPipeline
from tests.bench.speech import EXAMPLES, joined

SECONDS = 100
OVERLAPS = {"blocks": 0, "overlapped": CHUNK_OVERLAP_SAMPLES}


def recordings(folder: Path) -> dict[str, np.ndarray]:
    """Speech, and a synthetic voice that changes its tone all the time."""
    time_s = np.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time_s)) / SAMPLE_RATE_HZ
    voice = sum(np.sin(n * phase) / n for n in range(1, 20))
    swell = 0.1 * (1 + np.sin(2 * np.pi * 3.1 * time_s))
    synthetic = np.asarray(voice * swell, np.float32)
    return {"real speech": joined(folder, SECONDS), "synthetic": synthetic}


def tokens_of(
    encoder: torch.nn.Module, samples: np.ndarray, overlap: int
) -> tuple[Tensor, list[int]]:
    """All tokens, and the first token after each border."""
    pieces = cut_audio_chunks(len(samples), CHUNK_SAMPLES, overlap)
    track = torch.zeros(0)
    for piece in pieces:
        heard = encode_mel(encoder, log_mel(samples[piece.start : piece.stop]))  # type: ignore[arg-type]
        if not len(track):
            track = heard.new_zeros(len(samples) // SAMPLES_PER_TOKEN, *heard.shape[1:])
        for token in range(piece.rise.start, min(piece.fall.stop, len(track))):
            track[token] += piece.share(token) * heard[token - piece.first_token]
    return track, [(piece.rise.start + piece.rise.stop) // 2 for piece in pieces[1:]]


def jump(track_NLD: Tensor, borders: list[int]) -> tuple[float, float]:
    """The jump over all layers, and that of the last one."""
    change_NL = track_NLD.diff(dim=0).abs().mean(dim=2)
    at = torch.zeros(len(change_NL), dtype=torch.bool)
    at[[border - 1 for border in borders]] = True
    ratio_L = change_NL[at].mean(dim=0) / change_NL[~at].mean(dim=0)
    return float(change_NL[at].mean() / change_NL[~at].mean()), float(ratio_L[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, default=EXAMPLES)
    torch.set_num_threads(1)
    encoder = SonicPipeline.load(ModelsConfig(weights="package:sketch")).speech_encoder
    marks = list(range(1500, SECONDS * 50, 1500))
    print(
        "| sound | mode | where | jump, all layers | last layer |\n| --- | --- | --- | --- | --- |"
    )
    for name, samples in recordings(parser.parse_args().recordings).items():
        for mode, overlap in OVERLAPS.items():
            track, borders = tokens_of(encoder, samples, overlap)
            places = {"at 30 s marks": marks} | ({"at its own borders": borders} if overlap else {})
            for place, at in places.items():
                whole, last = jump(track, at)
                print(f"| {name} | `{mode}` | {place} | {whole:.2f} | {last:.2f} |", flush=True)


if __name__ == "__main__":
    main()
