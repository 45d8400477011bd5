"""How well the portrait decoder shows people whom it has never seen, at 256 pixels.

Latents come from the encoder, so this is the most that a render can reach. Beside it stands what
the autoencoder of the same weights makes of these latents, enlarged. Shape letters: F frames, H, W.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.models.networks import SonicNetworks
from sonic_ops.models.portrait_decoder import frames_of
from training.data.albums import KINDS, SIZE, Album, Kind, people, write_album
from training.evaluation.measures import edges
from training.fit.autoencoder import to_tensor

Array = NDArray[Any]

FIRST_SEED: Final = 7_000_000
NUM_FRAMES: Final = 6
_NUM_SHOWN: Final = 4
DECODERS: Final = ("autoencoder, enlarged", "portrait decoder", "the portrait itself")


@dataclass(frozen=True)
class Figure:
    """The mean over people, and how far 95 % of such means would lie from it."""

    mean: float
    margin: float

    @classmethod
    def of(cls, values: list[float]) -> "Figure":
        """Return the figure of values, one for each person."""
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        return cls(float(np.mean(values)), 1.96 * spread / len(values) ** 0.5)

    def __str__(self) -> str:
        return f"{self.mean:.2f} +- {self.margin:.2f}"


def measure(networks: SonicNetworks, folder: Path, num_people: int) -> str:
    """Return the table, in Markdown; albums and a sheet of each kind go into `folder`."""
    lines = [
        f"{num_people} people of each kind, {NUM_FRAMES} frames each; mean over people and 95 %",
        "",
        "| people | decoder | whole, dB | mouth, dB | eyes, dB | sharpness | of the mouth |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        album = _album(folder, kind, num_people)
        found = _found(networks, album)
        _save_sheet(folder / f"{kind}.png", album, found)
        for name in DECODERS:
            pages = [_measures(album, person, found[name][person]) for person in range(num_people)]
            figures = [str(Figure.of(list(values))) for values in zip(*pages, strict=True)]
            lines.append(f"| {kind} | {name} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"


def _album(folder: Path, kind: Kind, num_people: int) -> Album:
    target = folder / f"held-out-{kind}-{num_people}"
    write_album(target, kind, people(FIRST_SEED, num_people, held_out=True), NUM_FRAMES)
    return Album.joined([target])


@torch.inference_mode()
def _found(networks: SonicNetworks, album: Album) -> dict[str, list[Array]]:
    """Return what each decoder shows of each person: F H W 3 in bytes."""
    found: dict[str, list[Array]] = {name: [] for name in DECODERS}
    for pictures, landmarks in zip(album.pictures, album.landmarks, strict=True):
        pixels = to_tensor(pictures)
        small = torch.nn.functional.avg_pool2d(pixels, 2)
        latents = networks.encode_image(small)
        places = torch.from_numpy(landmarks[-1] * (2 / SIZE) - 1)
        reference = networks.portrait_decoder.refer(pixels[-1], latents[-1:], places)
        scaled = latents[:-1] * networks.latent_scale
        layers = networks.decode_layers(scaled, reference=reference)
        enlarged = [_enlarged(picture) for picture in _bytes(networks.decode_latents(scaled))]
        shown = (
            np.stack(enlarged),
            _bytes(frames_of(layers, reference)),
            np.repeat(pictures[-1:], len(layers), 0),
        )
        for name, frames in zip(DECODERS, shown, strict=True):
            found[name].append(frames)
    return found


def _bytes(frames: torch.Tensor) -> Array:
    pixels = ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().movedim(1, -1)
    return np.ascontiguousarray(pixels.numpy())


def _enlarged(picture: Array) -> Array:
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def _measures(album: Album, person: int, found: Array) -> Iterator[float]:
    """Decibel of the whole, the mouth and the eyes; sharpness of the whole and of the mouth."""
    truth = album.pictures[person, :-1]
    error = ((truth.astype(np.float64) - found) / 255) ** 2
    mouth = _region(album.mouths[person, :-1], 25, 22)
    eyes = _region(album.eyes[person, :-1], 40, 14)
    everywhere = np.ones_like(mouth)
    for place in (everywhere, mouth, eyes):
        parts = (error.mean(-1) * place).sum((1, 2)) / place.sum((1, 2))
        yield float((-10 * np.log10(parts + 1e-9)).mean())
    edges_found, edges_true = edges(found), edges(truth)
    for place in (everywhere, mouth):
        yield float((edges_found * place).sum() / (edges_true * place).sum())


def _region(middles: Array, half_width: float, half_height: float) -> Array:
    """1 in an ellipse around each point: F H W."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    x, y = (middles[:, k, None, None] for k in (0, 1))
    inside = ((columns - x) / half_width) ** 2 + ((rows - y) / half_height) ** 2 < 1
    region: Array = inside.astype(np.float64)
    return region


def _save_sheet(target: Path, album: Album, found: dict[str, list[Array]]) -> None:
    """Portrait, truth and decoders, of the frame of some people that has moved the most."""
    rows = []
    for person in range(min(_NUM_SHOWN, len(album.pictures))):
        *frames, portrait = album.pictures[person]
        moved = [np.abs(frame.astype(int) - portrait).mean() for frame in frames]
        chosen = int(np.argmax(moved))
        shown = [found[name][person][chosen] for name in DECODERS[:2]]
        rows.append(np.concatenate([portrait, frames[chosen], *shown], 1))
    Image.fromarray(np.concatenate(rows)).save(target)
