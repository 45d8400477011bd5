"""A rendered head with a controlled mouth, head, eyes and brows: the poses of `faces.Portraitist`.

Shape letters: S vertices of the smooth surface, N points. Pictures are RGB, rows from the top.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.people.faces import Pose
from training.people.heads.hair import Skull, draw_brows, draw_hair, draw_hair_colour
from training.people.heads.looks import TEXTURE, Light, draw_backdrop, draw_light, draw_skin
from training.people.heads.mesh import Material, mesh
from training.people.heads.raster import draw_hairs, rasterise

Array = NDArray[Any]

OVERSAMPLING: Final = 2
NUM_FAMILIES: Final = 10
HELD_OUT_FAMILY: Final = 9
"""Training never sees heads whose seed ends so, as with drawings."""
_GAMMA: Final = 1 / 1.15
_LIGHTS: Final = 14
_LIGHT_MAP: Final = 160
_PUPIL, _IRIS = 0.20, 0.47
"""Angles from the gaze, in radians."""


def face_units(pose: Pose, smile: float = 0.0) -> dict[str, float]:
    """Return the face units of a pose: ARKit's names, strengths from 0 to 1.

    A `smile` of up to 1 shows the teeth and lifts the cheeks; pressed lips are shut all the same.
    """
    loose = 1 - pose.press
    jaw, wide = max(pose.jaw, 0.0), max(pose.width, 0.0)
    units = {
        "jawOpen": (0.72 * jaw + 0.07 * smile) * loose,
        "mouthFunnel": 0.55 * pose.rounding * loose,
        "mouthPucker": 0.5 * pose.rounding,
        "mouthRollLower": 0.35 * pose.press,
        "mouthRollUpper": 0.3 * pose.press,
        "tongueOut": 0.12 * pose.tongue * jaw * loose,
        "browInnerUp": 0.6 * max(pose.brow, 0.0),
    }
    both = {
        "mouthStretch": 0.35 * wide,
        "mouthSmile": 0.25 * wide + 0.7 * smile,
        "cheekSquint": 0.5 * smile,
        "mouthPress": 0.6 * pose.press,
        "mouthUpperUp": (0.45 * pose.teeth + 0.35 * smile) * loose,
        "mouthLowerDown": (0.35 * pose.teeth + 0.25 * smile) * loose,
        "browOuterUp": 0.55 * max(pose.brow, 0.0),
        "browDown": 0.6 * max(-pose.brow, 0.0),
        "eyeBlink": min(max(pose.blink, 0.0), 1.0),
    }
    sides = {f"{name}{side}": w for name, w in both.items() for side in ("Left", "Right")}
    return {name: weight for name, weight in (units | sides).items() if abs(weight) > 1e-3}


class HeadPainter:
    """Renders one person in one framing; `paint` gives a picture of `size` x `size` pixels."""

    def __init__(self, seed: int, *, size: int) -> None:
        self.size, self.side = size, size * OVERSAMPLING
        self.mesh = mesh()
        rng = np.random.default_rng([seed, 3])
        self.person = self.mesh.person(rng)
        vertices = self.person.vertices
        halves = [(vertices[e].max(0), vertices[e].min(0)) for e in self.mesh.eyes]
        self.eyes = [((high + low) / 2, float((high - low).max() / 2)) for high, low in halves]
        self.skull = self._skull()
        self._place(rng)
        self.skin, self.light = draw_skin(self.person, rng), draw_light(rng)
        colour = draw_hair_colour(self.person, rng)
        self.hair = draw_hair(self.mesh, self.person, self.skull, colour, rng)
        self.brows = draw_brows(self.mesh, self.person, self.skull, colour, rng)
        backdrop = draw_backdrop(rng, size)
        self.backdrop = cv2.resize(backdrop, (self.side, self.side)).astype(np.float64)
        self.openness = self._openness()

    def _skull(self) -> Skull:
        vertices = self.person.vertices
        eye = np.mean([centre for centre, _ in self.eyes], axis=0)
        head = vertices[vertices[:, 1] > eye[1]]
        middle = (head[:, 2].max() + head[:, 2].min()) / 2
        return Skull(eye, float(vertices[:, 1].max()), float(np.abs(head[:, 0]).max()), middle)

    def _place(self, rng: np.random.Generator) -> None:
        """Place the camera, and the point that the head turns about."""
        eye, height = self.skull.eye, self.skull.height
        self.scale = self.side / (height * rng.uniform(2.15, 3.0))
        self.centre_x = float(rng.uniform(-0.12, 0.12))
        self.centre_y = float(eye[1] - height * 0.22 + rng.uniform(-0.12, 0.12))
        self.distance = float(rng.uniform(7, 14))
        self.pivot = np.array([0, eye[1] - 0.95, eye[2] - 0.9])

    def paint(self, pose: ArrayLike, smile: float = 0.0) -> NDArray[np.uint8]:
        """Return the picture at a pose (15 channels), perhaps with a smile: size x size x 3."""
        p = Pose(*(float(v) for v in np.asarray(pose)))
        vertices = self._vertices(p, smile)
        turned = self.mesh.surface.weights @ self._turned(vertices, p)
        depth, seen, shares = rasterise(self._seen(turned), self.mesh.surface.triangles, self.side)
        image = self.backdrop.copy()
        self._paint_skin(image, turned, seen, shares)
        self._paint_eyes(image, depth, p)
        lifted = (vertices - self.person.vertices)[self.brows.carriers]
        brows = self._turned(self.brows.points + lifted[:, None], p)
        draw_hairs(self._seen(brows), self.brows.colours, depth, image, 0.55)
        hair = self._turned(self.hair.points, p)
        draw_hairs(self._seen(hair), self._lit_hair(hair), depth, image, 0.8)
        image = np.clip(image, 0, 1) ** _GAMMA
        small = cv2.resize(image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(small * 255, np.uint8)

    def mouth_centre(self, pose: ArrayLike) -> tuple[float, float]:
        """Return where the mouth is at a pose, in pixels."""
        p = Pose(*(float(v) for v in np.asarray(pose)))
        return self._pixel(self._turned(self._vertices(p)[self.mesh.mouth], p))

    def eye_centre(self, pose: ArrayLike) -> tuple[float, float]:
        """Return where the point between the eyes is at a pose, in pixels."""
        p = Pose(*(float(v) for v in np.asarray(pose)))
        return self._pixel(self._turned(np.stack([centre for centre, _ in self.eyes]), p))

    @property
    def eye_distance(self) -> float:
        """Return how far apart the eyes are, in pixels, of a head that looks at us."""
        (left, _), (right, _) = self.eyes
        return float(abs(left[0] - right[0]) * self.scale / OVERSAMPLING)

    def _pixel(self, points: Array) -> tuple[float, float]:
        x, y, _ = self._seen(points).mean(0) / OVERSAMPLING
        return float(x), float(y)

    def _vertices(self, pose: Pose, smile: float = 0.0) -> Array:
        """Return the mesh at rest in space, with the face of a pose; upper teeth come into view."""
        vertices = self.mesh.moved(self.person.vertices, face_units(pose, smile))
        vertices[self.mesh.tongue] += np.array([0, -0.05, -0.11]) * (1 - 0.8 * pose.tongue)
        teeth = min(pose.teeth + smile, 1.0)
        opened = np.clip((3 * pose.jaw + smile) * (1 - pose.press), 0, 1) * (0.35 + 0.65 * teeth)
        vertices[self.mesh.upper_teeth] += np.array([0, -0.09, 0.03]) * opened
        return vertices

    def _turned(self, points: Array, pose: Pose) -> Array:
        """Points that go with the head, and less and less down the neck."""
        shift = np.array([pose.shift_x * 0.06, -pose.shift_y * 0.04, 0])
        share = np.clip((points[..., 1] - (self.pivot[1] - 0.45)) / 0.8, 0, 1)[..., None]
        share = share * share * (3 - 2 * share)
        head = (points - self.pivot) @ _rotation(pose).T + self.pivot + shift
        return np.asarray(points * (1 - share) + head * share + shift * 0.25 * (1 - share))

    def _seen(self, points: Array) -> Array:
        """Return pixels x, y of the oversampled picture, and the depth of points."""
        near = self.distance / (self.distance - (points[..., 2] - self.skull.eye[2]))
        x = (points[..., 0] - self.centre_x) * near * self.scale + self.side / 2
        y = self.side / 2 - (points[..., 1] - self.centre_y) * near * self.scale
        return np.stack([x, y, points[..., 2]], -1)

    def _paint_skin(self, image: Array, points: Array, seen: Array, shares: Array) -> None:
        surface = self.mesh.surface
        rows, columns = np.nonzero(seen >= 0)
        triangles, weights = seen[rows, columns], shares[rows, columns]
        corners = surface.triangles[triangles]
        normals = (surface.normals(points)[corners] * weights[..., None]).sum(1)
        openness = (self.openness[corners] * weights).sum(1)
        materials = surface.materials[triangles]
        uvs = (surface.uvs[triangles] * weights[..., None]).sum(1)
        place = (
            np.clip(((1 - uvs[:, 1]) * TEXTURE).astype(int), 0, TEXTURE - 1),
            np.clip((uvs[:, 0] * TEXTURE).astype(int), 0, TEXTURE - 1),
        )
        normals += (materials == Material.SKIN)[:, None] * self._bumps(*place)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        image[rows, columns] = self.light.shade(
            self.skin.albedo(materials, *place),
            normals,
            openness * self.skin.depth(materials, *place),
            self.skin.gloss(materials, *place),
        )

    def _bumps(self, rows: Array, columns: Array) -> Array:
        bumps = self.skin.bumps
        x = bumps[rows, (columns + 1) % TEXTURE] - bumps[rows, columns - 1]
        y = bumps[(rows + 1) % TEXTURE, columns] - bumps[rows - 1, columns]
        return np.stack([x, y, np.zeros_like(x)], 1) * 0.05

    def _paint_eyes(self, image: Array, depth: Array, pose: Pose) -> None:
        """Paint both eyeballs as spheres, where no lid is before them."""
        gaze = np.array([np.sin(pose.gaze_x * 0.35), np.sin(-pose.gaze_y * 0.25), 1.0])
        gaze = _rotation(pose) @ gaze
        gaze /= np.linalg.norm(gaze)
        for centre, radius in self.eyes:
            middle = self._turned(centre[None], pose)[0]
            x, y, z = self._seen(middle[None])[0]
            pixels = radius * self.scale * self.distance
            pixels /= self.distance - (middle[2] - self.skull.eye[2])
            left, top = max(int(x - pixels), 0), max(int(y - pixels), 0)
            right, bottom = min(int(x + pixels) + 2, self.side), min(int(y + pixels) + 2, self.side)
            if right <= left or bottom <= top:
                continue
            across = (np.arange(left, right) - x) / pixels
            up = (y - np.arange(top, bottom)) / pixels
            ball = _ball(across, up)
            here = (slice(top, bottom), slice(left, right))
            nearer = z + radius * ball[..., 2]
            shown = (np.hypot(*np.meshgrid(across, up)) < 1) & (nearer > depth[here] - 0.004)
            colours = _eyeball(ball, gaze, self.skin.iris, self.light)
            image[here][shown] = colours[shown]
            depth[here][shown] = nearer[shown]

    def _lit_hair(self, points: Array) -> Array:
        """Return the colours of strands: along the light dark, across it bright."""
        light, steps = self.light, np.diff(points, axis=1)
        along = np.concatenate([steps, steps[:, -1:]], 1)
        along /= np.linalg.norm(along, axis=-1, keepdims=True) + 1e-9
        across = np.sqrt(np.clip(1 - (along @ light.lamp) ** 2, 0, 1))[..., None]
        out = points - np.array([0, self.skull.eye[1], self.skull.eye[2] - 0.9])
        out /= np.linalg.norm(out, axis=-1, keepdims=True)
        facing = np.clip(out @ light.lamp, 0, 1)[..., None]
        lit = light.sky * 0.9 + light.lamp_colour * (0.25 + 0.75 * facing) * across
        return np.asarray(self.hair.colours * lit + 0.18 * light.lamp_colour * across**24 * facing)

    def _openness(self) -> Array:
        """Return how much of the sky each vertex sees: the share of lights that reach it."""
        surface = self.mesh.surface
        points = surface.weights @ self.person.vertices
        normals, rng = surface.normals(points), np.random.default_rng(0)
        reached = total = np.zeros(len(points))
        for _ in range(_LIGHTS):
            towards = rng.normal(size=3)
            towards[2] = abs(towards[2]) + 0.3
            towards /= np.linalg.norm(towards)
            facing = np.clip(normals @ towards, 0, 1)
            reached = reached + facing * self._is_lit(points, towards)
            total = total + facing
        openness = np.where(total > 0.3, reached / np.maximum(total, 0.3), 0.55).clip(0.12, 1)
        kinds = (Material.UPPER_TEETH, Material.LOWER_TEETH, Material.TONGUE)
        openness[np.unique(surface.triangles[np.isin(surface.materials, kinds)])] = 0.8
        return openness

    def _is_lit(self, points: Array, towards: Array) -> Array:
        """Return the points that are seen from a direction."""
        across = np.cross([0, 1, 0.1], towards)
        across /= np.linalg.norm(across)
        up = np.cross(towards, across)
        centre = np.array([0, self.skull.eye[1] - 0.4, self.skull.eye[2] - 0.6])
        scale, middle = _LIGHT_MAP / 4.2, _LIGHT_MAP / 2
        moved = points - centre
        x, y = moved @ across * scale + middle, middle - moved @ up * scale
        seen = np.stack([x, y, moved @ towards], 1)
        depth, _, _ = rasterise(seen, self.mesh.surface.triangles, _LIGHT_MAP)
        rows, columns = (np.clip(v.round().astype(int), 0, _LIGHT_MAP - 1) for v in (y, x))
        return np.asarray(seen[:, 2] > depth[rows, columns] - 0.06)


def _rotation(pose: Pose) -> Array:
    yaw, pitch, roll = pose.yaw * 0.20, -pose.pitch * 0.13, pose.roll * 0.12
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def _ball(across: Array, up: Array) -> Array:
    """Normals of a sphere that is seen from the front: rows, columns, 3."""
    x, y = np.meshgrid(across, up)
    return np.stack([x, y, np.sqrt(np.clip(1 - x * x - y * y, 0, 1))], -1)


def _eyeball(ball: Array, gaze: Array, iris: Array, light: Light) -> Array:
    """Return the colours of an eye that looks somewhere; the lid darkens its upper part."""
    angle = np.arccos(np.clip(ball @ gaze, -1, 1))[..., None]
    rim = np.where(angle > 0.42, 0.5, 1)
    coloured = iris * (0.75 + 0.5 * (angle - _PUPIL) / (_IRIS - _PUPIL)) * rim
    white = np.array([0.86, 0.82, 0.80]) * (1 - 0.25 * np.clip(angle - 0.8, 0, 1))
    albedo = np.where(angle < _PUPIL, 0.02, np.where(angle < _IRIS, coloured, white))
    openness = (0.75 - 0.35 * np.clip(ball[..., 1] - 0.1, 0, 1)).ravel()
    gloss = np.full(openness.shape, 1.6)
    flat = light.shade(albedo.reshape(-1, 3), ball.reshape(-1, 3), openness, gloss, 60)
    return flat.reshape(ball.shape)
