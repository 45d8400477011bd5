"""What the mouth does at each phone: names of espeak-ng, and ARPAbet, which alignment gives."""

import re
from typing import Final, NamedTuple


class MouthShape(NamedTuple):
    """Target of the mouth at one phone; all in [0, 1], width in [-1, 1]."""

    jaw: float
    width: float
    rounding: float
    press: float
    teeth: float
    tongue: float


REST: Final = MouthShape(0.02, 0.0, 0.0, 0.0, 0.0, 0.0)
_UNKNOWN: Final = MouthShape(0.35, 0.10, 0.10, 0.0, 0.30, 0.20)
_TABLE: Final = (
    ("pau _ _: _| ssil", REST),
    ("p b m em", MouthShape(0.00, 0.00, 0.00, 1.0, 0.00, 0.0)),
    ("f v", MouthShape(0.14, 0.05, 0.00, 0.35, 1.00, 0.0)),
    ("w", MouthShape(0.16, -0.30, 0.95, 0.1, 0.00, 0.0)),
    ("r er axr 3: ɜ r-", MouthShape(0.26, -0.10, 0.50, 0.0, 0.30, 0.2)),
    ("l el", MouthShape(0.34, 0.15, 0.00, 0.0, 0.30, 1.0)),
    ("n t d nx dx t2 t#", MouthShape(0.24, 0.15, 0.00, 0.0, 0.60, 0.6)),
    ("s z s; z;", MouthShape(0.13, 0.40, 0.00, 0.0, 1.00, 0.1)),
    ("S Z tS dZ sh zh ch jh", MouthShape(0.20, -0.10, 0.60, 0.0, 1.00, 0.1)),
    ("T D th dh", MouthShape(0.26, 0.10, 0.00, 0.0, 0.70, 1.0)),
    ("k g ng N h hh x", MouthShape(0.32, 0.10, 0.00, 0.0, 0.30, 0.2)),
    ("j y", MouthShape(0.20, 0.55, 0.00, 0.0, 0.60, 0.4)),
    ("A A: aa V aI aU ay aw A# & aa: 0 Q", MouthShape(0.95, 0.20, 0.00, 0.0, 0.35, 0.3)),
    ("ae a", MouthShape(0.88, 0.55, 0.00, 0.0, 0.50, 0.3)),
    ("ah a# @2 @ @5 ax 3 I2 @L", MouthShape(0.50, 0.10, 0.05, 0.0, 0.35, 0.3)),
    ("E e eh e@ EI eI ey E2", MouthShape(0.58, 0.60, 0.00, 0.0, 0.50, 0.3)),
    ("i i: I iy ih I# i@ ix", MouthShape(0.30, 0.85, 0.00, 0.0, 0.70, 0.3)),
    ("O O: ao O2 oy OI oU ow o o@ O@", MouthShape(0.68, -0.25, 0.75, 0.0, 0.10, 0.2)),
    ("u u: U uw uh U@", MouthShape(0.28, -0.45, 1.00, 0.0, 0.00, 0.1)),
)
_SHAPES: Final = {name: shape for names, shape in _TABLE for name in names.split()}

DIPHTHONGS: Final = {
    "aI": ("a", "I"), "ay": ("aa", "iy"), "aU": ("a", "u"), "aw": ("aa", "uw"),
    "OI": ("O", "I"), "oy": ("ao", "iy"), "oU": ("O", "u"), "ow": ("ao", "uw"),
    "eI": ("E", "i"), "ey": ("eh", "iy"), "i@": ("i", "@"), "e@": ("E", "@"),
    "O@": ("O", "@"), "o@": ("O", "@"), "U@": ("u", "@"), "A@": ("A", "r"),
}  # fmt: skip


def mouth_shape(phone: str) -> MouthShape:
    """Return the mouth at `phone`; an unknown name is tried without marks, then shorter."""
    name = phone.strip("',%=|;")
    if not name or name.startswith("_"):
        return REST
    bare = re.sub(r"[0-9#:;~^\"?!*'-]+$", "", name)
    for candidate in (name, bare, bare[:2], bare[:1], bare[:1].lower()):
        if candidate in _SHAPES:
            return _SHAPES[candidate]
    return _UNKNOWN


def closes_lips(phone: str) -> bool:
    """Tell whether it is p, b or m."""
    return mouth_shape(phone).press > 0.9
