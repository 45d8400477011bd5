"""A painted person who speaks: a good video whose truth is known, and what can be done to it.

Shape letters: N output frames, H, W rows and columns.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import mux
from sonic_ops.media.soundtrack import Soundtrack
from training.people.faces import NEUTRAL, Portraitist
from training.people.motion import animate
from training.people.mouth import STEPS_PER_SECOND
from training.people.people import draw_identity
from training.speech.sentences import sentence
from training.speech.speech import Voice, speak

FPS = 25
SIDE = 128
_VOICE = Voice("en-us+f4", pitch=50, rate=160, pitch_range=50)

Frames = NDArray[np.uint8]
Samples = NDArray[np.float32]


def portrait_of(person: int, side: int = SIDE) -> Frames:
    """Paint a person at rest: H W 3."""
    return Portraitist(draw_identity(person), size=side).paint(NEUTRAL)


def film(
    person: int, *, first_sentence: int = 3, num_sentences: int = 1, side: int = SIDE
) -> tuple[Frames, Samples]:
    """Paint a person who says some sentences: frames N H W 3 and their audio."""
    rng = np.random.default_rng(person)
    painter = Portraitist(draw_identity(person), size=side)
    frames, samples = [], []
    for index in range(first_sentence, first_sentence + num_sentences):
        clip = animate(speak(sentence(index), _VOICE), rng)
        num_frames = len(clip.samples) * FPS // SAMPLE_RATE_HZ
        steps = ((np.arange(num_frames) + 0.5) * STEPS_PER_SECOND / FPS).astype(int)
        frames += [painter.paint(pose) for pose in clip.track[steps.clip(0, len(clip.track) - 1)]]
        samples.append(clip.samples[: num_frames * SAMPLE_RATE_HZ // FPS])
    return np.stack(frames), np.concatenate(samples)


def write_video(target: Path, frames: Iterable[Frames], samples: Samples) -> Path:
    """Write frames and audio as a render does."""
    silent, wav = target.with_suffix(".silent.mp4"), target.with_suffix(".wav")
    encode_frames(frames, silent, EncodeSettings(preset="ultrafast", gop_frames=FPS))
    soundfile.write(wav, samples, SAMPLE_RATE_HZ)
    mux(silent, Soundtrack(str(wav)), target)
    silent.unlink()
    wav.unlink()
    return target
