"""The objects of a scene as solid bodies: points of their surfaces, centres of mass, and how deep one is in another."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.surfaces import sample_surface
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface

Array = NDArray[np.float64]

#: Points that stand for a surface, and vertices beside them: the corners of coarse meshes reach farthest.
_SAMPLES, _MOST_VERTICES = 400, 200
#: Of the points that are inside another body, the outermost ones are the noise of the meshes: the depth is that of the
#: point of this rank, as a share of all points.
_RANK = 0.01


class Probe:
    """What stands for a mesh of at least one triangle in contacts with others, in canonical coordinates.

    Attributes:
        points: (N, 3) on its surface.
        centroid: (3,) centre of mass, the volume being uniform.
    """

    _known: ClassVar[WeakKeyDictionary[Mesh, Probe]] = WeakKeyDictionary()
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, mesh: Mesh) -> None:
        corners = mesh.vertices[:: max(1, len(mesh.vertices) // _MOST_VERTICES)].astype(np.float64)
        try:
            spread, _ = sample_surface(mesh, _SAMPLES, np.random.default_rng(0))
        except ValueError:  # no triangle has an area
            spread = corners
        self.points: Array = np.concatenate([spread, corners])
        self.centroid: Array = _centroid(mesh)

    @classmethod
    def of(cls, mesh: Mesh) -> Probe:
        """That of this very mesh object, made at the first call and kept as long as the mesh lives."""
        with cls._lock:
            probe = cls._known.get(mesh)
            if probe is None:
                probe = cls._known[mesh] = cls(mesh)
        return probe


@dataclass(frozen=True, eq=False)
class SolidObject:
    """An object of a scene.

    Attributes:
        object_id: its track.
        mesh: canonical; it has a triangle.
        fixed_from_object: its pose in the frame of tracking.
        position_covariance: (3, 3) of its place there, square metres.
        size_sigma: standard deviation of its least certain extent, metres; 0 = not known.
        doubt: how far it is not trusted: the value of its verdict's state.
        evidence: the view that shows it now; None where none does.
    """

    object_id: int
    mesh: Mesh
    fixed_from_object: Similarity
    position_covariance: Array
    size_sigma: float
    doubt: int
    evidence: Evidence | None

    @cached_property
    def points(self) -> Array:
        """(N, 3) on its surface, in the frame of tracking."""
        return self.fixed_from_object.apply(Probe.of(self.mesh).points)

    @cached_property
    def centroid(self) -> Array:
        """(3,) centre of mass in the frame of tracking, the volume being uniform."""
        return self.fixed_from_object.apply(Probe.of(self.mesh).centroid)

    @cached_property
    def size(self) -> float:
        """Diameter of its box, metres."""
        low, high = self.mesh.bounds.astype(np.float64)
        return float(np.linalg.norm((high - low) * self.fixed_from_object.scale))

    @cached_property
    def box(self) -> Array:
        """(2, 3) least and greatest corner along the axes of the frame of tracking."""
        return np.stack([self.points.min(axis=0), self.points.max(axis=0)])

    def sigma_along(self, direction: Array) -> float:
        """Standard deviation of its place along a unit vector, metres."""
        variance = float(direction @ self.position_covariance @ direction)
        return max(variance, 0.0) ** 0.5

    def is_near(self, other: SolidObject, distance: float) -> bool:
        """Whether the boxes of two objects are no farther apart than some metres."""
        apart = np.maximum(self.box[0] - other.box[1], other.box[0] - self.box[1])
        return bool((apart <= distance).all())

    def touches(self, points: Array, distance: float) -> NDArray[np.bool_]:
        """(N,) whether (N, 3) points in the frame of tracking are within some metres of its surface."""
        low, high = self.box[0] - distance, self.box[1] + distance
        near = ((points >= low) & (points <= high)).all(axis=1)
        if near.any():
            # The nearest triangle is found the faster the nearer it is.
            close = points[near]
            nearest = VisibleSurface.of(self.mesh).closest(self.fixed_from_object, close)
            near[near] = np.linalg.norm(nearest - close, axis=1) < distance
        return np.asarray(near)

    def overlap(self, other: SolidObject) -> tuple[float, Array]:
        """How deep another object is in this one.

        Returns:
            Metres, 0 where it is not; and the (3,) unit direction of the shortest way out.
        """
        low, high = self.box
        points = other.points
        points = points[((points >= low) & (points <= high)).all(axis=1)]
        surface = VisibleSurface.of(self.mesh)
        if len(points):
            points = points[surface.holds(self.fixed_from_object, points)]
        rank = max(1, round(_RANK * len(other.points)))
        if len(points) < rank:
            return 0.0, np.array([0.0, 0.0, 1.0])
        way = surface.closest(self.fixed_from_object, points) - points
        depth = np.linalg.norm(way, axis=1)
        order = np.argsort(-depth)
        out = way[order[:rank]].sum(axis=0)
        length = float(np.linalg.norm(out))
        direction = out / length if length > 0.0 else np.array([0.0, 0.0, 1.0])
        return float(depth[order[rank - 1]]), direction


def _centroid(mesh: Mesh) -> Array:
    """(3,) centre of the volume by the divergence theorem; the middle of the box where the mesh encloses none."""
    a, b, c = mesh.vertices.astype(np.float64)[mesh.triangles.astype(np.intp)].transpose(1, 0, 2)
    volumes = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0
    low, high = mesh.bounds.astype(np.float64)
    total = float(volumes.sum())
    if total > 0.0:
        middle = (volumes @ (a + b + c)) / (4.0 * total)
        if ((middle >= low) & (middle <= high)).all():
            return np.asarray(middle)
    return np.asarray((low + high) / 2.0)
