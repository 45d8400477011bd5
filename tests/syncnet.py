"""Weights of SyncNet whose answers can be computed by hand, and videos to ask them about.

Every layer passes its first channel on as it is. Number 0 of an embedding of lips is then the mean
brightness of blue of the second and third of its five frames (the largest near the middle of the
face), and number 0 of one of audio the largest of the first 5 cepstra in steps 4 to 10 of its 20,
which are in those two frames. All other numbers are 0.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import mux
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.models.syncnet import SyncNet

Floats = NDArray[np.floating]
FACE = Path(__file__).parent / "golden" / "faces" / "glasses.png"
LIP_GAIN, LIP_OFFSET = 0.1, -9.5
SOUND_GAIN, SOUND_OFFSET = 2.0, -34.0
"""Both embeddings of `make_speaker` lie between 2 and 8 with these."""
SAMPLES_PER_FRAME = 640


def readable_weights() -> dict[str, Tensor]:
    """The weights, by the names of the release."""
    weights = {name: torch.zeros_like(value) for name, value in SyncNet().state_dict().items()}
    for name, value in weights.items():
        if name.endswith("running_var"):
            value.fill_(1)
        elif name.endswith(".weight") and value.dim() == 1:
            value.fill_((1 + 1e-5) ** 0.5)  # what a norm of variance 1 divides by
        elif name.endswith(".weight"):
            middle = tuple(size // 2 for size in value.shape[2:])
            value[(0, 0, *middle)] = 1
    first = weights["netcnnlip.0.weight"]
    first[0, 0, :, 3, 3] = torch.tensor([0, 0.5, 0.5, 0, 0])
    last = weights["netcnnaud.18.weight"]
    last.zero_()[0, 0, 0, 1] = 1
    weights["netfclip.3.weight"][0, 0] = LIP_GAIN
    weights["netfclip.3.bias"][0] = LIP_OFFSET
    weights["netfcaud.3.weight"][0, 0] = SOUND_GAIN
    weights["netfcaud.3.bias"][0] = SOUND_OFFSET
    return weights


def save_weights(path: Path, weights: dict[str, Tensor] | None = None) -> Path:
    """Weights in a file as the release has them: without the counters of later versions."""
    held = readable_weights() if weights is None else weights
    held = {name: value for name, value in held.items() if "num_batches" not in name}
    torch.save(held, path, _use_new_zipfile_serialization=False)
    return path


def make_speaker(
    target: Path, num_frames: int, *, late: int = 0, seed: int = 0, fps: int = 25
) -> Path:
    """A face that is bright where a noise is loud, or some frames of 1/25 s later."""
    levels = np.random.default_rng(seed).uniform(0, 1, num_frames)
    with Image.open(FACE) as image:
        face = np.asarray(image.convert("RGB").resize((128, 128)))
    light = np.roll(levels, late)
    shown = [light[n * 25 // fps] for n in range(num_frames * fps // 25)]
    pictures = ((face * (0.7 + 0.3 * level)).astype(np.uint8) for level in shown)
    silent, wav = target.with_suffix(".silent.mp4"), target.with_suffix(".wav")
    encode_frames(pictures, silent, EncodeSettings(preset="ultrafast", fps=Fraction(fps)))
    noise = np.random.default_rng(seed + 1).uniform(-1, 1, num_frames * SAMPLES_PER_FRAME)
    loud = np.repeat(np.exp(levels * 1.5 - 4), SAMPLES_PER_FRAME)
    soundfile.write(wav, (noise * loud).astype(np.float32), 16000)
    mux(silent, Soundtrack(str(wav)), target)
    silent.unlink()
    wav.unlink()
    return target
