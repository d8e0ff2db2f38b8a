"""Tracks: objects that keep their id from frame to frame."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity, turned_covariance
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Overview
from sam3d_ros.perception.tracking.instances import InstanceView
from sam3d_ros.perception.tracking.keyframes import Keyframe
from sam3d_ros.perception.tracking.stillness import Glance

_NANOSECONDS = 1e-9
#: Verdict of a known object whose mask is not in the frame: its pose is that of the last sighting.
NOT_SEEN = "not_seen"


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """A tracked object at the stamp of a frame.

    Attributes:
        track_id: 1, 2, ...; stays with the object as long as it is tracked and is never given again.
        mesh_version: 1 for the first mesh, one more for each better one.
        estimate: mesh, pose in the camera, covariance and verdict at that stamp; its `instance_id` is 0 while
            the object is not seen.
        fixed_from_object: the same pose in the fixed frame; where there is none, in the camera.
        last_seen: stamp of the last frame with a mask of it, nanoseconds.
        mesh_stamp: stamp of the frame that its mesh was made from, nanoseconds.
    """

    track_id: int
    mesh_version: int
    estimate: ObjectEstimate
    fixed_from_object: Similarity
    last_seen: int
    mesh_stamp: int

    @property
    def is_seen(self) -> bool:
        """Whether the frame has a mask of it."""
        return self.estimate.instance_id != 0


@dataclass(frozen=True, eq=False)
class Silhouette:
    """What a posed mesh covers on the grid of an overview, and of which mesh, pose and camera that is.

    Attributes:
        mesh, fixed_from_object, fixed_from_camera, camera: what it was computed from.
        cells: (K,) flat indices that were looked at.
        depth: (K,) metres, Inf where the mesh does not show.
    """

    mesh: Mesh
    fixed_from_object: Similarity
    fixed_from_camera: Similarity | None
    camera: Camera
    cells: NDArray[np.int64]
    depth: NDArray[np.float64]

    def holds(self, track: Track, overview: Overview) -> bool:
        """Whether it is that of a track in an overview, which it is while camera and object rest."""
        then, now = self.fixed_from_camera, overview.fixed_from_camera
        if track.estimate is None or self.mesh is not track.estimate.mesh:
            return False
        if self.fixed_from_object is not track.fixed_from_object or self.camera != overview.camera:
            return False
        if then is None or now is None:
            return then is now
        return bool((then.rotation == now.rotation).all() and (then.translation == now.translation).all())


@dataclass(eq=False)
class Track:
    """What is remembered of an object. Belongs to the tracker; everybody else reads it.

    Attributes:
        track_id: see `TrackedObject`.
        view: the last sighting.
        last_seen: its stamp, nanoseconds.
        is_seen: whether that was in the newest frame.
        grid_shape, view_pixel: coarse grid of that sighting, and the pixel of `view.center` in it.
        label_votes: class names that the segmenter gave it, with their number of frames.
        mesh_version: 0 before the first reconstruction.
        estimate: the newest estimate, None before the first reconstruction; its pose is in the camera of the
            frame it was made from, so use `fixed_from_object`.
        fixed_from_object: pose in the fixed frame.
        fixed_covariance: (6, 6) of that pose, in the fixed frame.
        baseline: the verdict when this pose was found; None = not yet found in a frame after the reconstruction.
        glance: what was seen when the estimate was judged; None = not yet judged in a frame after the reconstruction.
        silhouette: the cells of the overview that its mesh covers, as computed last.
        rested: whether its pose in the newest frame is the one that was expected.
        failures: reconstructions in a row that came to nothing.
        version_best: the best state that its mesh was judged with.
        version_quality: `InstanceView.quality` of the view that the mesh was made from.
        version_stamp: stamp of the last view that was tried, nanoseconds.
        mesh_stamp: stamp of the view that the mesh was made from, nanoseconds.
        version_measured: whether a view with measured points has been reconstructed since the mesh was made, or for it.
        version_views: stamps of the remembered views that have been tried since the mesh was made, or for it.
        keyframes: the views that are remembered of it.
        news: share of the mesh, by area, that was guessed and is faced by remembered views that were not yet tried.
    """

    track_id: int
    view: InstanceView
    last_seen: int
    grid_shape: tuple[int, int]
    view_pixel: NDArray[np.floating]
    is_seen: bool = True
    label_votes: Counter[str] = field(default_factory=Counter)
    mesh_version: int = 0
    estimate: ObjectEstimate | None = None
    fixed_from_object: Similarity | None = None
    fixed_covariance: NDArray[np.float64] | None = None
    baseline: Verdict | None = None
    glance: Glance | None = None
    silhouette: Silhouette | None = None
    rested: bool = True
    failures: int = 0
    version_best: VerdictState = VerdictState.REJECTED
    version_quality: float = 0.0
    version_stamp: int = 0
    mesh_stamp: int = 0
    version_measured: bool = True
    version_views: frozenset[int] = frozenset()
    keyframes: tuple[Keyframe, ...] = ()
    news: float = 0.0

    def snapshot(self, overview: Overview, drift: NDArray[np.float64]) -> TrackedObject | None:
        """The track as the world sees it at the moment of a frame; None before it has a mesh.

        Args:
            overview: of the frame.
            drift: (6,) standard deviations of how far it may have gone since it was seen: metres along each direction
                and radians about it.
        """
        if self.estimate is None or self.fixed_from_object is None or self.fixed_covariance is None:
            return None
        verdict = self.estimate.verdict
        estimate = replace(
            self.expected(overview),
            instance_id=self.view.instance_id if self.is_seen else 0,
            verdict=verdict if self.is_seen else _unseen(verdict),
        )
        if drift.any():
            estimate = replace(estimate, covariance=estimate.covariance + np.diag(drift**2))
        return TrackedObject(
            track_id=self.track_id,
            mesh_version=self.mesh_version,
            estimate=estimate,
            fixed_from_object=self.fixed_from_object,
            last_seen=self.last_seen,
            mesh_stamp=self.mesh_stamp,
        )

    def expected(self, overview: Overview) -> ObjectEstimate:
        """Its estimate in the camera of a frame, if it did not move; for a track with a mesh."""
        assert self.estimate is not None and self.fixed_from_object is not None
        assert self.fixed_covariance is not None
        pose, covariance = self.fixed_from_object, self.fixed_covariance
        if overview.fixed_from_camera is not None:
            from_fixed = overview.camera_from_fixed
            pose, covariance = from_fixed @ pose, turned_covariance(covariance, from_fixed.rotation)
        return replace(
            self.estimate,
            instance_id=self.view.instance_id,
            label=self.label,
            camera_from_object=pose,
            covariance=covariance,
        )

    def place(self, estimate: ObjectEstimate, fixed_from_camera: Similarity) -> None:
        """Keep the pose of an estimate in the frame of tracking."""
        self.fixed_from_object = fixed_from_camera @ estimate.camera_from_object
        self.fixed_covariance = turned_covariance(estimate.covariance, fixed_from_camera.rotation)

    @property
    def label(self) -> str:
        """The class name that most frames gave it; of equals the first in the alphabet; empty if none did."""
        named = {name: votes for name, votes in self.label_votes.items() if name}
        return min(named, key=lambda name: (-named[name], name), default="")

    @property
    def extent(self) -> float:
        """Its diameter, metres: of the mesh, or of the visible surface before there is one."""
        if self.estimate is None:
            return self.view.extent
        return float(np.linalg.norm(self.estimate.size))

    def seconds_unseen(self, stamp: int) -> float:
        """Seconds from its last sighting to a stamp."""
        return (stamp - self.last_seen) * _NANOSECONDS


def _unseen(verdict: Verdict) -> Verdict:
    state = VerdictState.UNCERTAIN if verdict.state is VerdictState.ACCEPTED else verdict.state
    return replace(verdict, state=state, reasons=(*verdict.reasons, NOT_SEEN))
