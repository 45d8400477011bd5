"""Portraits of people that training never sees: `python -m training.people.examples FOLDER`."""

import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.people.faces import NEUTRAL, Portraitist, Pose
from training.people.heads.painter import HELD_OUT_FAMILY, NUM_FAMILIES, HeadPainter
from training.people.people import draw_identity, is_held_out

PORTRAITS: Final = {"ada": 369, "ben": 119}
"""Seeds of the held-out drawings in `examples/`."""
HEADS: Final = {"mara": 7_000_429}
"""Seeds of the held-out rendered heads."""
SIZE: Final = 512
_SMILE: Final = 0.35


def draw_portrait(seed: int) -> NDArray[np.uint8]:
    """Return a front view with the mouth shut: SIZE x SIZE x 3 bytes."""
    assert is_held_out(seed)
    pose = Pose(*NEUTRAL.tolist())._replace(width=_SMILE)
    return Portraitist(draw_identity(seed), size=SIZE).paint(pose)


def render_head(seed: int) -> NDArray[np.uint8]:
    """Return a rendered head that smiles a little: SIZE x SIZE x 3 bytes."""
    assert seed % NUM_FAMILIES == HELD_OUT_FAMILY
    return HeadPainter(seed, size=SIZE).paint(NEUTRAL, _SMILE)


def main(folder: str) -> None:
    """Write every portrait as PNG."""
    for name, seed in PORTRAITS.items():
        Image.fromarray(draw_portrait(seed)).save(Path(folder) / f"{name}.png")
    for name, seed in HEADS.items():
        Image.fromarray(render_head(seed)).save(Path(folder) / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1])
