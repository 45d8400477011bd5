"""What may be wrong with an audio track, in numbers: levels, clipping, channels, music, damage.

Nothing here knows a language. Shape letters: C channels, S samples, P places in time, B bins.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.music_detection import HIGHEST_HZ, NO_SPECTRA, spectra_of

Floats = NDArray[np.float32]

PART_S = 2
LEVEL_S = 0.02
DIGITAL_SILENCE_DB = -90.0
INAUDIBLE_DB = -60.0
SILENCE_BELOW_SPEECH_DB = 40.0
CLIPPED_FROM = 0.98  # of full scale: from here on equal neighbours are no accident
_EQUAL = 1e-4
_BAND_BELOW_PEAK_DB = 60.0  # what is weaker than this is not said to be in the band
_EMPTY_CHANNEL_DB = 40.0  # below the loudest channel

MAX_CLIPPED = 0.001
MIN_SPEECH_TO_NOISE_DB = 18.0
MAX_PAUSE_S = 5.0
MAX_SILENT = 0.5
MIN_BAND_HZ = 4_200
MAX_STEADY = 0.35
MAX_CANCELLED_DB = 3.0  # beyond what channels with nothing in common lose in their mean
MIN_LENGTH_S = 1.0
MAX_LENGTH_S = 3 * 3600


@dataclass(frozen=True, slots=True)
class AudioCheck:
    """What was measured on a part of a track.

    Levels are of the mean of the channels, in dB of full scale over 20 ms; shares go from 0 to 1.
    """

    length_s: float
    speech_db: float  # 95th percentile
    floor_db: float  # 10th percentile, digital silence left out
    clipped: float  # of all samples of all channels
    silent: float
    longest_pause_s: float
    longest_pause_at_s: float
    steady: float  # of what is not silent: several tones stand still for a third of a second
    band_hz: float  # the highest frequency that is there
    cancelled_db: float  # how much quieter the mean is than what channels are alone
    num_channels: int
    empty_channels: tuple[int, ...]  # counted from 1
    damage_s: tuple[float, ...]  # where something is damaged or missing
    missing_s: float
    num_wrong: int  # samples that are not finite or out of range
    notes: tuple[str, ...] = ()  # of the reader

    def faults(self) -> Iterator[str]:
        """Yield a warning for every fault of the file."""
        if self.damage_s:
            where = ", ".join(f"{at:.1f}" for at in self.damage_s[:3])
            more = ", ..." if len(self.damage_s) > 3 else ""
            lost = f", {self.missing_s:.2f} s replaced by silence" if self.missing_s else ""
            yield f"the audio is damaged at {where}{more} s{lost}"
        if self.num_wrong:
            yield (
                f"{self.num_wrong} samples are NaN or far too loud: NaNs become silence, "
                "the others are clipped"
            )
        yield from self.notes

    def warnings(self) -> Iterator[str]:
        """Yield a warning for everything unusual."""
        yield from self.faults()
        yield from self.levels()

    def levels(self) -> Iterator[str]:
        """Yield a warning for every unusual level."""
        if self.speech_db < INAUDIBLE_DB:
            yield f"almost silent: the loudest parts have {self.speech_db:.0f} dB"
            return
        if self.clipped > MAX_CLIPPED:
            yield f"clipping in {100 * self.clipped:.1f} % of the samples"
        if self.speech_db - self.floor_db < MIN_SPEECH_TO_NOISE_DB:
            yield (
                f"constant noise or music: the quietest tenth has {self.floor_db:.0f} dB, "
                f"{self.speech_db - self.floor_db:.0f} dB below the loudest parts"
            )
        if self.silent > MAX_SILENT or self.longest_pause_s > MAX_PAUSE_S:
            yield (
                f"silence in {100 * self.silent:.0f} % of the audio, the longest for "
                f"{self.longest_pause_s:.1f} s at {self.longest_pause_at_s:.1f} s"
            )
        if self.steady > MAX_STEADY:
            share = f"{100 * self.steady:.0f} %"
            yield f"possible background music: sustained tones in {share} of the audio"
        if self.band_hz < MIN_BAND_HZ:
            yield f"narrow band: nothing above {self.band_hz / 1000:.1f} kHz, as on the telephone"
        if self.num_channels == 2 and self.empty_channels:
            yield f"channel {self.empty_channels[0]} of 2 is silent"
        elif self.cancelled_db > 10 * math.log10(self.num_channels) + MAX_CANCELLED_DB:
            yield f"the channels cancel each other: their mean is {self.cancelled_db:.0f} dB lower"


def length_warnings(length_s: float) -> Iterator[str]:
    """Yield a warning about a very short or long part."""
    if length_s < MIN_LENGTH_S:
        yield f"only {length_s:.2f} s of audio"
    if length_s > MAX_LENGTH_S:
        yield f"{length_s / 3600:.1f} hours of audio"


def check_audio(
    blocks: Iterable[AudioBlock], start_s: float = 0.0, analysed_s: float = math.inf
) -> AudioCheck | None:
    """Listen once; memory grows by 400 bytes a second. None if there is no audio.

    `start_s` is where the blocks begin: times are those of the whole track. Levels are of the first
    `analysed_s` seconds, the length and faults of all.
    """
    gathered = _Gathered(start_s)
    for part in _parts(_noting(blocks, gathered, analysed_s)):
        gathered.add(part)
    return gathered.result() if gathered.length_s else None


class _Gathered:
    """Sums over the parts of a track."""

    def __init__(self, start_s: float) -> None:
        self.start_s, self.length_s = start_s, 0.0
        self.levels_db: list[Floats] = []
        self.spectra = NO_SPECTRA
        self.num_clipped = self.num_values = 0
        self.energy_C = np.zeros(0)
        self.mean_energy = 0.0
        self.damage_s: list[float] = []
        self.missing_s = 0.0
        self.num_wrong = 0
        self.notes: list[str] = []

    def add(self, part: AudioBlock) -> None:
        """Add a part of up to two seconds."""
        samples_CS, rate = part.samples, part.sample_rate_hz
        if not len(self.energy_C):
            self.energy_C = np.zeros(len(samples_CS))
        if len(samples_CS) == len(self.energy_C):  # else the layout has changed on the way
            self.energy_C += np.einsum("cs,cs->c", samples_CS, samples_CS)
        mean_S = samples_CS.mean(axis=0)
        self.mean_energy += float(np.dot(mean_S, mean_S))
        self.num_clipped += _num_clipped(samples_CS)
        self.num_values += samples_CS.size
        self.levels_db.append(_levels_db(mean_S, rate))
        self.spectra += spectra_of(mean_S, rate)

    def result(self) -> AudioCheck:
        """Summarise the sums."""
        levels_P = np.concatenate(self.levels_db)
        audible_P = levels_P[levels_P > DIGITAL_SILENCE_DB]
        if not len(audible_P):
            audible_P = np.array([DIGITAL_SILENCE_DB], np.float32)
        speech_db = float(np.percentile(audible_P, 95))
        silent_P = levels_P < max(speech_db - SILENCE_BELOW_SPEECH_DB, DIGITAL_SILENCE_DB)
        pause_at, pause = _longest(silent_P)
        alone = self.energy_C.sum() / max(len(self.energy_C), 1)
        loudest = self.energy_C.max(initial=0)
        empty = np.flatnonzero(self.energy_C < loudest * 10 ** (-_EMPTY_CHANNEL_DB / 10))
        return AudioCheck(
            length_s=self.length_s,
            speech_db=speech_db,
            floor_db=float(np.percentile(audible_P, 10)),
            clipped=self.num_clipped / max(self.num_values, 1),
            silent=float(silent_P.mean()),
            longest_pause_s=pause * LEVEL_S,
            longest_pause_at_s=self.start_s + pause_at * LEVEL_S,
            steady=self.spectra.num_steady / max(self.spectra.num_loud, 1),
            band_hz=_band_hz(self.spectra.power_B),
            cancelled_db=float(10 * np.log10((alone + 1e-12) / (self.mean_energy + 1e-12))),
            num_channels=len(self.energy_C),
            empty_channels=tuple(int(channel) + 1 for channel in empty),
            damage_s=tuple(self.damage_s),
            missing_s=self.missing_s,
            num_wrong=self.num_wrong,
            notes=tuple(dict.fromkeys(self.notes)),
        )


def _noting(
    blocks: Iterable[AudioBlock], gathered: _Gathered, analysed_s: float
) -> Iterator[AudioBlock]:
    """Yield the blocks to check; note length and faults of all."""
    num_samples, was_missing = 0, False
    for block in blocks:
        if block.is_missing:
            gathered.missing_s += block.length_s
            if not was_missing:
                gathered.damage_s.append(gathered.start_s + gathered.length_s)
        if block.note:
            gathered.notes.append(block.note)
        gathered.num_wrong += block.num_wrong
        was_missing = block.is_missing
        if block.length_s and gathered.length_s < analysed_s:
            yield block
        num_samples += block.samples.shape[1]
        gathered.length_s = num_samples / block.sample_rate_hz


def _parts(blocks: Iterable[AudioBlock]) -> Iterator[AudioBlock]:
    """Yield blocks of two seconds: what is done once per block costs next to nothing."""
    kept: list[AudioBlock] = []
    length = 0
    for block in blocks:
        kept.append(block)
        length += block.samples.shape[1]
        if length >= PART_S * block.sample_rate_hz:
            yield _joined(kept)
            kept, length = [], 0
    if kept:
        yield _joined(kept)


def _joined(blocks: list[AudioBlock]) -> AudioBlock:
    first = blocks[0]
    fitting = [block.samples for block in blocks if len(block.samples) == len(first.samples)]
    return AudioBlock(np.concatenate(fitting, axis=1), first.sample_rate_hz, first.layout)


def _num_clipped(samples_CS: Floats) -> int:
    """Find samples beyond full scale, or near it with an equal neighbour."""
    size_CS = np.abs(samples_CS)
    if size_CS.max(initial=0) < CLIPPED_FROM:
        return 0
    flat_CS = np.abs(np.diff(samples_CS, axis=1)) < _EQUAL
    near_CS = size_CS >= CLIPPED_FROM
    clipped_CS = size_CS > 1
    clipped_CS[:, 1:] |= flat_CS & near_CS[:, 1:]
    clipped_CS[:, :-1] |= flat_CS & near_CS[:, :-1]
    return int(clipped_CS.sum())


def _levels_db(mean_S: Floats, rate: int) -> Floats:
    size = max(round(LEVEL_S * rate), 1)
    places = max(round(len(mean_S) / size), 1)
    power_P = np.square(np.resize(mean_S, places * size).reshape(places, size)).mean(axis=1)
    return np.asarray(10 * np.log10(power_P + 1e-12), np.float32)


def _longest(flags_P: NDArray[np.bool_]) -> tuple[int, int]:
    """Find the start and length of the longest run."""
    edges = np.flatnonzero(np.diff(flags_P, prepend=False, append=False)).reshape(-1, 2)
    if not len(edges):
        return 0, 0
    longest = int(np.argmax(edges[:, 1] - edges[:, 0]))
    return int(edges[longest, 0]), int(edges[longest, 1] - edges[longest, 0])


def _band_hz(power_B: Floats) -> float:
    """Find the highest frequency with a power near the strongest."""
    near = np.flatnonzero(power_B > power_B.max() * 10 ** (-_BAND_BELOW_PEAK_DB / 10))
    return float(HIGHEST_HZ * (near[-1] + 1) / len(power_B)) if len(near) else HIGHEST_HZ
