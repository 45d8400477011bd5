"""What is rendered and what is true: a painted person, a sound, and the pose at every frame.

Shape letters: F frames, H, W rows and columns.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, TOKENS_PER_FRAME
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import Portrait, face_mask, picture_tensors
from training.data.dataset import SIZE, STEPS_PER_TOKEN
from training.people.drawing import UNITS
from training.people.faces import NEUTRAL, Framing, Portraitist
from training.people.motion import animate, perform
from training.people.mouth import STEPS_PER_SECOND
from training.people.people import Identity
from training.speech.phones import closes_lips
from training.speech.speech import Phone, Utterance, draw_clip

Bytes = NDArray[np.uint8]
_STEPS_PER_FRAME: Final = TOKENS_PER_FRAME * STEPS_PER_TOKEN
_MASK_AREA: Final = 1.1


@dataclass(frozen=True, slots=True)
class Case:
    """One person saying something, with the truth."""

    name: str
    samples: NDArray[np.float32]
    portrait_HW3: Bytes
    truth_FHW3: Bytes
    poses_FK: NDArray[np.float32]
    """Channels in the order of `motion`."""
    closures: tuple[float, ...]
    """Middles of p, b and m, in frames."""
    box: tuple[float, float, float, float]
    """The face, in pixels: left, top, right, bottom."""
    mouth: tuple[float, float]

    @property
    def num_frames(self) -> int:
        return len(self.truth_FHW3)

    def portrait(self) -> Portrait:
        """Return the portrait as the renderer prepares it, with the face where it was painted."""
        left, top, right, bottom = self.box
        box = Box(left, top, right - left, bottom - top)
        image = Image.fromarray(self.portrait_HW3)
        mask = face_mask(box, _MASK_AREA, image.size)
        return Portrait(*picture_tensors(image, mask, SIZE), box, 1, (0, 0, SIZE, SIZE))


def centred(identity: Identity) -> Framing:
    """Return the renderer's crop of a detected face."""
    left, top, right, bottom = identity.face_box()
    side = 2 * min(right - left, bottom - top)
    return Framing(zoom=UNITS / side, x=(left + right) / 2, y=(top + bottom) / 2)


def make_case(
    name: str,
    identity: Identity,
    spoken: Utterance,
    seed: int,
    *,
    head_motion: float = 1.0,
    expression: float = 1.0,
) -> Case:
    """Paint the truth and the neutral portrait of a person; as many frames as the sound has."""
    framing = centred(identity)
    painter = Portraitist(identity, size=SIZE, framing=framing)
    num_frames = len(spoken.samples) // SAMPLES_PER_FRAME
    clip = animate(spoken, np.random.default_rng(seed))
    stored = clip.stored[frame_steps(num_frames, len(clip.stored))]
    poses = perform(stored, head_motion * clip.head, expression * clip.expression)
    scale = SIZE / UNITS
    left, top, right, bottom = (v * scale for v in framing.shown(identity.face_box()))
    x, y = painter.mouth_centre(NEUTRAL)
    return Case(
        name=name,
        samples=spoken.samples,
        portrait_HW3=painter.paint(NEUTRAL),
        truth_FHW3=np.stack([painter.paint(pose) for pose in poses]),
        poses_FK=poses,
        closures=tuple(frame_at(phone) for phone in spoken.phones if closes_lips(phone.name)),
        box=(left, top, right, bottom),
        mouth=(x * scale, y * scale),
    )


def frame_steps(num_frames: int, num_steps: int) -> NDArray[Any]:
    """Return the step of a track that each frame shows: the middle of its output frame."""
    steps = _STEPS_PER_FRAME * np.arange(num_frames) + STEPS_PER_TOKEN
    return np.minimum(steps, num_steps - 1)


def frame_at(phone: Phone) -> float:
    """Return the middle of a phone, in frames."""
    middle_s = (phone.start_s + phone.stop_s) / 2
    return (middle_s * STEPS_PER_SECOND - STEPS_PER_TOKEN) / _STEPS_PER_FRAME


def cut(spoken: Utterance, seconds: float) -> Utterance:
    """Return the first seconds of an utterance."""
    num_samples = int(seconds * SAMPLE_RATE_HZ)
    phones = tuple(phone for phone in spoken.phones if phone.start_s < seconds)
    return Utterance(spoken.samples[:num_samples], phones)


def held_out_speech(first_seed: int, num_clips: int, seconds: float) -> list[Utterance]:
    """Held-out voices saying held-out sentences, each long enough, cut to `seconds`."""
    clips: list[Utterance] = []
    seed = first_seed
    while len(clips) < num_clips:
        spoken = draw_clip(seed, held_out=True)
        if len(spoken.samples) >= int(seconds * SAMPLE_RATE_HZ):
            clips.append(cut(spoken, seconds))
        seed += 1
    return clips


def silence(seconds: float, *, floor: float, seed: int) -> Utterance:
    """Make silence; `floor` is the level of the noise of the room, 0 for digital silence."""
    noise = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE_HZ))
    return Utterance((floor * noise).astype(np.float32), ())
