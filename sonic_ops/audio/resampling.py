"""From any audio file to 16 kHz samples."""

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.endings import unreadable
from sonic_ops.audio.reading import read_audio
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.core.errors import AudioTooShortError, DamagedFileError
from sonic_ops.core.files import draft_of, open_own, storage_fault

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sII4sI")
_IEEE_FLOAT = 3
_SAMPLE_BYTES = 4

Filter: TypeAlias = Callable[[Iterable[NDArray[np.float32]]], Iterable[NDArray[np.float32]]]
"""Turns blocks of mono audio at 16 kHz into others."""


def decode_audio(
    source: str, target: Path, *, start_s: float = 0.0, end_s: float | None = None
) -> int:
    """Write the seconds `[start_s, end_s)` as a mono 16 kHz float WAV; the number of its samples.

    The mean of the channels, resampled by soxr HQ, block by block: memory does not grow with the
    length. Raises MissingFileError, AudioUnreadableError, or AudioTooShortError below one frame.
    """
    return write_mono(read_audio(source, start_s, end_s), target, source)


def write_mono(
    blocks: Iterable[AudioBlock], target: Path, source: str, through: Filter | None = None
) -> int:
    """Write blocks as `decode_audio` does, mono samples passed `through` a filter; their number.

    Raises AudioUnreadableError or AudioTooShortError, both naming the source.
    """
    samples = _resample(blocks)
    with draft_of(target) as draft, draft.open("wb") as file:
        num_samples = _write_wav(file, samples if through is None else through(samples))
        if num_samples == 0:
            raise unreadable(source, "no audio comes out of it")
        if num_samples < SAMPLES_PER_FRAME:
            raise AudioTooShortError(
                f"{source} holds {num_samples / SAMPLE_RATE_HZ:.3f} s of audio, less than a frame",
                remedy=f"Give at least {SAMPLES_PER_FRAME / SAMPLE_RATE_HZ} s of audio.",
            )
    return num_samples


def fitted(
    samples: Iterable[NDArray[np.float32]], num_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the first `num_samples` samples; silence follows fewer."""
    left = num_samples
    for part_S in samples:
        yield part_S[:left]
        left -= min(len(part_S), left)
    while left:
        silent = min(left, SAMPLE_RATE_HZ)
        yield np.zeros(silent, np.float32)
        left -= silent


def read_samples(wav: str | Path, start: int, stop: int) -> NDArray[np.float32]:
    """Read samples `[start, stop)` of a file that `decode_audio` wrote; fewer at its end.

    Raises DamagedFileError if it is not what was written, RenderError if it cannot be read.
    """
    with _decoded(str(wav)) as audio:
        audio.seek(min(start, audio.frames))
        samples: NDArray[np.float32] = audio.read(stop - start, dtype="float32")
    return samples


def num_samples_in(wav: str | Path) -> int:
    """Count the samples of a file written by `decode_audio`. Raises as `read_samples`."""
    with _decoded(str(wav)) as audio:
        return int(audio.frames)


@contextmanager
def _decoded(wav: str) -> Iterator[soundfile.SoundFile]:
    """Open a file of ours: a fault in it is the machine's, not the row's."""
    try:
        with open_own(wav) as file, soundfile.SoundFile(file) as audio:
            yield audio
    except (FileNotFoundError, soundfile.LibsndfileError) as error:
        raise DamagedFileError(wav) from error
    except OSError as error:
        raise storage_fault(error) from error


@dataclass(frozen=True, slots=True)
class SampleFile:
    """Samples of a file that `decode_audio` wrote, read span by span."""

    wav: str

    def __getitem__(self, span: slice) -> NDArray[np.float32]:
        return read_samples(self.wav, span.start, span.stop)


def _resample(blocks: Iterable[AudioBlock]) -> Iterator[NDArray[np.float32]]:
    """Mono samples at 16 kHz; ceil(length * ratio) of them, the last one silent if soxr stops."""
    stream: soxr.ResampleStream | None = None
    num_in = num_out = rate = 0
    try:
        for block in blocks:
            rate = block.sample_rate_hz
            stream = stream or soxr.ResampleStream(rate, SAMPLE_RATE_HZ, 1, dtype="float32")
            mono = block.samples.mean(axis=0, dtype=np.float32)
            resampled = mono if rate == SAMPLE_RATE_HZ else stream.resample_chunk(mono)
            num_in, num_out = num_in + len(mono), num_out + len(resampled)
            yield resampled
        if stream is not None and rate != SAMPLE_RATE_HZ:
            rest = stream.resample_chunk(np.zeros(0, np.float32), last=True)
            missing = math.ceil(num_in * (SAMPLE_RATE_HZ / rate)) - num_out - len(rest)
            yield np.pad(rest, (0, max(missing, 0)))
    finally:
        stream = None  # an error that is kept would keep it, and soxr complains of that at the end


def _write_wav(file: IO[bytes], blocks: Iterable[NDArray[np.float32]]) -> int:
    file.write(bytes(_WAV_HEADER.size))
    num_samples = 0
    for block in blocks:
        num_samples += len(block)
        file.write(block.astype("<f4").tobytes())
    file.seek(0)
    file.write(_wav_header(num_samples))
    return num_samples


def _wav_header(num_samples: int) -> bytes:
    """Make a float WAV header without dates, so that equal audio gives equal bytes."""
    size = num_samples * _SAMPLE_BYTES
    form = (_IEEE_FLOAT, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * _SAMPLE_BYTES, _SAMPLE_BYTES, 32)
    riff = (b"RIFF", _WAV_HEADER.size - 8 + size, b"WAVE", b"fmt ", 16)
    return _WAV_HEADER.pack(*riff, *form, b"fact", 4, num_samples, b"data", size)
