"""Solid bodies made of triangles, for pictures that people look at; the cars' own cameras see plain boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hotlap.tracks.themes import RGB

AROUND = 20  # corners of a circle


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the frame of a body: x ahead, y left, z up from the ground [m]."""

    corners: np.ndarray
    """(num_triangles, 3, 3)."""
    normals: np.ndarray
    """Outward at each corner, of length 1; (num_triangles, 3, 3)."""
    colors: np.ndarray
    """Without light, 0 to 255; (num_triangles, 3)."""
    gloss: np.ndarray
    """Share of the sun that a triangle mirrors, 0 to 1; (num_triangles,)."""

    def __len__(self) -> int:
        return len(self.corners)

    def moved(self, x: float, y: float, z: float) -> Mesh:
        """The body elsewhere in its frame."""
        return Mesh(self.corners + np.array([x, y, z]), self.normals, self.colors, self.gloss)


def join(*meshes: Mesh) -> Mesh:
    """Several bodies as one."""
    return Mesh(
        *(
            np.concatenate([getattr(mesh, name) for mesh in meshes])
            for name in ("corners", "normals", "colors", "gloss")
        )
    )


class Section(NamedTuple):
    """A cut through a body across its length [m]: a rectangle with rounded corners."""

    x: float
    half_width: float
    bottom: float
    top: float


def loft(sections: Sequence[Section], color: RGB, *, gloss: float, roundness: float = 0.55) -> Mesh:
    """A smooth body through sections, closed at both ends.

    Args:
        sections: In the order of x.
        color: Of all of it.
        gloss: As of `Mesh`.
        roundness: Exponent of the superellipse: 1 is an ellipse, 0 a rectangle.
    """
    angle = 2.0 * np.pi * (np.arange(AROUND) + 0.5) / AROUND
    y = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** roundness
    z = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** roundness
    rings = np.array(
        [
            np.stack([np.full(AROUND, x), width * y, 0.5 * (top + bottom) + 0.5 * (top - bottom) * z], axis=1)
            for x, width, bottom, top in sections
        ]
    )
    ends = [_disc(rings[0], (-1.0, 0.0, 0.0), color, gloss), _disc(rings[-1], (1.0, 0.0, 0.0), color, gloss)]
    return join(_skin(rings, color, gloss), *ends)


def box(x: tuple[float, float], half_width: float, z: tuple[float, float], color: RGB, *, gloss: float = 0.0) -> Mesh:
    """An upright box between two x and two z."""
    low, high = np.array([x[0], -half_width, z[0]]), np.array([x[1], half_width, z[1]])
    square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    faces = []
    for axis in range(3):
        for side in (0.0, 1.0):
            ring = np.insert(square, axis, side, axis=1) * (high - low) + low
            normal = np.zeros(3)
            normal[axis] = 2.0 * side - 1.0
            faces.append(_disc(ring, tuple(normal), color, gloss))
    return join(*faces)


def wheel(radius: float, width: float, tire: RGB, rim: RGB) -> Mesh:
    """A wheel that turns about the y axis, with its middle at the origin [m]."""
    angle = 2.0 * np.pi * np.arange(AROUND) / AROUND
    circle = np.stack([np.cos(angle), np.zeros(AROUND), np.sin(angle)], axis=1)
    shoulder = 0.88 * radius, 0.5 * width
    profile = [(shoulder[0], -shoulder[1]), (radius, -0.3 * width), (radius, 0.3 * width), shoulder]
    tread = _skin(np.array([r * circle + (0.0, y, 0.0) for r, y in profile]), tire, 0.05)
    sides = []
    for side in (-1.0, 1.0):
        normal = (0.0, side, 0.0)
        y = np.array([0.0, side * shoulder[1], 0.0])
        sides.append(_disc(shoulder[0] * circle + y, normal, tire, 0.05))
        # A little farther out, so that it is seen before the tire.
        sides.append(_disc(0.58 * radius * circle + 1.02 * y, normal, rim, 0.4))
    return join(tread, *sides)


def _skin(rings: np.ndarray, color: RGB, gloss: float) -> Mesh:
    """The smooth surface through rings of points, (num_rings, around, 3), around their middles."""
    along = np.gradient(rings, axis=0)
    about = np.roll(rings, -1, axis=1) - np.roll(rings, 1, axis=1)
    normals = np.cross(about, along)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    if np.sum(normals * (rings - rings.mean(axis=1, keepdims=True))) < 0.0:
        normals = -normals
    corners, directions = [_quads(each) for each in (rings, normals)]
    return _plain(corners, directions, color, gloss)


def _quads(rings: np.ndarray) -> np.ndarray:
    """Values at the corners of the triangles between neighboring rings, (num_triangles, 3, 3)."""
    here, there = rings[:-1], rings[1:]
    here_next, there_next = np.roll(here, -1, axis=1), np.roll(there, -1, axis=1)
    halves = [np.stack([here, there, there_next], axis=2), np.stack([here, there_next, here_next], axis=2)]
    return np.concatenate([half.reshape(-1, 3, 3) for half in halves])


def _disc(ring: np.ndarray, normal: Sequence[float], color: RGB, gloss: float) -> Mesh:
    """The flat area within a convex ring of points (n, 3)."""
    middle = np.broadcast_to(ring.mean(axis=0), ring.shape)
    corners = np.stack([middle, ring, np.roll(ring, -1, axis=0)], axis=1)
    return _plain(corners, np.broadcast_to(np.array(normal), corners.shape), color, gloss)


def _plain(corners: np.ndarray, normals: np.ndarray, color: RGB, gloss: float) -> Mesh:
    count = len(corners)
    return Mesh(corners, normals, np.tile(np.array(color, dtype=np.float64), (count, 1)), np.full(count, gloss))
