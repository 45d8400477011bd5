"""A voice without the music behind it, for the mouth only: REPET-SIM, in windows that cross-fade.

What repeats is music. Every short spectrum is compared with those that are most like it elsewhere;
what they have in common is taken away by a soft mask. Method: Rafii and Pardo, ISMIR 2012, as in
librosa's example of vocal separation. Shape letters: S samples, B bins, P places in time.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from sonic_ops.audio.compiled import librosa, nn_filter
from sonic_ops.core.constants import SAMPLE_RATE_HZ

WINDOW_S: Final = 40
OVERLAP_S: Final = 4
_SPAN: Final = 1024
_HOP: Final = 256
_APART_S: Final = 2.0
"""How far spectra that are compared are apart at least: what repeats sooner is speech."""
_MARGIN: Final = 1.0
"""How much louder than what repeats a voice must be to be heard by half. librosa's example has 10,
with which music leaves less behind and speech loses more than the music had hidden."""

Floats = NDArray[np.float32]


def isolate_voice(samples: Iterable[Floats]) -> Iterator[Floats]:
    """Take the music out of mono audio at 16 kHz; as many samples come out.

    Two windows of 40 s are in memory at most. Pads nothing: the last window is as long as what is
    left, up to two.
    """
    window, overlap = WINDOW_S * SAMPLE_RATE_HZ, OVERLAP_S * SAMPLE_RATE_HZ
    held_S, fading_S = np.zeros(0, np.float32), np.zeros(0, np.float32)
    for part_S in samples:
        held_S = np.concatenate([held_S, part_S])
        while len(held_S) >= 2 * window - overlap:
            voice_S = _faded(fading_S, _voice(held_S[:window]))
            yield voice_S[:-overlap]
            fading_S, held_S = voice_S[-overlap:], held_S[window - overlap :]
    if len(held_S):
        yield _faded(fading_S, _voice(held_S))


def _faded(before_S: Floats, after_S: Floats) -> Floats:
    """Cross-fade from the end of a window to the begin of the next one."""
    num = min(len(before_S), len(after_S))
    share_S = (np.arange(num, dtype=np.float32) + 0.5) / max(num, 1)
    after_S[:num] = (1 - share_S) * before_S[:num] + share_S * after_S[:num]
    return after_S


def _voice(audio_S: Floats) -> Floats:
    spectra_BP = librosa.stft(audio_S, n_fft=_SPAN, hop_length=_HOP)
    apart = round(_APART_S * SAMPLE_RATE_HZ / _HOP)
    full_BP, num_places = np.abs(spectra_BP), spectra_BP.shape[1]
    if num_places < 4 * apart or not full_BP.any():
        return audio_S.copy()  # too short for anything to repeat
    with threadpool_limits(1):  # the same bits on any number of processors
        alike_BP = nn_filter(full_BP + 1e-9, aggregate=np.median, metric="cosine", width=apart)
    music_BP = np.minimum(full_BP, alike_BP)
    mask_BP = librosa.util.softmask(full_BP - music_BP, _MARGIN * music_BP, power=2)
    voice_S = librosa.istft(mask_BP * spectra_BP, hop_length=_HOP, length=len(audio_S))
    return np.asarray(voice_S, np.float32)
