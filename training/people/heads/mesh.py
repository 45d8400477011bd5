"""The mesh of a head: who it is, how the face moves, and a smoother surface of it.

Shape letters: V vertices, S vertices of the smooth surface, T triangles. Lengths are decimetres.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]

ASSETS: Final = Path(__file__).with_name("head_assets.npz")
DELTA: Final = 1 / 4000
"""What a target moves a vertex by is stored in steps of so much."""
_RACES: Final = ("african", "asian", "caucasian")
FEATURES: Final = frozenset(
    ("cheek", "chin", "eyebrows", "eyes", "forehead", "head", "mouth", "nose", "ears", "neck")
)
_LOWER_LIP: Final = "mouth/mouth-lowerlip-volume-incr"


class Material(IntEnum):
    """What a face of the mesh is made of."""

    SKIN, UPPER_TEETH, LOWER_TEETH, TONGUE, CLOTH = range(5)


@dataclass(frozen=True)
class Person:
    """Vertices at rest (V 3), and what hair and skin depend on."""

    vertices: Array
    is_male: bool
    age: float
    races: Array


class Mesh:
    """All that heads have in common."""

    def __init__(self) -> None:
        with np.load(ASSETS) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self.vertices = arrays["vertices"].astype(np.float64)
        self.faces = arrays["faces"].astype(int)
        self.materials = arrays["materials"].astype(int)
        self.uvs = arrays["uvs"].astype(np.float64) / 65535
        self.eyes = [np.unique(eye) for eye in arrays["eyes"].astype(int)]
        self.lips, self.inside = arrays["lips"], arrays["inside"]
        ends = np.cumsum(arrays["sizes"])[:-1]
        ids, deltas = np.split(arrays["ids"], ends), np.split(arrays["deltas"], ends)
        self.targets = {
            str(name): (i.astype(int), d * DELTA)
            for name, i, d in zip(arrays["names"], ids, deltas, strict=True)
        }
        self.surface = _smooth(self)
        self.mouth = self.targets[_LOWER_LIP][0]
        self.tongue, self.upper_teeth = (
            np.unique(self.faces[self.materials == kind])
            for kind in (Material.TONGUE, Material.UPPER_TEETH)
        )

    def person(self, rng: np.random.Generator) -> Person:
        """Return a new person: sex, age, origin, build, and small features."""
        vertices = self.vertices.copy()
        is_male = bool(rng.random() < 0.5)
        sex = float(np.clip(rng.normal(0.9 if is_male else 0.1, 0.12), 0, 1))
        age = float(rng.uniform(0, 0.8) ** 1.3)
        races = rng.dirichlet([0.5] * 3)
        weight, muscle = rng.uniform(-0.6, 0.9), rng.uniform(0, 0.6)
        build = {
            "averageweight": 1 - abs(weight),
            "maxweight" if weight > 0 else "minweight": abs(weight),
        }
        for gender, g in (("female", 1 - sex), ("male", sex)):
            for years, a in (("young", 1 - age), ("old", age)):
                for race, share in zip(_RACES, races, strict=True):
                    self._add(vertices, f"macrodetails/{race}-{gender}-{years}", g * a * share)
                for heavy, w in build.items():
                    for strong, m in (("averagemuscle", 1 - muscle), ("maxmuscle", muscle)):
                        name = f"macrodetails/universal-{gender}-{years}-{strong}-{heavy}"
                        self._add(vertices, name, g * a * w * m)
        self._add_features(vertices, rng)
        return Person(vertices, is_male, age, races)

    def _add_features(self, vertices: Array, rng: np.random.Generator) -> None:
        """Return some features, the same on both sides."""
        pairs: dict[str, list[str]] = {}
        for name in self.targets:
            folder, _, feature = name.partition("/")
            if folder in FEATURES:
                both = feature[2:] if feature[:2] in ("l-", "r-") else feature
                pairs.setdefault(f"{folder}/{both}", []).append(name)
        for pair, names in pairs.items():
            if rng.random() < (0.12 if "scale-" in pair else 0.3):
                weight = min(abs(rng.normal(0, 0.35)), 0.8)
                moves_eyes = any(word in pair for word in ("push", "trans", "scale"))
                if pair.startswith("eyes/") and moves_eyes:
                    weight *= 0.4
                for name in names:
                    self._add(vertices, name, weight)

    def moved(self, vertices: Array, units: dict[str, float]) -> Array:
        """Return the vertices with face units at some strength."""
        moved = vertices.copy()
        for name, weight in units.items():
            self._add(moved, f"unit/{name}", weight)
        return moved

    def _add(self, vertices: Array, name: str, weight: float) -> None:
        ids, deltas = self.targets[name]
        vertices[ids] += weight * deltas


@dataclass(frozen=True)
class Surface:
    """The mesh subdivided once: S V weights, triangles T 3, their materials T and places T 3 2."""

    weights: sparse.csr_matrix
    triangles: Array
    materials: Array
    uvs: Array
    around: sparse.csr_matrix  # S T, which triangles a vertex is part of

    def normals(self, points: Array) -> Array:
        """Unit normals at the vertices: S 3."""
        a, b, c = (points[self.triangles[:, k]] for k in range(3))
        normals = self.around @ np.cross(b - a, c - a)
        return np.asarray(normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12))


@cache
def mesh() -> Mesh:
    """Return the mesh, read once."""
    return Mesh()


def _smooth(mesh: Mesh) -> Surface:
    """Return a step of Catmull and Clark: vertices, faces, edges, as a sparse matrix."""
    faces, num = mesh.faces, len(mesh.vertices)
    edges: dict[tuple[int, int], list[int]] = {}
    for i, face in enumerate(faces):
        for a, b in zip(face, np.roll(face, -1), strict=True):
            if a != b:
                edges.setdefault((min(a, b), max(a, b)), []).append(i)
    first_edge = num + len(faces)
    numbers = {edge: first_edge + j for j, edge in enumerate(edges)}
    rows: dict[int, dict[int, float]] = _vertex_rows(num, faces, edges)
    for i, face in enumerate(faces):
        rows[num + i] = _mean([(int(c), 0.25) for c in face])
    for (a, b), sides in edges.items():
        ends, middle = (0.5, []) if len(sides) == 1 else (0.25, sides[:2])
        inner = [(int(c), 0.0625) for i in middle for c in faces[i]]
        rows[numbers[a, b]] = _mean([(a, ends), (b, ends), *inner])
    quads, uvs = _quads(mesh, numbers)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    places = np.concatenate([uvs[:, [0, 1, 2]], uvs[:, [0, 2, 3]]])
    used, triangles = np.unique(triangles, return_inverse=True)
    triangles = triangles.reshape(-1, 3).astype(np.int32)
    entries = [(i, c, w) for i, row in enumerate(used) for c, w in rows[int(row)].items()]
    at, columns, weights = (np.array(part) for part in zip(*entries, strict=True))
    count = len(triangles)
    around = sparse.csr_matrix(
        (np.ones(3 * count), (triangles.ravel(), np.repeat(np.arange(count), 3))),
        shape=(len(used), count),
    )
    smoothed = sparse.csr_matrix((weights, (at, columns)), shape=(len(used), num))
    return Surface(smoothed, triangles, np.tile(np.repeat(mesh.materials, 4), 2), places, around)


def _vertex_rows(
    num: int, faces: Array, edges: dict[tuple[int, int], list[int]]
) -> dict[int, dict[int, float]]:
    """Move old vertices to the mean of what is around them; borders along themselves."""
    near: dict[int, list[int]] = {a: [] for a in range(num)}
    border: dict[int, list[int]] = {a: [] for a in range(num)}
    at: dict[int, list[int]] = {a: [] for a in range(num)}
    for (a, b), sides in edges.items():
        for one, other in ((a, b), (b, a)):
            near[one].append(other)
            if len(sides) == 1:
                border[one].append(other)
    for i, face in enumerate(faces):
        for a in face:
            at[int(a)].append(i)
    rows = {}
    for a in range(num):
        k = len(near[a])
        if not k:
            rows[a] = {a: 1.0}
        elif border[a]:
            rows[a] = _mean([(a, 0.75), *((b, 0.125) for b in border[a][:2])])
        else:
            share = 1 / (4 * k * len(at[a]))
            inner = [(int(c), share) for i in at[a] for c in faces[i]]
            outer = [(c, 1 / (k * k)) for b in near[a] for c in (a, b)]
            rows[a] = _mean([(a, (k - 3) / k), *inner, *outer])
    return rows


def _mean(parts: list[tuple[int, float]]) -> dict[int, float]:
    row: dict[int, float] = {}
    for vertex, weight in parts:
        row[vertex] = row.get(vertex, 0.0) + weight
    return row


def _quads(mesh: Mesh, numbers: dict[tuple[int, int], int]) -> tuple[Array, Array]:
    """Return each face as four, with places in the texture: 4F 4 and 4F 4 2."""
    quads, uvs = [], []
    for i, (face, uv) in enumerate(zip(mesh.faces, mesh.uvs, strict=True)):
        middle, centre = len(mesh.vertices) + i, uv.mean(0)
        pairs = [(int(a), int(b)) for a, b in zip(face, np.roll(face, -1), strict=True)]
        sides = [a if a == b else numbers[min(a, b), max(a, b)] for a, b in pairs]
        halves = (uv + np.roll(uv, -1, axis=0)) / 2
        for k in range(4):
            quads.append([int(face[k]), sides[k], middle, sides[k - 1]])
            uvs.append([uv[k], halves[k], centre, halves[k - 1]])
    return np.array(quads), np.array(uvs)
