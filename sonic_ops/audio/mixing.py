"""Mix speech over a background, block by block.

Shape letters: C channels, S samples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from av.audio.layout import AudioLayout
from numpy.typing import NDArray

from sonic_ops.audio.decoding import AudioBlock, in_one_form
from sonic_ops.audio.reading import read_audio


@dataclass(frozen=True, slots=True)
class Background:
    """Music and noises under the speech; its seconds are those of the speech."""

    source: str
    gain_db: float = 0.0


def read_mix(
    speech: str,
    background: Background | None = None,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    length_s: float = 0.0,
) -> Iterator[AudioBlock]:
    """Read seconds `[start_s, end_s)` of a speech, with the same of a background under it.

    The mix lasts as long as the speech, and at least `length_s` if there is a background; one that
    is shorter ends in silence. Raises as `read_audio`.
    """
    blocks = read_audio(speech, start_s, end_s)
    if background is None:
        return blocks
    under = read_audio(background.source, start_s)
    return mixed(blocks, under, 10 ** (background.gain_db / 20), length_s)


def mixed(
    speech: Iterable[AudioBlock], under: Iterable[AudioBlock], gain: float, length_s: float = 0.0
) -> Iterator[AudioBlock]:
    """Add blocks of two audio tracks, the second one scaled by `gain`.

    The mix has the higher of the two sample rates, and the channels of the one with more.
    """
    over, below = iter(speech), iter(under)
    first, base = next(over, None), next(below, None)
    if first is None:
        return
    form = _common_form(first, base or first)
    rest = _Rest(_in_form(chain([base] if base else [], below), form), len(form.samples))
    position = 0
    for block in _in_form(chain([first], over), form):
        added_CS = rest.take(block.samples.shape[1])
        position += block.samples.shape[1]
        yield replace(block, samples=block.samples + np.float32(gain) * added_CS)
    missing = round(length_s * form.sample_rate_hz) - position
    for start in range(0, missing, form.sample_rate_hz):
        num_samples = min(form.sample_rate_hz, missing - start)
        yield replace(form, samples=np.float32(gain) * rest.take(num_samples))


class _Rest:
    """What has not been taken of a recording; silence once it has ended."""

    def __init__(self, blocks: Iterator[AudioBlock], num_channels: int) -> None:
        self._blocks = blocks
        self._held_CS = np.zeros((num_channels, 0), np.float32)

    def take(self, num_samples: int) -> NDArray[np.float32]:
        """Take the next samples of every channel."""
        parts, held = [self._held_CS], self._held_CS.shape[1]
        while held < num_samples and (block := next(self._blocks, None)) is not None:
            parts.append(block.samples)
            held += block.samples.shape[1]
        found_CS = np.concatenate(parts, axis=1)
        self._held_CS = found_CS[:, num_samples:]
        return np.pad(found_CS[:, :num_samples], ((0, 0), (0, max(num_samples - held, 0))))


def _common_form(one: AudioBlock, other: AudioBlock) -> AudioBlock:
    """Return an empty block with the higher rate and the larger number of channels."""
    wide = one if len(one.samples) >= len(other.samples) else other
    rate_hz = max(one.sample_rate_hz, other.sample_rate_hz)
    empty_CS = np.zeros((len(wide.samples), 0), np.float32)
    return AudioBlock(empty_CS, rate_hz, wide.layout)


def _in_form(blocks: Iterable[AudioBlock], form: AudioBlock) -> Iterator[AudioBlock]:
    placed = (_placed(block, form) for block in blocks)
    return in_one_form(placed, form.sample_rate_hz, form)


def _placed(block: AudioBlock, form: AudioBlock) -> AudioBlock:
    """Put channels that the form has too where they are in it, such as a voice into the centre.

    A single channel without a place there stays alone, and is heard from all sides.
    """
    own, wanted = _channels(block.layout), _channels(form.layout)
    if len(block.samples) == len(form.samples) or not set(own) <= set(wanted):
        return block
    samples_CS = np.zeros((len(form.samples), block.samples.shape[1]), np.float32)
    for channel, samples_S in zip(own, block.samples, strict=True):
        samples_CS[wanted.index(channel)] = samples_S
    return replace(block, samples=samples_CS, layout=form.layout)


def _channels(layout: str) -> list[str]:
    return [channel.name for channel in AudioLayout(layout).channels]
