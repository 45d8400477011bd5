"""Hair of a rendered head, as strands of points; and brows that go with the skin under them.

Shape letters: N strands, K points of a strand.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.people.heads.mesh import Material, Mesh, Person

Array = NDArray[Any]

NUM_POINTS: Final = 8
_NUM_STRANDS: Final = 9000
_NUM_BALD: Final = 200
_NUM_BROW: Final = 240
_COLOURS: Final = np.array(
    [[0.07, 0.055, 0.05], [0.13, 0.085, 0.06], [0.26, 0.17, 0.10], [0.46, 0.32, 0.19],
     [0.66, 0.52, 0.32], [0.38, 0.18, 0.10], [0.55, 0.54, 0.53]]
)  # fmt: skip
_COMMON: Final = (0.25, 0.25, 0.2, 0.1, 0.08, 0.05, 0.07)
_GREY: Final = np.array([0.6, 0.59, 0.58])


@dataclass(frozen=True)
class Skull:
    """Where the eyes and the top of a head are, and how wide and deep it is."""

    eye: Array
    top: float
    half_width: float
    middle_z: float

    @property
    def height(self) -> float:
        """From the eyes to the top."""
        return float(self.top - self.eye[1])


@dataclass(frozen=True)
class Strands:
    """Points N K 3 with colours N K 3; brows also with the vertex that carries each (N)."""

    points: Array
    colours: Array
    carriers: Array


def draw_hair_colour(person: Person, rng: np.random.Generator) -> Array:
    """Return a colour, greyer with age."""
    colour: Array = _COLOURS[rng.choice(len(_COLOURS), p=_COMMON)] * rng.uniform(0.85, 1.15)
    grey: Array = colour * 0.4 + 0.6 * _GREY
    return grey if person.age > 0.6 else colour


def draw_hair(
    mesh: Mesh, person: Person, skull: Skull, colour: Array, rng: np.random.Generator
) -> Strands:
    """Hair that grows out of the scalp, parted, falling, perhaps curly."""
    corners = _head_triangles(mesh, person)
    normals, areas = _directions(corners)
    middles = corners.mean(1)
    weights = areas * _on_scalp(middles, normals, skull, rng)
    is_bald = person.is_male and rng.random() < 0.08
    num = _NUM_BALD if is_bald else _NUM_STRANDS
    picks = rng.choice(len(weights), num, p=weights / weights.sum())
    shares = rng.dirichlet([1, 1, 1], num)
    roots = (corners[picks] * shares[:, :, None]).sum(1)
    is_short = person.is_male and rng.random() < 0.85
    length = rng.uniform(0.08, 0.3) if is_short else rng.uniform(0.3, 1.6)
    points = _grow(roots, normals[picks], float(length), skull, rng)
    bright = rng.normal(1, 0.16, (num, 1, 1)) * np.linspace(0.8, 1.1, NUM_POINTS)[None, :, None]
    return Strands(points, (colour * bright).clip(0, 1), picks)


def draw_brows(
    mesh: Mesh, person: Person, skull: Skull, colour: Array, rng: np.random.Generator
) -> Strands:
    """Short hairs over both eyes, each tied to a vertex of the skin."""
    ids = np.unique(mesh.faces[mesh.materials == Material.SKIN])
    skin = person.vertices[ids]
    distance = abs(mesh_eye_x(mesh, person))
    spread, points, carriers = rng.uniform(0.8, 1.2), [], []
    for side in (-1, 1):
        for u in rng.random(_NUM_BROW):
            x = side * distance * (0.42 + 1.35 * u)
            arch = 0.225 + 0.07 * np.sin(np.pi * min(1, u * 1.1)) - 0.05 * u**3
            y = skull.eye[1] + arch + rng.normal(0, 0.015 * (1.3 - u) * spread)
            far = (skin[:, 0] - x) ** 2 + (skin[:, 1] - y) ** 2 - 0.3 * skin[:, 2]
            nearest = int(np.argmin(np.where(skin[:, 2] > skull.eye[2] - 0.5, far, 9)))
            root = np.array([x, y, skin[nearest, 2] + 0.02])
            along = np.array([side * (0.4 + 0.5 * u), 0.55 - 0.8 * u, 0.1])
            along *= 0.035 / np.linalg.norm(along)
            points.append([root, root + along, root + 2 * along])
            carriers.append(ids[nearest])
    bright = rng.normal(1, 0.15, (len(points), 1, 1))
    colours = (colour * 0.75).clip(0.03, 0.5) * bright * np.ones((1, 3, 1))
    return Strands(np.array(points), colours, np.array(carriers))


def mesh_eye_x(mesh: Mesh, person: Person) -> float:
    """Return how far an eye is from the middle."""
    eye = person.vertices[mesh.eyes[0]]
    return float((eye[:, 0].max() + eye[:, 0].min()) / 2)


def _head_triangles(mesh: Mesh, person: Person) -> Array:
    """Corners of the triangles of the head's skin: T 3 3."""
    faces = mesh.faces[mesh.materials == Material.SKIN]
    faces = faces[person.vertices[faces].mean(1)[:, 1] > 5]
    corners: Array = person.vertices[np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])]
    return corners


def _directions(corners: Array) -> tuple[Array, Array]:
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    return normals / (areas[:, None] + 1e-12), areas


def _on_scalp(middles: Array, normals: Array, skull: Skull, rng: np.random.Generator) -> Array:
    """Return the triangles where hair grows: above a line, and behind; not on the ears."""
    eye, height = skull.eye, skull.height
    x, y, z = middles.T
    centre = np.array([0, eye[1], skull.middle_z])
    is_outside = ((middles - centre) * normals).sum(1) > 0
    above = y > eye[1] + height * (0.60 + rng.uniform(-0.05, 0.14))
    behind = (z < skull.middle_z + 0.05) & (y > eye[1] - 0.45 * height)
    is_ear = np.abs(x) > 0.82 * skull.half_width
    is_ear &= (y < eye[1] + 0.32 * height) & (z > skull.middle_z - 0.35)
    return np.asarray((above | behind) & is_outside & ~is_ear)


def _grow(
    roots: Array, normals: Array, length: float, skull: Skull, rng: np.random.Generator
) -> Array:
    """Strands from their roots: outwards, aside from the parting, then down, outside the skull."""
    num, parting = len(roots), rng.uniform(-0.3, 0.3)
    side = np.sign(roots[:, 0] - parting)[:, None] * np.array([1, 0, 0])
    curl = rng.uniform(0, 0.12) * (rng.random() < 0.4)
    ahead = normals * 0.35 + side * 0.4 + np.array([0, 0.1, -0.3])
    ahead = _unit(ahead + rng.normal(0, 0.07, (num, 3)))
    step = length * rng.uniform(0.75, 1.1, (num, 1)) / (NUM_POINTS - 1)
    centre = np.array([0, skull.eye[1] + 0.05, skull.middle_z])
    radius = 1.05 * np.linalg.norm(roots - centre, axis=1, keepdims=True)
    phase, points = rng.uniform(0, 2 * np.pi, (num, 1)), [roots - normals * 0.02]
    for k in range(1, NUM_POINTS):
        waves = [np.sin(phase + 1.9 * k), np.cos(phase + 1.7 * k), np.sin(2 * phase + k)]
        ahead = ahead + np.array([0, -0.35 * (length > 0.3), 0])
        ahead = ahead + 2 * curl * np.concatenate(waves, 1) + rng.normal(0, 0.03, (num, 3))
        ahead = _unit(ahead)
        point = points[-1] + ahead * step
        out = point - centre
        distance = np.linalg.norm(out, axis=1, keepdims=True)
        is_inside = (distance < radius) & (point[:, 1:2] > skull.eye[1] - 0.5 * skull.height)
        points.append(np.where(is_inside, centre + out / distance * radius, point))
    return np.stack(points, 1)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
