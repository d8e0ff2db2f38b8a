"""The geometric reconstructor against solids whose shape and pose are known, and against anything at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standing_solids import CAMERA, box, camera_above, cylinder, look, placed, sphere

from sam3d_ros.geometry.boxes import OrientedBox, box_iou
from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.geometry.surfaces import diameter, surface_distance, transformed
from sam3d_ros.perception.estimates import ObjectEstimate, Verdict, VerdictState
from sam3d_ros.perception.evidence import Cut, cut
from sam3d_ros.perception.fitting.refinement import distances
from sam3d_ros.perception.fitting.visible_surface import VisibleSurface
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.geometric.config import GeometricConfig
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.verdict import judge

SEEN_FROM = camera_above()
RECONSTRUCTOR = GeometricReconstructor()


def reconstructed(
    things: dict[int, tuple[Mesh, Similarity]], **how: object
) -> tuple[Frame, list[ObjectEstimate]]:
    frame = look(things, SEEN_FROM, **how)  # type: ignore[arg-type]
    return frame, RECONSTRUCTOR.reconstruct(cut(frame, things))


def judged(frame: Frame, estimate: ObjectEstimate) -> Verdict:
    return judge(Cut(frame).evidence(estimate.instance_id), estimate)


def true_box(mesh: Mesh, world_from_mesh: Similarity) -> OrientedBox:
    return OrientedBox.of_mesh(mesh, SEEN_FROM @ world_from_mesh)


def found_box(estimate: ObjectEstimate) -> OrientedBox:
    return OrientedBox.of_mesh(estimate.mesh, estimate.camera_from_object)


def relative_distance(estimate: ObjectEstimate, mesh: Mesh, world_from_mesh: Similarity) -> float:
    truth = transformed(mesh, SEEN_FROM @ world_from_mesh)
    return surface_distance(transformed(estimate.mesh, estimate.camera_from_object), truth) / diameter(truth)


def assert_sound(estimate: ObjectEstimate) -> None:
    """What holds of every answer, whatever the question."""
    assert np.abs(estimate.mesh.vertices).max() <= 0.5
    assert estimate.mesh.is_watertight()
    assert estimate.mesh.volume() > 0
    assert estimate.camera_from_object.is_uniform
    assert np.linalg.eigvalsh(estimate.covariance).min() > 0
    if estimate.verdict.state is VerdictState.REJECTED:
        assert estimate.verdict.reasons


SOLIDS = {
    "box": (box(0.16, 0.10, 0.12), 30.0, 0.80),
    "flat box": (box(0.20, 0.14, 0.04), -20.0, 0.75),
    "tall box": (box(0.08, 0.06, 0.22), 50.0, 0.75),
    "cylinder": (cylinder(0.05, 0.14), 0.0, 0.0),
    "sphere": (sphere(0.06), 0.0, 0.0),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_a_solid_on_a_table(name: str) -> None:
    mesh, yaw, least_iou = SOLIDS[name]
    place = placed(0.02, 0.03, yaw)
    frame, (estimate,) = reconstructed({7: (mesh, place)})
    assert_sound(estimate)
    assert estimate.instance_id == 7
    assert relative_distance(estimate, mesh, place) < 0.04
    # A round footprint has no direction; the others have.
    assert box_iou(found_box(estimate), true_box(mesh, place)) > least_iou
    assert np.allclose(np.sort(estimate.size), np.sort(true_box(mesh, place).size), atol=0.014)
    seen = Cut(frame).evidence(7).measured(500).points
    off = distances(VisibleSurface.of(estimate.mesh), estimate.camera_from_object, seen)
    assert np.median(off) < 0.001
    assert judged(frame, estimate).state is VerdictState.ACCEPTED


def test_up_is_the_normal_of_the_table() -> None:
    _, (estimate,) = reconstructed({1: (box(0.16, 0.1, 0.12), placed(0, 0, 20))})
    up = SEEN_FROM.rotate([0.0, 0.0, 1.0])
    assert estimate.camera_from_object.rotation[:, 2] @ up > np.cos(np.deg2rad(1.0))


def test_a_box_is_completed_behind_another() -> None:
    hidden, front = (
        (box(0.14, 0.14, 0.14), placed(0.03, 0.12, 15)),
        (box(0.08, 0.06, 0.09), placed(-0.03, -0.03, 0)),
    )
    _, (first, _) = reconstructed({1: hidden, 2: front})
    assert box_iou(found_box(first), true_box(*hidden)) > 0.65


def test_a_box_on_a_box_does_not_reach_the_table() -> None:
    below, above = (box(0.2, 0.16, 0.08), placed(0, 0, 10)), (box(0.1, 0.09, 0.07), placed(0, 0, 30, z=0.08))
    _, (_, upper) = reconstructed({1: below, 2: above})
    assert box_iou(found_box(upper), true_box(*above)) > 0.6


def test_an_object_in_the_air_is_not_extended_to_the_table() -> None:
    hanging = (box(0.1, 0.08, 0.06), placed(0, 0, 25, z=0.22))
    _, (estimate,) = reconstructed({1: hanging})
    assert estimate.size[2] < 0.08
    assert box_iou(found_box(estimate), true_box(*hanging)) > 0.6


def test_without_a_table_the_verdict_says_that_up_is_guessed() -> None:
    frame, (estimate,) = reconstructed({1: (box(0.16, 0.1, 0.12), placed(0, 0, 20))}, floor=False)
    assert_sound(estimate)
    verdict = judged(frame, estimate)
    assert "no_support_plane" in verdict.reasons
    assert verdict.state is VerdictState.UNCERTAIN


def test_a_frame_without_a_sensor_is_rejected_by_name() -> None:
    seen = look({1: (box(0.16, 0.1, 0.12), placed(0, 0))}, SEEN_FROM)
    frame = seen.without_points()
    (estimate,) = RECONSTRUCTOR.reconstruct(cut(frame))
    assert_sound(estimate)
    assert estimate.verdict.state is VerdictState.REJECTED
    assert "no_points" in estimate.verdict.reasons
    assert judged(frame, estimate).state is VerdictState.REJECTED


def test_few_points_still_give_the_place() -> None:
    mesh, place = box(0.16, 0.1, 0.12), placed(0.02, 0, 30)
    seen = look({1: (mesh, place)}, SEEN_FROM)
    rng = np.random.default_rng(3)
    points = seen.points.copy()
    inside = np.argwhere(seen.labels == 1)
    dropped = inside[rng.permutation(len(inside))[20:]]
    points[dropped[:, 0], dropped[:, 1]] = np.nan
    frame = replace(seen, point_map=PointMap(points), points_source=PointsSource.LIDAR)
    (estimate,) = RECONSTRUCTOR.reconstruct(cut(frame))
    assert_sound(estimate)
    assert np.linalg.norm(estimate.center - true_box(mesh, place).center) < 0.04


def test_what_bled_into_the_mask_is_not_part_of_the_object() -> None:
    mesh, place = box(0.1, 0.1, 0.12), placed(0, 0, 40)
    seen = look({1: (mesh, place)}, SEEN_FROM)
    labels, points = seen.labels.copy(), seen.points.copy()
    rows, columns = np.nonzero(labels == 1)
    top = slice(rows.min() - 8, rows.min()), slice(columns.min(), columns.max())
    labels[top] = 1
    points[top] = seen.camera.rays()[top] * 2.5
    frame = replace(seen, labels=labels, point_map=PointMap(points))
    (estimate,) = RECONSTRUCTOR.reconstruct(cut(frame))
    assert estimate.size.max() < 0.2


def test_distorted_lenses_change_nothing() -> None:
    lens = replace(CAMERA, distortion_model="plumb_bob", distortion=(-0.25, 0.08, 0.001, -0.001, 0.0))
    mesh, place = box(0.16, 0.1, 0.12), placed(0.1, 0.05, 30)
    _, (estimate,) = reconstructed({1: (mesh, place)}, camera=lens)
    assert box_iou(found_box(estimate), true_box(mesh, place)) > 0.75


def test_colors_come_from_the_image() -> None:
    mesh, place = box(0.16, 0.1, 0.12), placed(0, 0, 30)
    seen = look({1: (mesh, place)}, SEEN_FROM)
    rgb = np.full_like(seen.rgb, 20)
    rgb[seen.labels == 1] = (200, 40, 90)
    (estimate,) = RECONSTRUCTOR.reconstruct(cut(replace(seen, rgb=rgb)))
    # A few vertices on the outline mix with the background.
    assert np.mean((estimate.mesh.colors == (200, 40, 90)).all(axis=1)) > 0.9


def test_the_triangle_budget_is_kept() -> None:
    frame = look({1: (cylinder(0.05, 0.14), placed(0, 0))}, SEEN_FROM)
    (estimate,) = GeometricReconstructor(GeometricConfig(max_triangles=1500)).reconstruct(cut(frame))
    assert len(estimate.mesh.triangles) <= 1500
    assert_sound(estimate)


def test_the_answer_does_not_depend_on_its_neighbours_or_the_order() -> None:
    things = {3: (box(0.1, 0.08, 0.12), placed(-0.15, 0, 20)), 5: (cylinder(0.04, 0.1), placed(0.15, 0))}
    frame = look(things, SEEN_FROM)
    forward = RECONSTRUCTOR.reconstruct(cut(frame, [3, 5]))
    backward = RECONSTRUCTOR.reconstruct(cut(frame, [5, 3]))
    assert [e.instance_id for e in forward] == [3, 5] and [e.instance_id for e in backward] == [5, 3]
    for a, b in zip(forward, reversed(backward), strict=True):
        assert np.array_equal(a.mesh.vertices, b.mesh.vertices)


def test_an_unknown_instance_is_refused() -> None:
    frame = look({1: (sphere(0.05), placed(0, 0))}, SEEN_FROM)
    with pytest.raises(ValueError, match="no pixel"):
        RECONSTRUCTOR.reconstruct(cut(frame, [2]))


def test_progress_grows_to_one() -> None:
    frame = look({1: (sphere(0.05), placed(0, 0))}, SEEN_FROM)
    shares: list[float] = []
    RECONSTRUCTOR.reconstruct(cut(frame), progress=lambda stage, share: shares.append(share))
    assert shares == sorted(shares) and shares[-1] == 1.0


TINY = Camera(48, 36, 40.0, 40.0, 23.5, 17.5)
SMALL = GeometricReconstructor(GeometricConfig(resolution=16))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1), known=st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0]), blobs=st.integers(1, 4)
)
def test_every_mask_is_answered(seed: int, known: float, blobs: int) -> None:
    """Masks of noise, lines and blocks over depth of noise, planes and holes: an answer, never an exception."""
    rng = np.random.default_rng(seed)
    size = (TINY.height, TINY.width)
    labels = np.zeros(size, np.uint16)
    for instance in range(1, blobs + 1):
        top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
        height, width = rng.integers(1, 30, 2)
        part = (slice(top, top + height), slice(left, left + width))
        labels[part] = np.where(
            rng.random(labels[part].shape) < rng.choice([0.05, 0.5, 1.0]), instance, labels[part]
        )
    depth = rng.choice([0.3, 1.0, 40.0]) * (1 + rng.choice([0.0, 1e-4, 0.3]) * rng.standard_normal(size))
    depth = np.where(rng.random(size) < known, np.abs(depth) + 1e-3, np.nan)
    points = (TINY.rays() * depth[..., None]).astype(np.float32)
    source = rng.choice([PointsSource.DEPTH, PointsSource.LIDAR])
    rgb = rng.integers(0, 256, (*size, 3), np.uint8)
    frame = Frame(0, "camera", rgb, labels, PointMap(points), source, TINY)
    ids = frame.instance_ids()
    answers = SMALL.reconstruct(cut(frame, ids))
    assert [answer.instance_id for answer in answers] == ids
    for answer in answers:
        assert_sound(answer)
        judged(frame, answer)
