"""Known frames, and what the UNet makes of their noisy latents.

Shape letters: F frames, C channels, h, w rows and columns of the latents.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from sonic_ops.core.config import SamplingConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.sampler import SourceFrames
from training.data.albums import SIZE, add_texture
from training.data.altering import draw_colours, draw_place, moved, placed
from training.data.dataset import draw_gains, draw_reference, load_arrays, save_arrays
from training.data.sitters import draw_sitter
from training.evaluation.cases import Case, frame_steps
from training.fit.autoencoder import to_tensor
from training.people.drawing import UNITS
from training.people.faces import NEUTRAL, Portraitist
from training.people.motion import animate, perform
from training.people.mouth import STEPS_PER_SECOND
from training.speech.speech import Utterance, draw_clip

Array = NDArray[Any]

FRAMES: Final = 25
"""A window of the UNet."""
_STARTS: Final = ((4, 3), (4, 3), (8, 5), (8, 5), (8, 4))
"""Of how many steps how many are taken: from noise levels of 4, 2 and 1 on."""
_HEADS: Final = 0.4
"""Share of rendered heads, which take longer to paint."""
_TEXTURED: Final = 0.4
_NEUTRAL: Final = 0.6
_FIRST_CLIP: Final = 60_000
_SAMPLES_PER_STEP: Final = SAMPLE_RATE_HZ // STEPS_PER_SECOND


@dataclass(frozen=True)
class Remade:
    """Pictures of frames and, last, of the portrait; latents F C h w and 1 C h w, unscaled.

    The middles of mouths and eyes of the frames are in pixels, F 2.
    """

    pictures: Array
    latents: Array
    own: Array
    mouths: Array
    eyes: Array


def read_remade(folders: Sequence[Path]) -> list[Remade]:
    """Return stored clips; their pictures stay on the disk until they are read."""
    return [Remade(**load_arrays(folder, lazy=True)) for folder in folders]


def write_remade(target: Path, pipe: SonicPipeline, seed: int) -> None:
    """Let person `seed` speak for a window, and the UNet remake it; nothing if it is there."""
    if target.exists():
        return
    cv2.setNumThreads(1)
    rng = np.random.default_rng([seed, 23])
    case, places, gains = _case(seed, rng)
    asked = {"head_motion": gains[0], "expression": gains[1]}
    sampling = pipe.settings.sampling.model_copy(update=asked)
    own, latents = _remade(pipe, sampling, case, seed, rng)
    save_arrays(
        target,
        pictures=np.concatenate([case.truth_FHW3, case.portrait_HW3[None]]),
        latents=latents,
        own=own,
        mouths=places[0],
        eyes=places[1],
    )


def _case(seed: int, rng: np.random.Generator) -> tuple[Case, list[Array], tuple[float, float]]:
    """Paint somebody who speaks, altered as one: the case, places of mouths and eyes, gains."""
    spoken, first = _said(rng)
    sitter = draw_sitter("heads" if rng.random() < _HEADS else "drawn", seed, rng, size=SIZE)
    unit = 1.0
    if isinstance(sitter.painter, Portraitist):
        unit = SIZE / UNITS
        if rng.random() < _TEXTURED:
            add_texture(sitter.painter, rng)
    clip, gains = animate(spoken, np.random.default_rng(seed)), draw_gains(rng)
    steps = np.minimum(frame_steps(FRAMES, 10**9) + first, len(clip.stored) - 1)
    poses = perform(clip.stored[steps], clip.head * gains[0], clip.expression * gains[1])
    any_pose = draw_reference(poses[rng.integers(FRAMES)], rng)
    own_pose = NEUTRAL if rng.random() < _NEUTRAL else any_pose
    place, recolour = draw_place(rng, SIZE), draw_colours(rng)
    painted = [*(sitter.paint(pose) for pose in poses), sitter.paint(own_pose, is_portrait=True)]
    pictures = np.stack([recolour(placed(picture, place)) for picture in painted])
    centres = (sitter.painter.mouth_centre, sitter.painter.eye_centre)
    points = [unit * np.array([centre(pose) for pose in poses]) for centre in centres]
    corners = np.clip(moved(np.reshape(sitter.box, (2, 2)), place), 0, SIZE)
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    case = Case(
        name=str(seed),
        samples=spoken.samples[first * _SAMPLES_PER_STEP :][: FRAMES * SAMPLES_PER_FRAME],
        portrait_HW3=pictures[-1],
        truth_FHW3=pictures[:-1],
        poses_FK=poses,
        closures=(),
        box=(left, top, right, bottom),
        mouth=(0.0, 0.0),
    )
    return case, [moved(part, place).astype(np.float32) for part in points], gains


def _said(rng: np.random.Generator) -> tuple[Utterance, int]:
    """Return speech that is long enough, and the step of its track at which a window begins."""
    needed = FRAMES * SAMPLES_PER_FRAME
    while True:
        spoken = draw_clip(_FIRST_CLIP + int(rng.integers(_FIRST_CLIP)), held_out=False)
        spare = (len(spoken.samples) - needed) // _SAMPLES_PER_STEP
        if spare >= 0:
            return spoken, int(rng.integers(spare + 1))


@torch.inference_mode()
def _remade(
    pipe: SonicPipeline, sampling: SamplingConfig, case: Case, seed: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return latents of the portrait and of the frames, denoised from some noise level on."""
    steps, run = _STARTS[rng.integers(len(_STARTS))]
    settings = sampling.model_copy(update={"steps": steps, "strength": run / steps})
    portrait = case.portrait(pipe.settings.portrait)
    shown = pipe.encode_portrait(portrait, seed, settings.condition_noise)
    heard = pipe.encode_audio(case.samples, shown, settings)
    true = pipe.encode_image(functional.avg_pool2d(to_tensor(case.truth_FHW3), 2))
    nothing = torch.zeros(len(true), 1, *true.shape[2:], dtype=torch.bool)
    source = SourceFrames(true * pipe.latent_scale, nothing)
    latents = pipe.denoise(shown, heard, seed, settings, source=source) / pipe.latent_scale
    own = pipe.encode_image(portrait.image_CHW[None])
    return own.numpy().astype(np.float16), latents.numpy().astype(np.float16)
