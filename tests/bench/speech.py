"""Speech of any length: recordings of a folder, or a synthetic voice, one part after the other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.quality.measures import WINDOW_S
from training.speech.sentences import is_held_out, sentence
from training.speech.speech import Voice, speak

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SPOKEN_S = 24.0
"""Speech in 30 s of a synthetic voice; the rest is pauses."""

_QUIET_SAMPLES = SAMPLE_RATE_HZ // 5
_PAUSE_GAIN = np.float32(0.25)  # the room of a recording can be too loud to count as a pause
_MIN_PAUSE_SAMPLES = SAMPLE_RATE_HZ // 2
_VOICE = Voice("en-us+f4", pitch=50, rate=160, pitch_range=50)  # no clip of training has it

Floats = NDArray[np.float32]


def recordings(folder: Path) -> list[Floats]:
    """All WAV files of a folder, which are 16 kHz mono."""
    parts = [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*.wav"))]
    assert parts, f"no WAV file in {folder}"
    assert {rate for _, rate in parts} == {SAMPLE_RATE_HZ}
    return [samples for samples, _ in parts]


def synthetic() -> list[Floats]:
    """Sentences by a synthetic voice, neither of which the embedded model was trained on."""
    indices = (index for index in range(1_000_000) if is_held_out(index))
    parts: list[Floats] = []
    while sum(map(len, parts)) < SPOKEN_S * SAMPLE_RATE_HZ:
        parts.append(speak(sentence(next(indices)), _VOICE).samples)
    return parts[:-1]


def joined(folder: Path, seconds: float) -> Floats:
    """The recordings in one random order after the other, cut off after so many seconds."""
    parts, order = recordings(folder), np.random.default_rng(0)
    length, track, chosen = round(seconds * SAMPLE_RATE_HZ), 0, []
    while track < length:
        for index in order.permutation(len(parts)):
            chosen.append(parts[index])
            track += len(parts[index])
    return np.concatenate(chosen)[:length]


def in_windows(parts: Sequence[Floats], num_windows: int) -> Floats:
    """Windows of 30 s in each of which all parts are said, with pauses between them.

    Every window has another order, but the last one that of the first: both hear the same samples,
    so that a difference between them is none of what is said. Parts that are too many for 30 s are
    left out. Raises AssertionError if not even the first one fits.
    """
    length, rng = WINDOW_S * SAMPLE_RATE_HZ, np.random.default_rng(0)
    said = list(_that_fit(parts, length))
    orders = [rng.permutation(len(said)) for _ in range(max(num_windows - 1, 1))]
    windows = [_spaced([said[index] for index in order], length) for order in orders]
    return np.concatenate([*windows, windows[0]][:num_windows] if num_windows > 1 else windows)


def quiet_after(part: Floats, length: int) -> Floats:
    """A pause as the part sounds where it is most quiet: its quietest fifth of a second, to and
    fro."""
    spans = part[: len(part) // _QUIET_SAMPLES * _QUIET_SAMPLES].reshape(-1, _QUIET_SAMPLES)
    quiet = spans[np.square(spans).mean(axis=1).argmin()]
    return np.resize(np.concatenate([quiet, quiet[::-1]]), length)


def _that_fit(parts: Sequence[Floats], length: int) -> Iterator[Floats]:
    used = 0
    for part in parts:
        if used + len(part) + _MIN_PAUSE_SAMPLES <= length:
            used += len(part) + _MIN_PAUSE_SAMPLES
            yield part
    assert used, f"no part is shorter than {length / SAMPLE_RATE_HZ:.0f} s"


def _spaced(said: Sequence[Floats], length: int) -> Floats:
    """Parts with equal pauses after them: `length` samples."""
    ends = np.linspace(0, length - sum(map(len, said)), len(said) + 1).astype(int)
    pauses = np.diff(ends)
    pairs = zip(said, pauses, strict=True)
    return np.concatenate(
        [x for part, pause in pairs for x in (part, _PAUSE_GAIN * quiet_after(part, pause))]
    )
