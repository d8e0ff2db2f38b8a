"""The `geometric` reconstructor: needs no weights and works anywhere; the floor that networks have to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Evidence
from sam3d_ros.perception.geometric.agreement import agreed
from sam3d_ros.perception.geometric.coloring import vertex_colors
from sam3d_ros.perception.geometric.completion import Completion, PosedSegment, complete
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.footprint import natural_rectangle
from sam3d_ros.perception.geometric.occupancy import Solid, box_solid
from sam3d_ros.perception.geometric.segment import segment_instance
from sam3d_ros.perception.geometric.support import find_support
from sam3d_ros.perception.reconstructor import RECONSTRUCTION_FAILED, Progress
from sam3d_ros.perception.rectification import rectified_evidence

Array = NDArray[np.float64]

#: A vertex this near to the measured surface, in voxels, is taken for a piece of it.
_SEEN_VOXELS = 1.5
#: The canonical cube is filled up to this, so that rounding to float32 stays inside.
_FILL = 1.0 - 1e-5
#: A box that stands in for an object nobody measured: edge in metres, distance in metres.
_UNKNOWN_EDGE = 0.1
_UNKNOWN_DEPTH = 1.0
_UNKNOWN_SIGMA = 1.0
#: So many measured points tell the place of what could not be reconstructed, a box of at least this edge, metres.
_BOX_POINTS, _SMALLEST_BOX = 500, 0.01


class GeometricReconstructor:
    """Carves objects out of what their views leave, completed by symmetry and support.

    Args:
        config: parameters.
    """

    def __init__(self, config: GeometricConfig | None = None) -> None:
        self._config = config or GeometricConfig()

    @property
    def name(self) -> str:
        """`geometric`."""
        return "geometric"

    @property
    def is_metric(self) -> bool:
        """True: sizes are measured."""
        return True

    def reconstruct(
        self, evidence: Sequence[Evidence], *, progress: Progress | None = None
    ) -> list[ObjectEstimate]:
        """Reconstruct instances; see the protocol `Reconstructor`.

        Reasons that it leaves in a verdict: "no_points" (the mesh is a box of made-up size) and those of
        `complete`.
        """
        report = progress or _silent
        report("segment", 0.0)
        seen = [_segments(piece) for piece in evidence]
        usable = [views[0].segment for views in seen if views]
        report("support", 0.1)
        plane = find_support(evidence[0].overview, usable, self._config) if evidence else None
        answers = []
        for index, (piece, views) in enumerate(zip(evidence, seen, strict=True)):
            report("complete", 0.2 + 0.8 * index / len(evidence))
            if not views or plane is None:
                answers.append(unmeasured(piece))
            else:
                answers.append(_estimate(views, complete(views, plane, self._config)))
        report("done", 1.0)
        return answers


def _segments(evidence: Evidence) -> list[PosedSegment]:
    """The views of an instance that measure something of it; none where the first one does not."""
    found = []
    for view in evidence.views:
        # At the rim of a strong lens a mask may have no pixel left without the distortion.
        straight = rectified_evidence(view.evidence)
        segment = None if straight is None else segment_instance(straight)
        if straight is not None and segment is not None:
            found.append(PosedSegment(replace(view, evidence=straight), segment))
        elif not found:
            break
    if len(found) < 2:
        return found
    segments = agreed([(seen.view, seen.segment) for seen in found])
    return [replace(seen, segment=segment) for seen, segment in zip(found, segments, strict=True)]


def _estimate(views: Sequence[PosedSegment], completion: Completion) -> ObjectEstimate:
    """Colours, canonical frame and a covariance from the grid; figures are left to the verdict."""
    solid, to_camera = completion.solid, completion.ground.camera_from_ground
    evidence, segment = views[0].view.evidence, views[0].segment
    colors = vertex_colors(
        solid.vertices,
        to_camera,
        completion.symmetry,
        [seen.view for seen in views],
        completion.free_space,
        _SEEN_VOXELS * solid.voxel,
    )
    mesh, ground_from_object = _canonical(solid, colors)
    position = segment.noise**2 + solid.voxel**2
    rotation = position / (completion.diameter / 2.0) ** 2
    rejected = "too_few_points" in completion.reasons
    return ObjectEstimate(
        instance_id=evidence.instance_id,
        label=evidence.label,
        mesh=mesh,
        camera_from_object=to_camera @ ground_from_object,
        covariance=np.diag([position] * 3 + [rotation] * 3),
        verdict=Verdict(
            VerdictState.REJECTED if rejected else VerdictState.UNCERTAIN,
            completion.reasons,
            np.nan,
            np.nan,
            np.nan,
            int(segment.measured.sum()),
            evidence.scale_source,
        ),
    )


def _canonical(solid: Solid, colors: NDArray[np.uint8]) -> tuple[Mesh, Similarity]:
    """The mesh in the canonical cube, z up, x along its footprint; and `ground_from_object`."""
    angle = natural_rectangle(solid.vertices[:, :2]).angle
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    turned = solid.vertices @ rotation
    low, high = turned.min(axis=0), turned.max(axis=0)
    center, scale = (low + high) / 2.0, float((high - low).max()) / _FILL
    mesh = Mesh(((turned - center) / scale).astype(np.float32), solid.triangles.astype(np.uint32), colors)
    return mesh, Similarity(rotation, rotation @ center, np.full(3, scale))


def unmeasured(evidence: Evidence) -> ObjectEstimate:
    """A box of made-up size on the ray of the mask's middle: an answer where nothing was measured."""
    rows, columns = np.nonzero(evidence.mask)
    middle = np.array([columns.mean() + evidence.window.left, rows.mean() + evidence.window.top])
    ray = evidence.camera.rays_at(middle)
    if not np.isfinite(ray).all():
        ray = np.array([0.0, 0.0, 1.0])
    box = box_solid(np.full(3, -_UNKNOWN_EDGE / 2.0), np.full(3, _UNKNOWN_EDGE / 2.0))
    color = np.median(evidence.rgb[rows, columns], axis=0).astype(np.uint8)
    mesh, ground_from_object = _canonical(box, np.tile(color, (8, 1)))
    up = Similarity(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), ray * _UNKNOWN_DEPTH)
    return ObjectEstimate(
        instance_id=evidence.instance_id,
        label=evidence.label,
        mesh=mesh,
        camera_from_object=up @ ground_from_object,
        covariance=np.diag([_UNKNOWN_SIGMA**2] * 6),
        verdict=Verdict(
            VerdictState.REJECTED,
            ("no_points",),
            np.nan,
            np.nan,
            np.nan,
            0,
            ScaleSource.PRIOR,
        ),
    )


def unmade(evidence: Evidence) -> ObjectEstimate:
    """The answer for what no reconstruction was made of: a box about its measured points, as far as there are some."""
    box, points = unmeasured(evidence), evidence.measured(_BOX_POINTS).points
    pose, source = box.camera_from_object, box.verdict.scale_source
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        edge = max(float((high - low).max()), _SMALLEST_BOX)
        pose, source = Similarity(pose.rotation, (low + high) / 2, np.full(3, edge)), evidence.scale_source
    verdict = Verdict(
        VerdictState.REJECTED, (RECONSTRUCTION_FAILED,), np.nan, np.nan, np.nan, len(points), source
    )
    return replace(box, camera_from_object=pose, verdict=verdict)


def _silent(stage: str, share: float) -> None:
    """Progress for nobody."""
