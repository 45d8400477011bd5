"""What is rendered and what is true: a person, a sound, and the pose at every frame.

A person is drawn, or a rendered head, and has true frames; a photograph has none.
Shape letters: F frames, H, W rows and columns.
"""

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME, TOKENS_PER_FRAME
from sonic_ops.picture.faces import Box
from sonic_ops.picture.portrait import Portrait, place_face, prepare_portrait
from training.data.dataset import SIZE, STEPS_PER_TOKEN
from training.data.sitters import Sitter
from training.people.drawing import UNITS
from training.people.faces import NEUTRAL, Framing, Portraitist
from training.people.motion import animate, perform
from training.people.mouth import STEPS_PER_SECOND
from training.people.people import Identity
from training.speech.phones import closes_lips
from training.speech.speech import Phone, Utterance, draw_clip

Bytes = NDArray[np.uint8]
Corners = tuple[float, float, float, float]
_STEPS_PER_FRAME: Final = TOKENS_PER_FRAME * STEPS_PER_TOKEN


class Subject(Protocol):
    """Who can be shown at a pose."""

    @property
    def box(self) -> Corners:
        """Return the face as a detector sees it, in pixels: left, top, right, bottom."""
        ...

    def paint(self, pose: Any, *, is_portrait: bool = False) -> Bytes:
        """Return the picture at a pose: H W 3."""
        ...

    def mouth_centre(self, pose: Any) -> NDArray[Any]:
        """Return where the mouth is at a pose, in pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph, cropped as the renderer does it; nobody knows it at another pose."""

    picture_HW3: Bytes
    box: Corners

    @classmethod
    def cropped(cls, image: Image.Image, size: int) -> "Photograph":
        """Cut a photograph around its largest face. Raises InputError."""
        config = PortraitConfig()
        place = place_face(
            image, resolution=size, framing="face", face_box=None, expand=config.expand
        )
        left, top, right, _ = place.crop
        scale, inner = size / (right - left), place.box.moved(-left, -top)
        far = inner.x + inner.width, inner.y + inner.height
        picture = image.crop(place.crop).resize((size, size), Image.Resampling.LANCZOS)
        box = inner.x * scale, inner.y * scale, far[0] * scale, far[1] * scale
        return cls(np.asarray(picture), box)

    def paint(self, pose: Any, *, is_portrait: bool = False) -> Bytes:
        assert is_portrait, "a photograph has no other pose"
        return self.picture_HW3

    def mouth_centre(self, pose: Any) -> NDArray[Any]:
        """Return the lower middle of the face, where a mouth is to be expected."""
        left, top, right, bottom = self.box
        return np.array([(left + right) / 2, top + 0.75 * (bottom - top)], np.float32)


@dataclass(frozen=True, slots=True)
class Case:
    """One person saying something, with the truth."""

    name: str
    samples: NDArray[np.float32]
    portrait_HW3: Bytes
    truth_FHW3: Bytes
    """No frames if they are not known."""
    poses_FK: NDArray[np.float32]
    """Channels in the order of `motion`."""
    closures: tuple[float, ...]
    """Middles of p, b and m, in frames."""
    box: Corners
    """The face, in pixels: left, top, right, bottom."""
    mouth: tuple[float, float]

    @property
    def num_frames(self) -> int:
        return len(self.poses_FK)

    def portrait(self, config: PortraitConfig) -> Portrait:
        """Return the portrait as the renderer prepares it, with the face where it was painted."""
        left, top, right, bottom = self.box
        return prepare_portrait(
            Image.fromarray(self.portrait_HW3),
            resolution=config.resolution,
            framing="full",
            face_box=Box(left, top, right - left, bottom - top),
            expand=config.expand,
            mask_area=config.mask_area,
            model_resolution=config.model_resolution,
        )


def drawn_person(identity: Identity, size: int = SIZE) -> Sitter:
    """Return a drawn person in the renderer's crop of a detected face."""
    framing, scale = centred(identity), size / UNITS
    left, top, right, bottom = (v * scale for v in framing.shown(identity.face_box()))
    painter = Portraitist(identity, size=size, framing=framing)
    return Sitter(painter, (left, top, right, bottom))


def centred(identity: Identity) -> Framing:
    """Return the renderer's crop of a detected face."""
    left, top, right, bottom = identity.face_box()
    side = 2 * min(right - left, bottom - top)
    return Framing(zoom=UNITS / side, x=(left + right) / 2, y=(top + bottom) / 2)


def make_case(
    name: str,
    subject: Subject,
    spoken: Utterance,
    seed: int,
    *,
    head_motion: float = 1.0,
    expression: float = 1.0,
    has_truth: bool = True,
) -> Case:
    """Paint the portrait and, if asked for, the truth; as many frames as the sound has."""
    num_frames = len(spoken.samples) // SAMPLES_PER_FRAME
    clip = animate(spoken, np.random.default_rng(seed))
    stored = clip.stored[frame_steps(num_frames, len(clip.stored))]
    poses = perform(stored, head_motion * clip.head, expression * clip.expression)
    portrait = subject.paint(NEUTRAL, is_portrait=True)
    truth = [subject.paint(pose) for pose in poses] if has_truth else []
    x, y = (float(v) for v in subject.mouth_centre(NEUTRAL))
    return Case(
        name=name,
        samples=spoken.samples,
        portrait_HW3=portrait,
        truth_FHW3=np.array(truth, np.uint8).reshape(-1, *portrait.shape),
        poses_FK=poses,
        closures=tuple(frame_at(phone) for phone in spoken.phones if closes_lips(phone.name)),
        box=subject.box,
        mouth=(x, y),
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
