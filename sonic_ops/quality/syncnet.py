"""How well lips fit the audio, as SyncNet sees it with the weights that a user gives.

Shape letters: N embeddings, one for every 1/25 s, E numbers of each, L shifts of the audio, T
frames in a row, H, W rows and columns.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from sonic_ops.audio.prosody import Samples
from sonic_ops.core.errors import ConfigError
from sonic_ops.models.inventory import compare, shapes_of
from sonic_ops.models.syncnet import NUM_FACES, NUM_STEPS, SyncNet
from sonic_ops.quality.cepstra import STEPS_PER_SECOND, cepstra
from sonic_ops.quality.crops import SEEN_FPS
from sonic_ops.quality.measures import other_times
from sonic_ops.released.checkpoint import read_checkpoint

MAX_SHIFT: Final = 15
"""Frames by which the audio is moved to either side."""
MIN_SEEN: Final = 2 * MAX_SHIFT + 1
"""Embeddings below which nothing is said: most shifts would compare with nothing."""

_STEPS_PER_FRAME: Final = STEPS_PER_SECOND // SEEN_FPS
_BLOCK: Final = 16
_COMPARED: Final = 512
_COUNTER: Final = "num_batches_tracked"  # of training; older files have none
Bytes = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class SyncNetScorer:
    """SyncNet with weights; `digest` is the hash of their file."""

    network: SyncNet
    device: str
    digest: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What SyncNet says of some time; None where there is too little of it."""

    confidence: float | None = None
    distance: float | None = None
    offset_ms: float | None = None


def load_scorer(path: Path, device: str) -> SyncNetScorer:
    """SyncNet with the weights of a file, `syncnet_v2.model` or the same as safetensors.

    Raises ConfigError if there is no such file, or if it holds anything but these weights.
    """
    if not path.is_file():
        raise ConfigError(
            f"the SyncNet weights {path} do not exist",
            remedy="Use syncnet_v2.model, as published by the authors of SyncNet.",
        )
    weights = read_checkpoint(path)
    network = SyncNet()
    needed = shapes_of(network)
    optional = [name for name in needed if name.endswith(_COUNTER)]
    if difference := compare(needed, shapes_of(weights), optional):
        raise ConfigError(
            f"{path} are not the weights of SyncNet: {difference}",
            remedy="Use syncnet_v2.model, as published by the authors of SyncNet.",
        )
    network.load_state_dict({**{n: network.state_dict()[n] for n in optional}, **weights})
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SyncNetScorer(network.float().to(device).eval(), device, digest)


def embed_video(scorer: SyncNetScorer, faces: Iterable[Bytes]) -> Iterator[NDArray[np.float32]]:
    """Blocks of embeddings of faces of 224 x 224 pixels: (T, E); number n sees `[n, n + 5)`."""
    waiting: list[Bytes] = []
    for face_HW3 in faces:
        waiting.append(face_HW3)
        if len(waiting) == _BLOCK + NUM_FACES - 1:
            yield _seen(scorer, waiting)
            waiting = waiting[_BLOCK:]
    if len(waiting) >= NUM_FACES:
        yield _seen(scorer, waiting)


def embed_audio(scorer: SyncNetScorer, samples: Samples, num: int) -> Iterator[NDArray[np.float32]]:
    """Blocks of embeddings of audio at 16 kHz: (T, E); number n covers 0.2 s from n / 25 s on."""
    for start in range(0, num, _BLOCK):
        stop = min(start + _BLOCK, num)
        first = start * _STEPS_PER_FRAME
        cepstra_TK = cepstra(samples, first, (stop - 1) * _STEPS_PER_FRAME + NUM_STEPS)
        spans = np.lib.stride_tricks.sliding_window_view(cepstra_TK, NUM_STEPS, axis=0)
        spans_NKS = torch.from_numpy(spans[::_STEPS_PER_FRAME].copy()).to(scorer.device)
        with torch.inference_mode():
            yield scorer.network.embed_audio(spans_NKS).cpu().numpy()


def _seen(scorer: SyncNetScorer, faces: list[Bytes]) -> NDArray[np.float32]:
    blue_first_THW3 = np.stack(faces)[..., ::-1].copy()
    faces_3THW = torch.from_numpy(blue_first_THW3).to(scorer.device).permute(3, 0, 1, 2)
    with torch.inference_mode():
        embedded_NE: NDArray[np.float32] = (
            scorer.network.embed_video(faces_3THW.float()).cpu().numpy()
        )
    return embedded_NE


def distances(lips_NE: Floats, audio_NE: Floats, moved: int = 0) -> NDArray[np.float32]:
    """Compute distances of lips and audio at shifts of up to 15 frames: N L.

    As in the release, what is before and after the audio is an embedding of zeros. Audio that is
    `moved` comes from so many frames later, and after its end from its beginning.
    """
    num = len(lips_NE)
    found_NL = np.empty((num, 2 * MAX_SHIFT + 1), np.float32)
    for start in range(0, num, _COMPARED):
        lips = torch.from_numpy(lips_NE[start : start + _COMPARED].copy())
        places = np.arange(start - MAX_SHIFT, start + len(lips) + MAX_SHIFT)
        is_inside = (places >= 0) & (places < num)
        embedded = audio_NE[(places + moved) % num] * is_inside[:, None]
        audio = torch.from_numpy(embedded.astype(np.float32))
        for shift in range(found_NL.shape[1]):
            apart = F.pairwise_distance(lips, audio[shift : shift + len(lips)])
            found_NL[start : start + len(lips), shift] = apart.numpy()
    return found_NL


def verdict(distances_NL: Floats) -> Verdict:
    """Score a span of time: LSE-D, LSE-C and offset, as the release computes them.

    These are the smallest mean distance, how far it lies below the median, and its shift.
    """
    if len(distances_NL) < MIN_SEEN:
        return Verdict()
    mean_L = distances_NL.mean(0, dtype=np.float64)
    best = int(mean_L.argmin())
    distance = float(mean_L[best])
    is_found = 0 < best < 2 * MAX_SHIFT  # at a limit of the search it is not measurable
    offset_ms = 1000 / SEEN_FPS * (MAX_SHIFT - best) if is_found else None
    return Verdict(float(np.median(mean_L)) - distance, distance, offset_ms)


def by_chance(lips_NE: Floats, audio_NE: Floats) -> Verdict:
    """Score the audio of 16 other times, averaged; their offsets mean nothing."""
    if len(lips_NE) < MIN_SEEN:
        return Verdict()
    said = [verdict(distances(lips_NE, audio_NE, n)) for n in other_times(len(lips_NE))]
    confidence, distance = (
        float(np.mean([getattr(one, name) for one in said])) for name in ("confidence", "distance")
    )
    return Verdict(confidence, distance)
