"""The rows that a calibration renders, and the worker that renders them."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image

from cluster.video.worker import RenderWorker
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.media.encoding import ENCODERS, encode_frames, settings_of
from sonic_ops.picture.compositing import paste, prepare_backdrop
from sonic_ops.picture.faces import Box

PASTED_SIDES = 2
"""The side of what is pasted on the image, in sides of a frame."""


@dataclass(frozen=True, slots=True)
class Round:
    """Rows that are rendered at once: how many there are, and their length."""

    num_rows: int
    num_frames: int

    @property
    def video_s(self) -> float:
        """Return the seconds of video."""
        return self.num_frames * SAMPLES_PER_FRAME / SAMPLE_RATE_HZ


def write_inputs(audio: Path, image: Path, size: Round, order: int) -> None:
    """Write noise in syllables as the voice, and coloured clouds as the image.

    Every row has others: a worker does not encode a portrait again that it has seen.
    """
    rng = np.random.default_rng(order)
    num_samples = size.num_frames * SAMPLES_PER_FRAME
    syllables = np.abs(np.sin(np.arange(num_samples) / SAMPLE_RATE_HZ * 12))
    soundfile.write(audio, 0.2 * syllables * rng.standard_normal(num_samples), SAMPLE_RATE_HZ)
    clouds = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    clouds.resize((512, 512), Image.Resampling.BICUBIC).save(image)


class CalibrationWorker(RenderWorker):
    """A worker that can also run, and time, the parts of a job one by one."""

    def interpolate(self, num_frames: int, side: int, media: MediaConfig) -> float:
        """Make the frames halfway between so many frames of that size; the seconds it took."""
        frames = _frames(num_frames + 1, side)
        way = self.pipe.interpolator(media.interpolation)
        return _drained_s(output_frames(way, frames, 0, range(1, 2 * num_frames, 2)))

    def paste(self, num_frames: int, side: int) -> float:
        """Put so many frames of that size, enlarged, into an image; the seconds it took."""
        part, frames = PASTED_SIDES * side, _frames(num_frames, side)
        middle = Box(part, part, part / 2, part / 2)
        whole = Image.fromarray(_frames(1, 2 * part)[0])
        corners = (part // 2, part // 2, part // 2 + part, part // 2 + part)
        return _drained_s(paste(iter(frames), prepare_backdrop(whole, corners, middle)))

    def compress(self, num_frames: int, side: int, media: MediaConfig) -> float:
        """Encode so many frames of that size; the seconds it took."""
        frames, muxer = iter(_frames(num_frames, side)), ENCODERS[media.codec or "h264"].muxer
        with scratch_folder() as folder:
            target = folder / f"video.{muxer}"
            return _seconds(partial(encode_frames, frames, target, settings_of(media)))

    def device_bytes(self) -> int:
        """Tell the memory of the device; 0 if it is that of the machine."""
        if self.pipe.compute_device.type != "cuda":
            return 0
        return int(torch.cuda.get_device_properties(self.pipe.compute_device).total_memory)


def _frames(num_frames: int, side: int) -> Any:
    """Draw a wave that moves, with some noise: neither the easiest nor the hardest to encode."""
    noise = np.random.default_rng(0).normal(0, 4, (side, side, 3))
    y, x = np.mgrid[0:side, 0:side] / side * 2 * np.pi
    waves = [96 * np.sin(3 * x + 0.3 * f) * np.cos(2 * y - 0.2 * f) for f in range(num_frames)]
    return np.stack([(128 + wave[..., None] + noise) for wave in waves]).clip(0, 255).astype("u1")


def _drained_s(frames: Iterable[Any]) -> float:
    return _seconds(lambda: sum(1 for _ in frames))


def _seconds(action: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    action()
    return time.perf_counter() - started_s
