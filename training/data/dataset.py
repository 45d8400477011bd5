"""Shards of training data: clips of speech with features and tracks, and pictures of people.

Shape letters: L tokens, K = 5 hidden states, D = 384 channels; P people, F frames of one person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from sonic_ops.audio.whisper import log_mel
from sonic_ops.core.constants import TOKENS_PER_FRAME, TOKENS_PER_SECOND
from training.data.features import (
    AFTER,
    BEFORE,
    load_encoder,
    pack_mel,
    token_rows,
    tokens_of,
    unpack_mel,
)
from training.data.sitters import World, draw_sitter
from training.people import people
from training.people.motion import BLINK, SHIFT_Y, YAW, Clip, animate, perform
from training.people.mouth import NUM_MOUTH, STEPS_PER_SECOND
from training.speech.speech import draw_clip

SIZE: Final = 128
STEPS_PER_TOKEN: Final = STEPS_PER_SECOND // TOKENS_PER_SECOND
_SEEDS_PER_SHARD: Final = 1_000_000
_AS_HEARD: Final = 0.35
"""Share of the people who move as strongly as their voice tells."""
MOST_GAIN: Final = 2.3

Array = NDArray[Any]


@dataclass(frozen=True)
class Speech:
    """All clips end to end: the frame at token `u` of a clip is row `starts[clip] + u`."""

    features: torch.Tensor
    """Rows K D, half precision, zero rows between the clips."""
    tracks: Array
    """Rows x 15, the stored track at each token; `poses` gives it the amplitudes."""
    starts: Array
    """Row of the first token of each clip."""
    lengths: Array
    """Tokens of each clip."""
    amplitudes: Array
    """Clips x 2: head, expression."""

    def frames(self, clip: int, first: int, num_frames: int) -> Array:
        """Return rows of `num_frames` frames of a clip, 12.5 per second, from token `first`."""
        return np.asarray(self.starts[clip] + first + TOKENS_PER_FRAME * np.arange(num_frames))

    def amplitudes_at(self, rows: Array) -> Array:
        """Return the amplitudes of the clips of the rows: rows x 2."""
        return np.asarray(self.amplitudes[np.searchsorted(self.starts, rows, side="right") - 1])

    def poses(self, rows: Array, gains: tuple[float, float] = (1.0, 1.0)) -> Array:
        """Return the poses at rows of clips, head and expression stronger by `gains`: rows x 15."""
        head, expression = (self.amplitudes_at(rows) * np.asarray(gains, np.float32)).T
        return perform(self.tracks[rows], head, expression)

    def windows(self, rows: torch.Tensor, before: int, span: int) -> torch.Tensor:
        """Return tokens [row - before, row - before + span) of each row."""
        around = torch.arange(-before, span - before, device=rows.device)
        return self.features[rows[..., None] + around]


def write_speech(
    target: Path, encoder_folder: Path, *, shard: int, num_clips: int, held_out: bool
) -> None:
    """Synthesise, animate and encode clips; a shard is a folder of arrays."""
    encoder = load_encoder(encoder_folder)
    base = shard * _SEEDS_PER_SHARD
    features, mels, tracks, lengths, amplitudes = [], [], [], [], []
    for seed in range(base, base + num_clips):
        spoken = draw_clip(seed, held_out=held_out)
        clip = animate(spoken, np.random.default_rng(seed))
        num_tokens, mel = tokens_of(clip.samples), log_mel(clip.samples)
        features.append(token_rows(encoder, mel, num_tokens).numpy())
        mels.append(pack_mel(mel, num_tokens))
        tracks.append(_token_track(clip, num_tokens))
        lengths.append(num_tokens)
        amplitudes.append((clip.head, clip.expression))
    sizes = np.array([len(rows) for rows in features])
    save_arrays(
        target,
        features=np.concatenate(features),
        mels=np.concatenate(mels),
        tracks=np.concatenate(tracks).astype(np.float16),
        lengths=np.array(lengths),
        starts=np.cumsum(sizes) - sizes + BEFORE,
        amplitudes=np.array(amplitudes, np.float32),
    )


def write_features(shard: Path, encoder_folder: Path) -> None:
    """Encode the clips of a shard that came without features; nothing if it has them."""
    if (shard / "features.npy").exists():
        return
    encoder = load_encoder(encoder_folder)
    arrays = load_arrays(shard)
    ends = 2 * np.cumsum(arrays["lengths"])
    mels = np.split(arrays["mels"], ends[:-1])
    rows = [
        token_rows(encoder, unpack_mel(mel), int(length)).numpy()
        for mel, length in zip(mels, arrays["lengths"], strict=True)
    ]
    draft = shard / "features.draft"
    with draft.open("wb") as file:
        np.save(file, np.concatenate(rows))
    draft.rename(shard / "features.npy")


def _token_track(clip: Clip, num_tokens: int) -> Array:
    """Return the stored track at every token, taken at the middle of its frame's showing time."""
    steps = STEPS_PER_TOKEN * (np.arange(-BEFORE, num_tokens + AFTER) + 1)
    return clip.stored[np.clip(steps, 0, len(clip.stored) - 1)]


def read_speech(folders: list[Path], *, load_features: bool = True) -> Speech:
    """Join shards of clips; without the features if only tracks and places are wanted."""
    shards = [load_arrays(folder, lazy=not load_features) for folder in folders]
    sizes = [len(shard["features"]) for shard in shards]
    offsets = np.cumsum([0, *sizes[:-1]])
    starts = [s["starts"] + o for s, o in zip(shards, offsets, strict=True)]
    features = [shard["features"] for shard in shards] if load_features else [np.zeros(0)]
    return Speech(
        features=torch.from_numpy(np.concatenate(features)),
        tracks=np.concatenate([s["tracks"] for s in shards]).astype(np.float32),
        starts=np.concatenate(starts),
        lengths=np.concatenate([s["lengths"] for s in shards]),
        amplitudes=np.concatenate([s["amplitudes"] for s in shards]),
    )


def draw_gains(rng: np.random.Generator) -> tuple[float, float]:
    """Return how much stronger than the voice tells a person moves: head, expression.

    Drawn apart, from stillness to more than double, so that a renderer may scale them apart.
    """
    head, expression = (
        1.0 if rng.random() < _AS_HEARD else float(rng.uniform(0, MOST_GAIN)) for _ in range(2)
    )
    return head, expression


def draw_reference(pose: Array, rng: np.random.Generator) -> Array:
    """Draw the pose of a portrait: mostly looking at us with the mouth shut and open eyes."""
    reference = pose.copy()
    reference[YAW : SHIFT_Y + 1] *= 0.5
    if rng.random() < 0.65:
        reference[:NUM_MOUTH] = 0
    if rng.random() < 0.98:
        reference[BLINK] = 0
    return reference


Chooser = Callable[[np.random.Generator], Array]
"""Rows of the speech for the frames of one person."""


def single_frames(speech: Speech, num_frames: int) -> Chooser:
    """Return frames from anywhere: each another clip and moment."""

    def choose(rng: np.random.Generator) -> Array:
        clips = rng.integers(len(speech.starts), size=num_frames)
        return np.asarray(speech.starts[clips] + rng.integers(speech.lengths[clips]))

    return choose


def window_frames(speech: Speech, num_frames: int) -> Chooser:
    """Neighbouring frames of one clip."""
    span = TOKENS_PER_FRAME * num_frames
    long_enough = np.flatnonzero(speech.lengths > span)

    def choose(rng: np.random.Generator) -> Array:
        clip = int(rng.choice(long_enough))
        first = int(rng.integers(speech.lengths[clip] - span + 1))
        return speech.frames(clip, first, num_frames)

    return choose


def write_pictures(
    target: Path,
    speech: Speech,
    choose: Chooser,
    *,
    shard: int,
    num_people: int,
    world: World = "drawn",
) -> None:
    """Paint people who speak; the last frame of each is the reference portrait."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(shard)
    seeds = training_seeds(shard, num_people)
    rows_PF = np.stack([choose(rng) for _ in seeds])
    num_frames = rows_PF.shape[1]
    pictures = np.zeros((len(seeds), num_frames + 1, SIZE, SIZE, 3), np.uint8)
    mouths = np.zeros((len(seeds), num_frames + 1, 2), np.float32)
    boxes = np.zeros((len(seeds), 4), np.float32)
    amplitudes = np.zeros((len(seeds), num_frames, 2), np.float32)
    for i, seed in enumerate(seeds):
        sitter = draw_sitter(world, seed, rng, size=SIZE)
        boxes[i] = sitter.box
        gains = draw_gains(rng)
        amplitudes[i] = speech.amplitudes_at(rows_PF[i]) * gains
        anywhere = speech.starts[[rng.integers(len(speech.starts))]] + rng.integers(4, 50)
        reference = draw_reference(speech.poses(anywhere)[0], rng)
        for j, pose in enumerate([*speech.poses(rows_PF[i], gains), reference]):
            pictures[i, j] = sitter.paint(pose, is_portrait=j == num_frames)
            mouths[i, j] = sitter.mouth_centre(pose)
    save_arrays(
        target, pictures=pictures, mouths=mouths, boxes=boxes, rows=rows_PF, amplitudes=amplitudes
    )


def training_seeds(shard: int, num_people: int) -> list[int]:
    """People of a shard who may be trained on: no held-out family, no held-out style."""
    first = shard * _SEEDS_PER_SHARD
    seeds = [s for s in range(first, first + 2 * num_people) if not people.is_held_out(s)]
    return seeds[:num_people]


@dataclass(frozen=True)
class Pictures:
    """Painted people, their reference last.

    P F 128 128 3 with mouth centres P F 2, face boxes P 4, and for all but the reference the rows
    of the speech P F-1 and the amplitudes of head and expression P F-1 2.
    """

    pictures: Array
    mouths: Array
    boxes: Array
    rows: Array
    amplitudes: Array


def read_pictures(folders: list[Path], *, load_pictures: bool = True) -> Pictures:
    """Join shards of pictures; without the pixels if only the rest is wanted."""
    shards = [load_arrays(folder, lazy=not load_pictures) for folder in folders]
    joined = {key: [shard[key] for shard in shards] for key in shards[0]}
    pixels = joined.pop("pictures")
    rest = {key: np.concatenate(parts) for key, parts in joined.items()}
    return Pictures(pictures=np.concatenate(pixels) if load_pictures else pixels[0], **rest)


def save_arrays(target: Path, **arrays: Array) -> None:
    """Write a shard beside its name and rename it: it exists when it is whole."""
    draft = target.with_name(target.name + ".draft")
    draft.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(draft / f"{name}.npy", array)
    draft.rename(target)


def load_arrays(folder: Path, *, lazy: bool = False) -> dict[str, Array]:
    """Return the arrays of a shard; lazy ones stay on the disk until they are read."""
    mode: Literal["r"] | None = "r" if lazy else None
    return {path.stem: np.load(path, mmap_mode=mode) for path in sorted(folder.glob("*.npy"))}
