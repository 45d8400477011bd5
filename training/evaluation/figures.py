"""What one rendered case gave, kept in a file, so that a run that was cut off goes on.

Shape letters: F frames, K channels of the reader, H, W rows and columns.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import tensor

from sonic_ops.core.files import draft_of
from training.data.dataset import SIZE
from training.evaluation import measures
from training.evaluation.cases import Case
from training.evaluation.reader import PoseReader, readable
from training.fit.autoencoder import mouth_weight

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_FACE_TO: float = 0.55
"""The part of the face box, from the top, that flicker is measured in: no mouth, no collar."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Portrait and truth through the autoencoder: the best that the UNet could do."""

    portrait_HW3: Bytes
    truth_FHW3: Bytes


@dataclass(frozen=True, slots=True)
class Pictures:
    """How the pictures of a case differ from each other, from the truth and from the portrait."""

    flicker: float
    true_flicker: float
    background_db: float
    """The background against the portrait as the autoencoder shows it: what was made to move."""
    portrait_db: float
    """The background against the portrait itself."""
    decoded_portrait_db: float
    decoded_db: float
    decoded_mouth_db: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Poses as they are (F K) and as they were read from three kinds of pictures."""

    true_FK: Floats
    painted_FK: Floats
    decoded_FK: Floats
    """The truth through the autoencoder: the ceiling."""
    read_FK: Floats
    """The render."""
    closures: tuple[float, ...]
    """Middles of p, b and m, in frames."""
    pictures: Pictures
    seconds: dict[str, float]
    """CPU time of the parts of the render."""


def take_figures(
    case: Case,
    decoded: Decoded,
    pictures_FHW3: Bytes,
    reader: PoseReader,
    seconds: dict[str, float],
) -> Figures:
    """Read the poses and compare the pictures."""
    portrait = case.portrait_HW3
    return Figures(
        true_FK=readable(case.poses_FK),
        painted_FK=reader.read(case.truth_FHW3, portrait),
        decoded_FK=reader.read(decoded.truth_FHW3, portrait),
        read_FK=reader.read(pictures_FHW3, portrait),
        closures=case.closures,
        pictures=_compare(case, decoded, pictures_FHW3),
        seconds=dict(seconds),
    )


def _compare(case: Case, decoded: Decoded, pictures_FHW3: Bytes) -> Pictures:
    face = upper_face(case)
    still = measures.still_pixels(case.truth_FHW3, case.portrait_HW3) & ~_in_box(case)
    background = still.astype(np.float32)
    mouth = mouth_weight(tensor([case.mouth]), SIZE)[0, 0].numpy()
    true, portrait = case.truth_FHW3, case.portrait_HW3[None]
    return Pictures(
        flicker=measures.flicker(pictures_FHW3, face),
        true_flicker=measures.flicker(true, face),
        background_db=measures.psnr_db(pictures_FHW3, decoded.portrait_HW3[None], background),
        portrait_db=measures.psnr_db(pictures_FHW3, portrait, background),
        decoded_portrait_db=measures.psnr_db(decoded.truth_FHW3, portrait, background),
        decoded_db=measures.psnr_db(decoded.truth_FHW3, true),
        decoded_mouth_db=measures.psnr_db(decoded.truth_FHW3, true, mouth),
    )


def upper_face(case: Case) -> NDArray[np.bool_]:
    """Brows, eyes and nose: H W."""
    left, top, right, bottom = case.box
    return _inside(left, top, right, top + _FACE_TO * (bottom - top))


def _in_box(case: Case) -> NDArray[np.bool_]:
    return _inside(*case.box)


def _inside(left: float, top: float, right: float, bottom: float) -> NDArray[np.bool_]:
    axis = np.arange(SIZE) + 0.5
    rows, columns = (axis >= top) & (axis < bottom), (axis >= left) & (axis < right)
    return rows[:, None] & columns[None, :]


def save_figures(figures: Figures, path: Path) -> None:
    """Write a file of arrays that appears whole."""
    known = {"pictures": asdict(figures.pictures), "seconds": figures.seconds}
    arrays = {f.name: getattr(figures, f.name) for f in fields(figures) if f.name not in known}
    with draft_of(path) as draft, draft.open("wb") as file:
        np.savez(file, known=json.dumps(known), **arrays)


def load_figures(path: Path) -> Figures:
    """Return the figures that `save_figures` wrote."""
    with np.load(path) as arrays:
        known = json.loads(str(arrays["known"]))
        tracks = {name: arrays[name] for name in arrays.files if name.endswith("_FK")}
        closures = tuple(arrays["closures"].tolist())
    return Figures(
        closures=closures,
        pictures=Pictures(**known["pictures"]),
        seconds=known["seconds"],
        **tracks,
    )
