"""A voice is heard while its person speaks, whatever the blocks are."""

import numpy as np

from sonic_ops.audio.turns import RISE_S, in_turns
from sonic_ops.core.constants import SAMPLE_RATE_HZ

SPANS = [(1.0, 2.0), (2.1, 3.0), (5.0, 6.0)]


def spoken(size: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    samples = np.ones(7 * SAMPLE_RATE_HZ, np.float32)
    blocks = np.split(samples, range(size, len(samples), size))
    return np.concatenate(list(in_turns(blocks, SPANS)))


def test_others_are_silent() -> None:
    voice = spoken(1000)
    times = np.arange(len(voice)) / SAMPLE_RATE_HZ
    inside = ((times >= 1) & (times <= 3)) | ((times >= 5) & (times <= 6))
    near = ((times > 1 - RISE_S) & (times < 3 + RISE_S)) | (
        (times > 5 - RISE_S) & (times < 6 + RISE_S)
    )
    assert (voice[inside] == 1).all()  # also between two turns that nearly meet
    assert (voice[~near] == 0).all()
    assert np.abs(np.diff(voice)).max() < 0.001


def test_blocks_change_nothing() -> None:
    np.testing.assert_array_equal(spoken(977), spoken(40_000))
