"""A part of an image is enough: what is made of it, and how it is judged, is as on the whole image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_views import (
    BARREL,
    FISHEYE,
    STRAIGHT,
    assert_measured_alike,
    assert_same_estimate,
    assert_same_verdict,
    figures,
    simulated,
)

from sam3d_ros.geometry.boxes import OrientedBox
from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.surfaces import diameter, surface_distance, transformed
from sam3d_ros.perception.estimates import ObjectEstimate
from sam3d_ros.perception.evidence import (
    Cut,
    Evidence,
    cut,
)
from sam3d_ros.perception.fitting.refinement import refine
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import VerdictThresholds, judge
from sam3d_ros.perception.recorded.frame_folder import read_frame_folder

RECONSTRUCTOR = GeometricReconstructor()
REAL = ("ycbv_a/000001", "kitti_a/000000")
#: What the cells of the overview may change in the shares of a silhouette that leaves the window.
CELL = 0.03


def stays_in_window(piece: Evidence, estimate: ObjectEstimate) -> bool:
    """Whether all that is judged was cut out: the rim of the mask, and the box of the projected mesh."""
    corners = OrientedBox.of_mesh(estimate.mesh, estimate.camera_from_object).corners()
    rim = piece.measured(VerdictThresholds().max_points).window
    return piece.window.holds(rim.including(piece.camera.project(corners), piece.image_shape))


def assert_judged_alike(piece: Evidence, whole: Evidence, estimate: ObjectEstimate) -> bool:
    """Judge by the part and by the whole; whether the projected mesh stays in the part.

    Where it does not, a share may differ by that of a few cells, and a reason only where the share is so near to its
    bound: everything that the whole says with a wider bound is said by the part, and all of that by the whole with a
    narrower one.
    """
    found = judge(piece, estimate)
    if stays_in_window(piece, estimate):
        assert_same_verdict(found, judge(whole, estimate))
        return True
    lenient, strict = (judge(whole, estimate, shifted(VerdictThresholds(), by)) for by in (CELL, -CELL))
    assert set(lenient.reasons) <= set(found.reasons) <= set(strict.reasons)
    assert lenient.state.value <= found.state.value <= strict.state.value
    assert found.mask_iou == pytest.approx(strict.mask_iou, abs=CELL)
    np.testing.assert_array_equal(figures(found)[1:], figures(strict)[1:])
    assert (found.point_count, found.scale_source) == (strict.point_count, strict.scale_source)
    return False


def shifted(thresholds: VerdictThresholds, by: float) -> VerdictThresholds:
    """Bounds of the shares of a silhouette, wider by so much."""
    return replace(
        thresholds,
        accept_mask_iou=thresholds.accept_mask_iou - by,
        reject_mask_iou=thresholds.reject_mask_iou - by,
        accept_free_space=thresholds.accept_free_space + by,
        accept_hidden=thresholds.accept_hidden + by,
    )


def assert_a_part_is_enough(frame: Frame) -> None:
    """Without lens distortion every answer of the parts is that of the whole, to the last bit."""
    pieces = Cut(frame)
    parts = [pieces.evidence(instance_id) for instance_id in frame.instance_ids()]
    wholes = [pieces.evidence(part.instance_id, whole=True) for part in parts]
    assert any(part.window != whole.window for part, whole in zip(parts, wholes, strict=True))
    found, expected = RECONSTRUCTOR.reconstruct(parts), RECONSTRUCTOR.reconstruct(wholes)
    for part, whole, left, right in zip(parts, wholes, found, expected, strict=True):
        assert_same_estimate(left, right)
        assert_measured_alike(part, whole)
        metric = part.instance_id % 2 == 0
        refined = refine(part, left, metric=metric)
        assert_same_estimate(refined, refine(whole, right, metric=metric))
        assert_judged_alike(part, whole, refined)


def test_a_part_of_a_simulated_view_is_enough() -> None:
    assert_a_part_is_enough(simulated(3))


def test_a_part_of_what_a_lidar_sees_is_enough() -> None:
    assert_a_part_is_enough(simulated(3, lidar=True))


@pytest.mark.parametrize("name", REAL)
def test_a_part_of_a_real_view_is_enough(data_dir: Path, name: str) -> None:
    assert_a_part_is_enough(read_frame_folder(data_dir / name).frame())


@pytest.mark.parametrize(("camera", "seed"), [(BARREL, 3), (FISHEYE, 1)], ids=["barrel", "fisheye"])
def test_a_part_of_a_view_through_a_lens_is_enough(camera: Camera, seed: int) -> None:
    """A pixel between two may fall to either side when the lens is undone; nothing else changes."""
    frame = simulated(seed, camera)
    pieces = Cut(frame)
    parts = [pieces.evidence(instance_id) for instance_id in frame.instance_ids()]
    wholes = [pieces.evidence(part.instance_id, whole=True) for part in parts]
    found, expected = RECONSTRUCTOR.reconstruct(parts), RECONSTRUCTOR.reconstruct(wholes)
    for part, whole, left, right in zip(parts, wholes, found, expected, strict=True):
        mesh = transformed(left.mesh, left.camera_from_object)
        truth = transformed(right.mesh, right.camera_from_object)
        assert surface_distance(mesh, truth) < 2e-3 * diameter(truth)
        assert left.verdict.reasons == right.verdict.reasons
        # Fitting and judging look through the lens: they undo nothing.
        assert_measured_alike(part, whole)
        refined = refine(part, left, metric=True)
        assert_same_estimate(refined, refine(whole, left, metric=True))
        assert_judged_alike(part, whole, refined)
        one, other = judge(part, refined), judge(whole, refine(whole, right, metric=True))
        assert (one.state, one.reasons) == (other.state, other.reasons)
        assert one.mask_iou == pytest.approx(other.mask_iou, abs=0.01)
        assert one.depth_residual == pytest.approx(other.depth_residual, abs=1e-4)
        assert one.inlier_ratio == pytest.approx(other.inlier_ratio, abs=0.01)


@pytest.mark.parametrize("camera", [STRAIGHT, BARREL], ids=["straight", "barrel"])
def test_a_mesh_that_leaves_the_window_is_judged_by_the_overview(camera: Camera) -> None:
    """Poses far off and far too large: what a cell hides may be missed, nothing more."""
    random = np.random.default_rng(4)
    pieces = Cut(simulated(3, camera))
    left = []
    for estimate in RECONSTRUCTOR.reconstruct([pieces.evidence(i) for i in pieces.table.ids.tolist()]):
        part = pieces.evidence(estimate.instance_id)
        whole = pieces.evidence(estimate.instance_id, whole=True)
        pose, size = estimate.camera_from_object, float(np.linalg.norm(estimate.size))
        for step in range(8):
            shift = size * random.uniform(-0.25, 0.25, 3) * step
            scale = pose.scale * random.uniform(1.0, 3.0)
            moved = Similarity(pose.rotation, pose.translation + shift, scale)
            left.append(not assert_judged_alike(part, whole, replace(estimate, camera_from_object=moved)))
    assert 10 < sum(left) < len(left)


@pytest.mark.parametrize("camera", [STRAIGHT, BARREL], ids=["straight", "barrel"])
def test_nothing_outside_the_window_is_looked_at(camera: Camera) -> None:
    """Once a frame is cut, everything around a window may be overwritten: the answers stay the same."""
    seen = simulated(3, camera)
    frame = replace(
        seen, rgb=seen.rgb.copy(), labels=seen.labels.copy(), point_map=PointMap(seen.points.copy())
    )
    random = np.random.default_rng(0)
    for original in cut(seen):
        (expected,) = RECONSTRUCTOR.reconstruct([original])
        (piece,) = cut(frame, [original.instance_id])
        # The background is sampled when it is first asked for, and belongs to the overview.
        assert len(piece.overview.background) > 0
        outside = np.ones(frame.labels.shape, bool)
        outside[piece.window.slices] = False
        count = int(np.count_nonzero(outside))
        assert count > 0
        frame.rgb[outside] = random.integers(0, 256, (count, 3))
        frame.labels[outside] = random.integers(0, 65536, count)
        frame.points[outside] = random.normal(size=(count, 3))
        (found,) = RECONSTRUCTOR.reconstruct([piece])
        assert_same_estimate(found, expected)
        assert_measured_alike(piece, original)
        refined = refine(piece, found, metric=True)
        assert_same_estimate(refined, refine(original, expected, metric=True))
        far = replace(refined, camera_from_object=Similarity(translation=np.array([0.1, 0.0, 1.0])))
        for estimate in (refined, far):
            assert_same_verdict(judge(piece, estimate), judge(original, estimate))
        frame.rgb[...], frame.labels[...], frame.points[...] = seen.rgb, seen.labels, seen.points
