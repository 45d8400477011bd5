"""Speech over a background: the sum of both, in the form of the larger one."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.mixing import Background, mixed, read_mix

Samples = NDArray[np.float32]


def noise(num_samples: int, num_channels: int = 1, seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal((num_channels, num_samples)).astype(np.float32)


def blocks(samples_CS: Samples, rate_hz: int, layout: str, size: int) -> list[AudioBlock]:
    starts = range(0, samples_CS.shape[1], size)
    return [AudioBlock(samples_CS[:, s : s + size], rate_hz, layout) for s in starts]


def joined(found: list[AudioBlock]) -> Samples:
    return np.concatenate([block.samples for block in found], axis=1)


def test_samples_are_added() -> None:
    speech, under = noise(5000), noise(8000, seed=1)
    mix = list(
        mixed(blocks(speech, 16_000, "mono", 700), blocks(under, 16_000, "mono", 300), gain=0.5)
    )
    np.testing.assert_allclose(joined(mix), speech + 0.5 * under[:, :5000], atol=1e-7)


def test_a_short_background_ends_in_silence_and_a_film_goes_on_after_the_speech() -> None:
    speech, under = noise(16_000), noise(24_000, seed=1)
    mix = joined(
        list(
            mixed(blocks(speech, 16_000, "mono", 999), blocks(under, 16_000, "mono", 999), 1.0, 2.0)
        )
    )
    assert mix.shape == (1, 32_000)
    np.testing.assert_allclose(mix[:, :16_000], speech + under[:, :16_000], atol=1e-7)
    np.testing.assert_array_equal(mix[:, 16_000:24_000], under[:, 16_000:])
    assert not mix[:, 24_000:].any()


def test_the_mix_has_the_higher_rate_and_more_channels() -> None:
    (first, *_), rate = (
        list(
            mixed(
                blocks(noise(16_000), 16_000, "mono", 4000),
                blocks(noise(48_000, 2), 48_000, "stereo", 999),
                1.0,
            )
        ),
        48_000,
    )
    assert (first.sample_rate_hz, first.layout, len(first.samples)) == (rate, "stereo", 2)


def test_a_voice_goes_to_the_centre_of_a_surrounding_background() -> None:
    speech = noise(4800)
    silence = np.zeros((6, 4800), np.float32)
    mix = joined(
        list(
            mixed(
                blocks(speech, 48_000, "mono", 480), blocks(silence, 48_000, "5.1", 480), gain=1.0
            )
        )
    )
    np.testing.assert_array_equal(mix[2], speech[0])
    assert not np.delete(mix, 2, axis=0).any()


@pytest.mark.parametrize("start_s", [0.0, 0.25])
def test_both_are_cut_alike(start_s: float, tmp_path: Path) -> None:
    speech, under = noise(16_000), noise(16_000, seed=1)
    for name, samples in (("speech", speech), ("under", under)):
        soundfile.write(tmp_path / f"{name}.wav", samples[0], 16_000, subtype="FLOAT")
    background = Background(str(tmp_path / "under.wav"), gain_db=-20.0)
    mix = read_mix(str(tmp_path / "speech.wav"), background, start_s=start_s, end_s=0.75)
    expected = (speech + 0.1 * under)[:, round(start_s * 16_000) : 12_000]
    np.testing.assert_allclose(joined(list(mix)), expected, atol=1e-6)
