"""Forced alignment finds the phones of speech whose times are known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonic_ops.core.errors import ConfigError
from training.evaluation.recordings import align, read_recordings
from training.people.mouth import JAW, PRESS, mouth_track
from training.speech.speech import Utterance, Voice, speak

WORDS = "maybe the people bought some apples from my farm"


@pytest.fixture(scope="module")
def spoken() -> Utterance:
    return speak(WORDS, Voice("gmw/en", 50, 190, 50))


def opening(spoken: Utterance) -> np.ndarray:
    track = mouth_track(spoken.phones, spoken.samples)
    return track[:, JAW] * (1 - track[:, PRESS])


def test_aligned_phones_move_the_mouth_as_the_true_ones(spoken: Utterance) -> None:
    aligned = align(spoken.samples, WORDS)
    assert np.corrcoef(opening(aligned), opening(spoken))[0, 1] > 0.85
    labials = [(p.start_s + p.stop_s) / 2 for p in aligned.phones if p.name in "pbm"]
    true = np.array([(p.start_s + p.stop_s) / 2 for p in spoken.phones if p.name in "pbm"])
    assert len(labials) == len(true)
    assert np.abs(np.array(labials) - true).max() < 0.05


def test_a_folder_of_recordings_is_read_with_its_words(tmp_path: Path, spoken: Utterance) -> None:
    soundfile.write(tmp_path / "one.wav", spoken.samples, 16_000)
    (tmp_path / "transcription").write_text(f"<s> {WORDS} </s> (one)\n")
    [(name, recorded)] = read_recordings(tmp_path)
    assert name == "one"
    assert len(recorded.samples) == len(spoken.samples)
    assert [p.name for p in recorded.phones if p.name != "pau"][:3] == ["m", "ey", "b"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "no readable file"),
        ("just words\n", "names no recording"),
        ("xyzzyq plugh (one)\n", "do not fit the sound"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(
    tmp_path: Path, spoken: Utterance, text: str | None, problem: str
) -> None:
    soundfile.write(tmp_path / "one.wav", spoken.samples, 16_000)
    if text is not None:
        (tmp_path / "transcription").write_text(text)
    with pytest.raises(ConfigError, match=problem):
        read_recordings(tmp_path)
