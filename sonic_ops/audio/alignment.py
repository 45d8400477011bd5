"""How late the audio of a finished file is, by cross-correlation with the audio it was made from.

Shape letters: S samples.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.reading import first_audio_s
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.scratch import scratch_folder

EXCERPT_SAMPLES = 4 * SAMPLE_RATE_HZ
SEARCHED_SAMPLES = 60 * SAMPLE_RATE_HZ  # of each third, so that the cost has a bound
MAX_LAG_SAMPLES = SAMPLE_RATE_HZ // 2
MIN_LIKENESS = 0.5  # below, the two are not the same recording, and nothing can be said
_SILENT_POWER = 1e-8
_AUDIBLE_POWER = 1e-6
_LOST_POWER = 1e-9  # less than any loudness that is asked for leaves of what is audible
_QUIETEST = 1e-3  # of the energy of the excerpt
_TIE = 0.999  # a tone repeats itself: among equal peaks the nearest counts


@dataclass(frozen=True, slots=True)
class Compared:
    """The audio of a file against the one it was made from; None where nothing can be said."""

    offset_s: float | None  # by which it comes late
    lost_s: float | None  # where it is silent, and the other is not


def compare_audio(path: Path, wav: Path, num_samples: int) -> Compared:
    """Compare the audio of `path` with that of a WAV of `decode_audio`.

    The largest offset of the loudest excerpts of the first, second and last third of its
    `num_samples`, unless all of them are silent, or unlike the file.
    """
    with scratch_folder() as scratch:
        decoded = scratch / "decoded.wav"
        decode_audio(str(path), decoded)
        lead = round(first_audio_s(str(path)) * SAMPLE_RATE_HZ)
        excerpts = _excerpts(wav, num_samples)
        around = [_around(decoded, excerpt, lead) for excerpt in excerpts]
    pairs = list(zip(excerpts, around, strict=True))
    lags = [
        lag for (_, samples), decoded_S in pairs if (lag := _lag(samples, decoded_S)) is not None
    ]
    lost = (
        start / SAMPLE_RATE_HZ
        for (start, samples), decoded_S in pairs
        if _power(samples) > _AUDIBLE_POWER and _power(decoded_S) < _LOST_POWER
    )
    offset_s = max(lags, key=abs) / SAMPLE_RATE_HZ if lags else None
    return Compared(offset_s, next(lost, None))


def is_audible(wav: Path, num_samples: int) -> bool:
    """Return whether anything is heard in a WAV of `decode_audio`."""
    return any(_power(samples) > _AUDIBLE_POWER for _, samples in _excerpts(wav, num_samples))


def correlate(excerpt_S: NDArray[np.float32], around_S: NDArray[np.float32]) -> tuple[int, float]:
    """Return where in `around_S` the excerpt is, and how alike the two are there (0 to 1)."""
    num_places = len(around_S) - len(excerpt_S) + 1
    size = 1 << (len(around_S) + len(excerpt_S)).bit_length()
    wide_S, narrow_S = around_S.astype(np.float64), excerpt_S.astype(np.float64)
    spectrum = np.fft.rfft(wide_S, size) * np.conj(np.fft.rfft(narrow_S, size))
    products = np.fft.irfft(spectrum, size)[:num_places]
    squares = np.concatenate(([0.0], np.cumsum(np.square(around_S, dtype=np.float64))))
    energy = squares[len(excerpt_S) :] - squares[:num_places]
    own = float(np.square(excerpt_S, dtype=np.float64).sum())
    # Where next to nothing is heard, the rounding of the transform would be all that counts.
    likeness = products / np.sqrt(np.maximum(energy, _QUIETEST * own) * own + 1e-12)
    best = np.flatnonzero(likeness >= _TIE * likeness.max())
    place = int(best[np.abs(best - num_places // 2).argmin()])
    return place, float(likeness[place])


def _excerpts(wav: Path, num_samples: int) -> list[tuple[int, NDArray[np.float32]]]:
    """Return the loudest excerpts of the first, second and last third."""
    return [_loudest(wav, num_samples * third // 3, num_samples) for third in range(3)]


def _loudest(wav: Path, start: int, num_samples: int) -> tuple[int, NDArray[np.float32]]:
    """Find the loudest excerpt that starts within a minute of `start`, and its start."""
    samples = read_samples(wav, start, min(start + SEARCHED_SAMPLES, num_samples))
    places = range(0, max(len(samples) - EXCERPT_SAMPLES, 0) + 1, EXCERPT_SAMPLES // 2)
    excerpts = [samples[place : place + EXCERPT_SAMPLES] for place in places]
    powers = [_power(excerpt) for excerpt in excerpts]
    loudest = int(np.argmax(powers))
    excerpt = excerpts[loudest]
    return start + places[loudest], excerpt if powers[loudest] > _SILENT_POWER else excerpt[:0]


def _around(
    decoded: Path, excerpt: tuple[int, NDArray[np.float32]], lead: int
) -> NDArray[np.float32]:
    """Read around the place of an excerpt; the file's audio starts `lead` samples late."""
    start, samples = excerpt
    first, length = start - lead - MAX_LAG_SAMPLES, len(samples) + 2 * MAX_LAG_SAMPLES
    around = read_samples(decoded, max(first, 0), first + length)
    around = np.pad(around, (max(-first, 0), 0))
    return np.pad(around, (0, max(length - len(around), 0)))


def _lag(samples: NDArray[np.float32], around: NDArray[np.float32]) -> int | None:
    """Return the number of samples by which an excerpt is late."""
    if not len(samples):
        return None
    place, likeness = correlate(samples, around)
    is_found = likeness >= MIN_LIKENESS and 0 < place < 2 * MAX_LAG_SAMPLES
    return place - MAX_LAG_SAMPLES if is_found else None


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.square(samples, dtype=np.float64).mean()) if len(samples) else 0.0
