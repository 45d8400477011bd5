"""Where a recording is in another one."""

import numpy as np
import pytest

from sonic_ops.audio.alignment import correlate

RATE_HZ = 16_000


@pytest.mark.parametrize("seconds", [0.1, 0.4, 1.0])
def test_a_steady_tone_between_silences_is_found_where_it_is(seconds: float) -> None:
    tone = (0.1 * np.sin(np.arange(round(seconds * RATE_HZ)) / 8)).astype(np.float32)
    place, likeness = correlate(tone, np.pad(tone, RATE_HZ // 2))
    assert place == RATE_HZ // 2
    assert likeness == pytest.approx(1, abs=1e-6)


def test_what_is_not_there_is_not_like() -> None:
    rng = np.random.default_rng(0)
    around, excerpt = rng.standard_normal((2, RATE_HZ)).astype(np.float32)
    assert correlate(excerpt[: RATE_HZ // 4], around)[1] < 0.2
