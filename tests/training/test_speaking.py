"""What FaceMesh reads of true frames is what was painted."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.sitters import Sitter, head_box
from training.evaluation.speaking import Figures, Subject, read_figures, table_of
from training.people.faces import NEUTRAL
from training.people.heads.painter import HeadPainter
from training.people.motion import NUM_CHANNELS
from training.people.mouth import JAW, PRESS
from training.speech.speech import Phone, Utterance

FRAMES = 14


def test_true_frames_speak_as_they_were_painted(tmp_path: Path) -> None:
    head = HeadPainter(509, size=160)
    sitter = Sitter(head, head_box(head))
    track = np.zeros((FRAMES, NUM_CHANNELS), np.float32)
    track[:, JAW] = 0.45 + 0.45 * np.sin(1.1 * np.arange(FRAMES))
    track[5, JAW], track[5, PRESS] = 0, 1
    frames = np.stack([sitter.paint(pose) for pose in track])
    middle_s = 5 / 12.5 + 0.04
    spoken = Utterance(np.zeros(1, np.float32), (Phone("p", middle_s - 0.02, middle_s + 0.02),))
    subject = Subject("heads", Image.fromarray(sitter.paint(NEUTRAL)), frames)
    figures = read_figures(subject, frames, spoken, track, np.roll(track, 3, axis=0))
    assert figures.r == figures.truth_r > 0.9
    assert figures.r_other < 0.5
    assert (figures.size, figures.head, figures.lag) == (1, 1, 0)
    assert figures.shut_on_closures == 1 > figures.shut_elsewhere
    still = read_figures(subject, np.stack([frames[0]] * FRAMES), spoken, track, track)
    assert abs(still.r) < 0.9
    assert still.size < 0.05


def test_the_table_has_means_of_each_kind() -> None:
    rows = [
        Figures("heads", r, 0.1, lag, 0.9, 0.95, 1.1, 1.0, 0.4, 15)
        for r, lag in ((0.9, 0), (0.5, -1))
    ]
    photograph = Figures("photographs", 0.7, 0.0, 0, 0.02, float("nan"), 0.01, 1.0, 0.4, 0)
    lines = table_of([*rows, photograph]).splitlines()
    assert lines[2].startswith("| heads | 2 | 0.700 / 0.50 | 0.950 | 0.100 | -1 |")
    assert lines[3].startswith("| photographs | 1 | 0.700 / 0.70 |  | 0.000 | 0 |")
