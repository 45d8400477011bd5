"""How late the sound of a finished file is, by cross-correlation with the sound it was made from.

Shape letters: S samples.
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.reading import first_sound_s
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.constants import SAMPLE_RATE_HZ

EXCERPT_SAMPLES = 4 * SAMPLE_RATE_HZ
SEARCHED_SAMPLES = 60 * SAMPLE_RATE_HZ  # of each third, so that the cost has a bound
MAX_LAG_SAMPLES = SAMPLE_RATE_HZ // 2
MIN_LIKENESS = 0.5  # below, the two are not the same sound, and nothing can be said
_SILENT_POWER = 1e-8
_QUIETEST = 1e-3  # of the energy of the excerpt
_TIE = 0.999  # a tone repeats itself: among equal peaks the nearest counts


def sound_offset_s(path: Path, wav: Path, num_samples: int) -> float | None:
    """Seconds by which the sound of `path` comes after that of a WAV of `decode_audio`.

    The largest offset of the loudest excerpts of the first, second and last third of its
    `num_samples`. None if all of them are silent, or sound unlike the file.
    """
    with tempfile.TemporaryDirectory(prefix="sonic-") as scratch:
        heard = Path(scratch) / "heard.wav"
        decode_audio(str(path), heard)
        lead = round(first_sound_s(str(path)) * SAMPLE_RATE_HZ)
        lags = [
            _lag(wav, heard, _loudest(wav, num_samples * third // 3, num_samples), lead)
            for third in range(3)
        ]
    found = [lag for lag in lags if lag is not None]
    return max(found, key=abs) / SAMPLE_RATE_HZ if found else None


def correlate(excerpt_S: NDArray[np.float32], around_S: NDArray[np.float32]) -> tuple[int, float]:
    """Where in `around_S` the excerpt is, and how alike the two are there (0 to 1)."""
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


def _loudest(wav: Path, start: int, num_samples: int) -> tuple[int, NDArray[np.float32]]:
    """The loudest excerpt that starts within a minute of `start`, and where it starts."""
    samples = read_samples(wav, start, min(start + SEARCHED_SAMPLES, num_samples))
    places = range(0, max(len(samples) - EXCERPT_SAMPLES, 0) + 1, EXCERPT_SAMPLES // 2)
    excerpts = [samples[place : place + EXCERPT_SAMPLES] for place in places]
    powers = [float(np.square(e, dtype=np.float64).mean()) if len(e) else 0.0 for e in excerpts]
    loudest = int(np.argmax(powers))
    excerpt = excerpts[loudest]
    return start + places[loudest], excerpt if powers[loudest] > _SILENT_POWER else excerpt[:0]


def _lag(wav: Path, heard: Path, excerpt: tuple[int, NDArray[np.float32]], lead: int) -> int | None:
    """Samples by which an excerpt is heard late; the file's sound starts `lead` samples late."""
    start, samples = excerpt
    if not len(samples):
        return None
    first = start - lead - MAX_LAG_SAMPLES
    around = read_samples(heard, max(first, 0), first + len(samples) + 2 * MAX_LAG_SAMPLES)
    around = np.pad(around, (max(-first, 0), 0))
    missing = len(samples) + 2 * MAX_LAG_SAMPLES - len(around)
    place, likeness = correlate(samples, np.pad(around, (0, max(missing, 0))))
    is_found = likeness >= MIN_LIKENESS and 0 < place < 2 * MAX_LAG_SAMPLES
    return place - MAX_LAG_SAMPLES if is_found else None
