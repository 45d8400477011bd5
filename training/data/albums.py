"""Albums for the portrait decoder: people at 256 pixels in frames of their own and a portrait.

Two kinds of people: drawings, half of them with a texture that moves with them, and rendered heads.
Open mouths and shut lids are more frequent than in speech. Shape letters: P people, F frames of one
person, whose last is the portrait, K the numbers of a pose, M landmarks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import torch
from diffusers import AutoencoderDC
from numpy.typing import NDArray
from torch.nn import functional

from training.data.altering import draw_colours, draw_place, mirrors, placed
from training.data.dataset import draw_gains, draw_reference, load_arrays, save_arrays
from training.data.sitters import draw_framing, draw_sitter
from training.evaluation.mesh_reader import read_track
from training.fit.autoencoder import to_tensor
from training.fit.device import channels_last, native_precision
from training.people.drawing import UNITS
from training.people.faces import Portraitist
from training.people.heads.looks import value_noise
from training.people.heads.painter import HeadPainter
from training.people.motion import BLINK, NUM_CHANNELS, Clip, animate, in_mirror, perform
from training.people.mouth import JAW, TEETH, WIDTH
from training.people.people import NUM_FAMILIES, draw_identity, is_held_out
from training.speech.speech import draw_clip

Array = NDArray[Any]
Kind = Literal["drawn", "textured", "heads"]

SIZE: Final = 256
KINDS: Final[tuple[Kind, ...]] = ("drawn", "textured", "heads")
NUM_POSE: Final = NUM_CHANNELS + 1
"""A pose, and how much of a smile is beneath it."""
_NUM_CLIPS: Final = 24
_SMILING: Final = 0.2
_TEXTURE_SIDE: Final = 512


@dataclass(frozen=True)
class Album:
    """Pictures P F 256 256 3 in bytes, poses P F K, and places in pixels (x, y).

    Places are landmarks as FaceMesh reads them, P F M 2, and the middles of mouths and eyes, P F 2.
    """

    pictures: Array
    poses: Array
    landmarks: Array
    mouths: Array
    eyes: Array

    @classmethod
    def joined(cls, folders: Sequence[Path]) -> "Album":
        """Return all people of some albums."""
        return cls(**_joined(folders))


@dataclass(frozen=True)
class Encoded:
    """Latents of people who were altered, P F C h w in half precision, and their poses P F K."""

    latents: Array
    poses: Array

    @classmethod
    def joined(cls, folders: Sequence[Path]) -> "Encoded":
        """Return all people of some encoded albums."""
        return cls(**_joined(folders))


def _joined(folders: Sequence[Path]) -> dict[str, Array]:
    parts = [load_arrays(folder) for folder in folders]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def write_album(target: Path, kind: Kind, seeds: Sequence[int], num_frames: int) -> None:
    """Paint people of one kind; nothing if the album is there."""
    if target.exists():
        return
    cv2.setNumThreads(1)
    pages = [_page(kind, seed, num_frames) for seed in seeds]
    save_arrays(target, **{name: np.stack([page[name] for page in pages]) for name in pages[0]})


@torch.inference_mode()
def encode_album(target: Path, source: Path, vae: AutoencoderDC, *, copies: int) -> None:
    """Encode everybody `copies` times, each time in another place, mirror and colours.

    Does nothing if the target is there.
    """
    if target.exists():
        return
    album, rng = Album.joined([source]), np.random.default_rng(copies)
    latents, poses = [], []
    for person in np.tile(np.arange(len(album.pictures)), copies):
        place, recolour = draw_place(rng, SIZE), draw_colours(rng)
        pictures = [recolour(placed(picture, place)) for picture in album.pictures[person]]
        small = functional.avg_pool2d(to_tensor(np.stack(pictures)).to(vae.device), 2)
        with native_precision(vae.device):
            encoded = vae.encode(channels_last(small)).latent
        latents.append(encoded.half().cpu().numpy())
        pose = album.poses[person]
        poses.append(in_mirror(pose) if mirrors(place) else pose)
    save_arrays(target, latents=np.stack(latents), poses=np.stack(poses))


def people(first: int, count: int, *, held_out: bool) -> list[int]:
    """Seeds from `first` on of people who are held out, or of those who are not."""
    seeds = range(first, first + (count + 1) * NUM_FAMILIES)
    return [seed for seed in seeds if is_held_out(seed) == held_out][:count]


def _page(kind: Kind, seed: int, num_frames: int) -> dict[str, Array]:
    """Return what an album holds of one person."""
    rng = np.random.default_rng([seed, 11])
    poses = _poses(rng, num_frames, held_out=is_held_out(seed))
    smiles = np.zeros((len(poses), 1), np.float32)
    if kind == "heads":
        sitter = draw_sitter("heads", seed, rng, size=SIZE)
        head = sitter.painter
        assert isinstance(head, HeadPainter)
        pictures = [sitter.paint(pose, is_portrait=k == num_frames) for k, pose in enumerate(poses)]
        smiles[:] = [[sitter.smile_at(is_portrait=k == num_frames)] for k in range(len(poses))]
        places = [(head.mouth_centre(pose), head.eye_centre(pose)) for pose in poses]
    else:
        identity = draw_identity(seed)
        drawing = Portraitist(identity, size=SIZE, framing=draw_framing(identity, rng))
        if kind == "textured":
            _add_texture(drawing, rng)
        pictures = [drawing.paint(pose) for pose in poses]
        unit = SIZE / UNITS
        centres = [(drawing.mouth_centre(pose), drawing.eye_centre(pose)) for pose in poses]
        places = [((a * unit, b * unit), (c * unit, d * unit)) for (a, b), (c, d) in centres]
    mouths, eyes = np.array(places, np.float32).swapaxes(0, 1)
    return {
        "pictures": np.stack(pictures),
        "poses": np.concatenate([poses, smiles], 1),
        "landmarks": np.stack([mark.points for mark in read_track(np.stack(pictures))]),
        "mouths": mouths,
        "eyes": eyes,
    }


def _poses(rng: np.random.Generator, num_frames: int, *, held_out: bool) -> Array:
    """Poses of frames from anywhere in a clip, and of a portrait, which now and then smiles."""
    clip = _clips(held_out=held_out)[rng.integers(_NUM_CLIPS)]
    stored = clip.stored
    weights = 0.6 + 2 * np.clip(stored[:, JAW], 0, 1) ** 1.5 + 3 * (stored[:, BLINK] > 0.4)
    rows = rng.choice(len(stored), num_frames, replace=False, p=weights / weights.sum())
    head, expression = draw_gains(rng)
    frames = perform(stored[rows], clip.head * head, clip.expression * expression)
    early = stored[rng.integers(5, min(60, len(stored)), size=1)]
    portrait = draw_reference(perform(early, clip.head, clip.expression)[0], rng)
    if rng.random() < _SMILING:
        portrait[WIDTH], portrait[TEETH] = rng.uniform(0.4, 1.1), rng.uniform(0, 0.8)
        portrait[JAW] = rng.uniform(0, 0.25) * (rng.random() < 0.5)
    return np.concatenate([frames, portrait[None]])


@lru_cache(2)
def _clips(*, held_out: bool) -> list[Clip]:
    """Clips of speech, for their tracks."""
    seeds = range(_NUM_CLIPS)
    return [animate(draw_clip(s, held_out=held_out), np.random.default_rng(s)) for s in seeds]


def _add_texture(drawing: Portraitist, rng: np.random.Generator) -> None:
    """Fine detail on head, body and backdrop that moves with them."""
    for layer in (drawing.layers.head, drawing.layers.body, drawing.layers.backdrop):
        noise = value_noise(rng, _TEXTURE_SIDE, 3, 9, 0.75)
        noise = cv2.resize(noise, (layer.shape[1], layer.shape[0]))
        gain = np.exp(rng.uniform(0.04, 0.28) * np.clip(noise, -2.5, 2.5))[..., None]
        layer[..., :3] = np.clip(layer[..., :3] * gain, 0, 255).astype(np.uint8)
