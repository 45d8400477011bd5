"""A worker that notes what its jobs take: how a machine is calibrated. Knows nothing of Ray."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from cluster.video.worker import RenderWorker
from sonic_ops.core.config import MediaConfig, ModelsConfig
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.media.encoding import encode_frames, settings_of
from sonic_ops.picture.compositing import paste, prepare_backdrop
from sonic_ops.picture.faces import Box

PASTED_SIDES = 2
"""The side of what is pasted on the picture, in sides of a frame."""

_PEAKS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # of the kernel: https://docs.kernel.org/filesystems/proc.html


@dataclass(frozen=True, slots=True)
class Note:
    """What one job took: seconds, and the most memory of the process and on its device."""

    method: str
    seconds: float
    peak_bytes: int
    device_peak_bytes: int


class MeteredWorker:
    """A `RenderWorker` whose jobs leave notes in a file of its own in `folder`."""

    def __init__(self, folder: str, models: ModelsConfig) -> None:
        self._notes = Path(folder) / f"{os.getpid()}.jsonl"
        self._worker = RenderWorker(models)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._worker, name)
        return self._noted(method) if callable(method) else method

    def interpolate(self, num_frames: int, side: int, media: MediaConfig) -> None:
        """Make what is in the middle of so many frames of that size and the next ones."""
        pictures = _pictures(num_frames + 1, side)
        way = self._worker.pipe.interpolator(media.interpolation)
        middles = output_frames(way, pictures, 0, range(1, 2 * num_frames, 2))
        self._noted(_drained, "interpolate")(middles)

    def paste(self, num_frames: int, side: int) -> None:
        """Put so many frames of that size into a picture, where each is larger."""
        part, pictures = PASTED_SIDES * side, _pictures(num_frames, side)
        middle = Box(part, part, part / 2, part / 2)
        whole = Image.fromarray(_pictures(1, 2 * part)[0])
        corners = (part // 2, part // 2, part // 2 + part, part // 2 + part)
        backdrop = prepare_backdrop(whole, corners, middle)
        self._noted(_drained, "paste")(paste(iter(pictures), backdrop))

    def compress(self, num_frames: int, side: int, media: MediaConfig, target: str) -> None:
        """Encode so many frames of that size."""
        pictures = _pictures(num_frames, side)
        name = f"compress {media.codec}"
        self._noted(encode_frames, name)(iter(pictures), Path(target), settings_of(media))

    def _noted(self, method: Callable[..., Any], name: str = "") -> Callable[..., Any]:
        @wraps(method)
        def noted(*args: Any, **kwargs: Any) -> Any:
            _reset_peaks()
            started_s = time.perf_counter()
            result = method(*args, **kwargs)
            seconds = time.perf_counter() - started_s
            note = Note(name or method.__name__, seconds, *_peaks_bytes())
            with self._notes.open("a") as file:
                file.write(f"{json.dumps(asdict(note))}\n")
            return result

        return noted


def read_notes(folder: str) -> list[Note]:
    """What the workers have noted since the notes were last removed."""
    lines = (line for path in Path(folder).glob("*.jsonl") for line in path.read_text().split("\n"))
    return [Note(**json.loads(line)) for line in lines if line]


def remove_notes(folder: str) -> None:
    """Begin anew; no job may run."""
    for path in Path(folder).glob("*.jsonl"):
        path.unlink()


def _pictures(num_frames: int, side: int) -> Any:
    """A wave that moves, with some noise: neither the easiest nor the hardest to encode."""
    noise = np.random.default_rng(0).normal(0, 4, (side, side, 3))
    y, x = np.mgrid[0:side, 0:side] / side * 2 * np.pi
    waves = [96 * np.sin(3 * x + 0.3 * f) * np.cos(2 * y - 0.2 * f) for f in range(num_frames)]
    return np.stack([(128 + wave[..., None] + noise) for wave in waves]).clip(0, 255).astype("u1")


def _drained(frames: Any) -> None:
    for _ in frames:
        pass


def _reset_peaks() -> None:
    with suppress(OSError):  # without the right to, the peaks are those of the process so far
        _PEAKS.write_text(_RESET_PEAK)
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def _peaks_bytes() -> tuple[int, int]:
    """The most memory of this process and on its device, since the last reset."""
    device = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
    try:
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, ValueError):  # not Linux
        return 0, device
    return 1024 * int(line.split()[1]), device
