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
from training.evaluation.cases import Case, Corners
from training.evaluation.reader import NUM_READ, Reader, readable
from training.fit.autoencoder import mouth_weight

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
_FACE_TO: float = 0.55
"""The part of the face box, from the top, that flicker is measured in: no mouth, no collar."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Portrait and truth through the decoder: the best that the UNet could do."""

    portrait_HW3: Bytes
    truth_FHW3: Bytes


@dataclass(frozen=True, slots=True)
class Pictures:
    """How the pictures of a case differ from each other, from the truth and from the portrait.

    What needs a truth that is not known is not a number.
    """

    flicker: float
    sharpness: float
    """Of the render, against the portrait."""
    true_flicker: float = np.nan
    background_db: float = np.nan
    """The background against the portrait as the decoder shows it: what was made to move."""
    portrait_db: float = np.nan
    """The background against the portrait itself."""
    decoded_portrait_db: float = np.nan
    decoded_db: float = np.nan
    decoded_mouth_db: float = np.nan
    decoded_sharpness: float = np.nan
    """Of the truth through the decoder, against the truth."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Poses as they are (F K) and as they were read from three kinds of pictures.

    Poses of pictures that are not known are not numbers.
    """

    true_FK: Floats
    painted_FK: Floats
    decoded_FK: Floats
    """The truth through the decoder: the ceiling."""
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
    reader: Reader,
    seconds: dict[str, float],
) -> Figures:
    """Read the poses and compare the pictures."""

    def read(frames_FHW3: Bytes) -> Floats:
        if len(frames_FHW3) == 0:
            return np.full((case.num_frames, NUM_READ), np.nan, np.float32)
        return reader.read(frames_FHW3, case.portrait_HW3)

    return Figures(
        true_FK=readable(case.poses_FK),
        painted_FK=read(case.truth_FHW3),
        decoded_FK=read(decoded.truth_FHW3),
        read_FK=read(pictures_FHW3),
        closures=case.closures,
        pictures=_compare(case, decoded, pictures_FHW3),
        seconds=dict(seconds),
    )


def _compare(case: Case, decoded: Decoded, pictures_FHW3: Bytes) -> Pictures:
    true, portrait = case.truth_FHW3, case.portrait_HW3[None]
    face, size = upper_face(case), len(case.portrait_HW3)
    shown = measures.sharpness(pictures_FHW3) / measures.sharpness(portrait)
    flicker = measures.flicker(pictures_FHW3, face)
    if len(true) == 0:
        return Pictures(flicker, shown)
    still = measures.still_pixels(true, case.portrait_HW3) & ~_inside(case.box, size)
    background = still.astype(np.float32)
    unit = size / SIZE  # the weight is that of small pictures
    mouth = mouth_weight(tensor([case.mouth]) / unit, SIZE)[0, 0].numpy()
    mouth = np.kron(mouth, np.ones((int(unit), int(unit)), np.float32))
    return Pictures(
        flicker=flicker,
        true_flicker=measures.flicker(true, face),
        background_db=measures.psnr_db(pictures_FHW3, decoded.portrait_HW3[None], background),
        portrait_db=measures.psnr_db(pictures_FHW3, portrait, background),
        decoded_portrait_db=measures.psnr_db(decoded.truth_FHW3, portrait, background),
        decoded_db=measures.psnr_db(decoded.truth_FHW3, true),
        decoded_mouth_db=measures.psnr_db(decoded.truth_FHW3, true, mouth),
        decoded_sharpness=measures.sharpness(decoded.truth_FHW3) / measures.sharpness(true),
        sharpness=shown,
    )


def upper_face(case: Case) -> NDArray[np.bool_]:
    """Brows, eyes and nose: H W."""
    left, top, right, bottom = case.box
    return _inside((left, top, right, top + _FACE_TO * (bottom - top)), len(case.portrait_HW3))


def _inside(box: Corners, size: int) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    axis = np.arange(size) + 0.5
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
