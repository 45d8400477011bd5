"""Tones that stand still, as those of instruments do and those of speech do not.

After the continuous frequency activation of Seyerlehner and others (DAFx 2007): bars in the
spectrum that go on at one frequency. It misses drums and rap, and takes a hum, a siren, chant or
song for music. Shape letters: S samples, P places in time, B bins.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HIGHEST_HZ: Final = 8_000
SPAN_S: Final = 0.064
HOP_S: Final = 0.032
_BINS: Final = 512  # up to 8 kHz, 15.6 Hz apart
_AROUND: Final = 10  # bins on both sides
_ABOVE_DB: Final = 8.0  # a tone, against what is around it
_LOWEST: Final = 16  # 250 Hz: below is hum, and the pitch of slow voices
_HIGHEST: Final = 256  # 4 kHz
_RUN: Final = 10  # places: a third of a second
_MIN_TONES: Final = 3
_LOUD_DB: Final = 30.0  # below the loudest place of the part


@dataclass(frozen=True, slots=True)
class Spectra:
    """Sums over the places of a part of a track."""

    power_B: Floats
    num_loud: int
    num_steady: int

    def __add__(self, other: "Spectra") -> "Spectra":
        return Spectra(
            self.power_B + other.power_B,
            self.num_loud + other.num_loud,
            self.num_steady + other.num_steady,
        )


NO_SPECTRA: Final = Spectra(np.zeros(_BINS, np.float32), 0, 0)


def spectra_of(audio_S: Floats, rate: int) -> Spectra:
    """Compute the spectrum of a few seconds, and count sustained tones."""
    span, hop = round(SPAN_S * rate), round(HOP_S * rate)
    if len(audio_S) < span:
        return NO_SPECTRA
    spans_PS = sliding_window_view(audio_S, span)[::hop] * np.hanning(span).astype(np.float32)
    found_PB = np.fft.rfft(spans_PS, axis=1)[:, :_BINS]
    power_PB = np.zeros((len(found_PB), _BINS), np.float32)
    power_PB[:, : found_PB.shape[1]] = np.square(np.abs(found_PB)) / span**2
    steady_P, loud_P = _steady(power_PB)
    return Spectra(power_PB.sum(axis=0), int(loud_P.sum()), int((steady_P & loud_P).sum()))


def _steady(power_PB: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find where tones are sustained, and where anything is loud."""
    level_P = 10 * np.log10(power_PB.sum(axis=1) + 1e-12)
    loud_P = level_P > max(level_P.max() - _LOUD_DB, -80.0)
    level_PB = 10 * np.log10(power_PB[:, : _HIGHEST + _AROUND] + 1e-12)
    sums = np.cumsum(np.pad(level_PB, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    width = 2 * _AROUND + 1
    around_PB = (sums[:, width:] - sums[:, :-width]) / width  # of the bins from _AROUND on
    tone_PB = level_PB[:, _AROUND:-_AROUND] > around_PB + _ABOVE_DB
    tone_PB = tone_PB[:, _LOWEST - _AROUND :]
    if len(tone_PB) < _RUN:
        return np.zeros(len(loud_P), bool), loud_P
    sustained = np.asarray(sliding_window_view(tone_PB, _RUN, axis=0).all(axis=-1))
    sustained_PB = np.zeros_like(tone_PB)
    for offset in range(_RUN):
        sustained_PB[offset : offset + len(sustained)] |= sustained
    num_tones_P = (sustained_PB[:, 1:] & ~sustained_PB[:, :-1]).sum(axis=1)
    return num_tones_P >= _MIN_TONES, loud_P
