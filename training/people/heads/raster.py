"""Triangles and hairs as pixels, with a depth for each pixel. Rows are y, columns x."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

FAR = -1e9
_BEHIND = 0.02
"""Hair that is so little behind the skin still shows."""


def rasterise(points: Array, triangles: Array, side: int) -> tuple[Array, Array, Array]:
    """Depth (side side), the triangle seen (-1: none), and where in it (side side 3)."""
    depth = np.full((side, side), FAR)
    seen = np.full((side, side), -1, np.int32)
    shares = np.zeros((side, side, 3), np.float32)
    _fill(points, triangles, depth, seen, shares)
    return depth, seen, shares


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def _fill(points: Array, triangles: Array, depth: Array, seen: Array, shares: Array) -> None:
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, x1, y1 = points[a, 0], points[a, 1], points[b, 0], points[b, 1]
        x2, y2 = points[c, 0], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        left = max(int(np.ceil(min(x0, x1, x2))), 0)
        right = min(int(np.floor(max(x0, x1, x2))), width - 1)
        top = max(int(np.ceil(min(y0, y1, y2))), 0)
        bottom = min(int(np.floor(max(y0, y1, y2))), height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                second = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
                third = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
                first = 1 - second - third
                if first >= -1e-6 and second >= -1e-6 and third >= -1e-6:
                    z = first * points[a, 2] + second * points[b, 2] + third * points[c, 2]
                    if z > depth[y, x]:
                        depth[y, x] = z
                        seen[y, x] = t
                        shares[y, x, 0] = first
                        shares[y, x, 1] = second
                        shares[y, x, 2] = third


@njit(cache=True, fastmath=True)  # type: ignore[untyped-decorator]
def draw_hairs(points: Array, colours: Array, depth: Array, image: Array, alpha: float) -> None:
    """Draw lines (N K 3, with colours N K 3) into an image, where nothing hides them."""
    height, width = depth.shape
    for i in range(points.shape[0]):
        for k in range(points.shape[1] - 1):
            dx = points[i, k + 1, 0] - points[i, k, 0]
            dy = points[i, k + 1, 1] - points[i, k, 1]
            steps = int(max(abs(dx), abs(dy))) + 1
            for s in range(steps):
                t = s / steps
                x, y = int(points[i, k, 0] + dx * t), int(points[i, k, 1] + dy * t)
                if x < 0 or y < 0 or x >= width or y >= height:
                    continue
                z = points[i, k, 2] + (points[i, k + 1, 2] - points[i, k, 2]) * t
                if z > depth[y, x] - _BEHIND:
                    for c in range(3):
                        colour = colours[i, k, c] * (1 - t) + colours[i, k + 1, c] * t
                        image[y, x, c] += alpha * (colour - image[y, x, c])
                    if z > depth[y, x]:
                        depth[y, x] += 0.5 * (z - depth[y, x])
