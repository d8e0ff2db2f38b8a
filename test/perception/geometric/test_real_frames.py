"""The geometric reconstructor on real frames, against their annotated truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam3d_ros.geometry.boxes import OrientedBox, box_iou
from sam3d_ros.geometry.mesh_files import read_mesh
from sam3d_ros.geometry.surfaces import diameter, surface_distance, transformed
from sam3d_ros.perception.estimates import ObjectEstimate, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.fitting.refinement import distances, refine
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import judge
from sam3d_ros.perception.recorded.frame_folder import FrameFolder, read_frame_folder


def answered(folder: FrameFolder) -> tuple[dict[int, Evidence], dict[int, ObjectEstimate]]:
    """All instances of a frame: reconstructed, refined and judged."""
    evidence = cut(folder.frame())
    found = {}
    for piece, estimate in zip(evidence, GeometricReconstructor().reconstruct(evidence), strict=True):
        refined = refine(piece, estimate, metric=True)
        found[refined.instance_id] = replace(refined, verdict=judge(piece, refined))
    return {piece.instance_id: piece for piece in evidence}, found


def test_household_objects_on_a_table(data_dir: Path) -> None:
    """Means over three objects: residual to 3 mm, surface to 10 % of the diameter, box overlap from 0.6."""
    folder = read_frame_folder(data_dir / "ycbv_a" / "000001")
    evidence, estimates = answered(folder)
    residuals, surfaces, boxes = [], [], []
    for thing in folder.objects:
        assert thing.mesh_path is not None and thing.camera_from_object is not None
        estimate, mesh = estimates[thing.instance_id], read_mesh(thing.mesh_path, unit=thing.mesh_unit)
        truth = transformed(mesh, thing.camera_from_object)
        posed = transformed(estimate.mesh, estimate.camera_from_object)
        surfaces.append(surface_distance(posed, truth) / diameter(truth))
        found = OrientedBox.of_mesh(estimate.mesh, estimate.camera_from_object)
        boxes.append(box_iou(found, OrientedBox.of_mesh(mesh, thing.camera_from_object)))
        points = evidence[thing.instance_id].measured(1000).points
        off = distances(VisibleSurface.of(estimate.mesh), estimate.camera_from_object, points)
        residuals.append(off.mean())
        assert estimate.verdict.state is VerdictState.ACCEPTED
    assert len(boxes) == 3
    assert np.mean(residuals) < 0.003
    assert np.mean(surfaces) < 0.1
    assert np.mean(boxes) > 0.6


def test_a_pedestrian_seen_by_lidar(data_dir: Path) -> None:
    folder = read_frame_folder(data_dir / "kitti_a" / "000000")
    _, estimates = answered(folder)
    (thing,) = folder.objects
    assert thing.camera_from_object is not None
    estimate = estimates[thing.instance_id]
    assert np.linalg.norm(estimate.center - thing.camera_from_object.translation) < 0.25


@pytest.mark.parametrize("name", ["mosd_a/learn35", "mosd_a/test45", "mosd_a/test57", "arc2017/0"])
def test_every_mask_is_answered_with_a_verdict(data_dir: Path, name: str) -> None:
    folder = read_frame_folder(data_dir / name)
    _, estimates = answered(folder)
    assert sorted(estimates) == folder.frame().instance_ids()
    for estimate in estimates.values():
        assert estimate.mesh.is_watertight()
        assert (estimate.verdict.state is VerdictState.ACCEPTED) == (estimate.verdict.reasons == ())
        assert np.isfinite(estimate.verdict.mask_iou) and np.isfinite(estimate.verdict.depth_residual)
