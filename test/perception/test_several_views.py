"""Several views of one thing: what they tell together, which ones are remembered, and when they are forgotten."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from simulated_views import assert_same_estimate
from standing_solids import box, camera_above, exact_estimate, look, placed

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.geometry.surfaces import surface_distance, transformed
from sam3d_ros.perception.evidence import Cut, Evidence, PosedView
from sam3d_ros.perception.fitting.coverage import coverage
from sam3d_ros.perception.fitting.refinement import RefinementConfig, refine
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.geometric.reconstructor import GeometricReconstructor
from sam3d_ros.perception.judging.appraisal import appraised, judged
from sam3d_ros.perception.judging.verdict import VerdictThresholds, judge
from sam3d_ros.perception.pipeline import ObjectPipeline, Observation, PipelineConfig
from sam3d_ros.perception.tracking.instances import InstanceView, view_instances
from sam3d_ros.perception.tracking.keyframes import (
    Keyframe,
    KeyframeConfig,
    others_of,
    remembered,
    still_hold,
)
from sam3d_ros.perception.tracking.versions import ReconstructionReason

SIZE = (0.16, 0.10, 0.12)
BRICK = box(*SIZE)
SECOND = 1_000_000_000


def camera_at(azimuth: float, elevation: float = 35.0, distance: float = 0.8) -> Similarity:
    """`camera_from_world` from a direction around the origin, degrees."""
    return camera_above(distance, elevation) @ placed(0.0, 0.0, -azimuth)


def seen(
    azimuth: float, place: Similarity | None = None, *, stamp: int = 0, elevation: float = 35.0
) -> Frame:
    """A frame of the brick, with the pose of its camera in the world."""
    camera_from_world = camera_at(azimuth, elevation)
    frame = look({1: (BRICK, place or placed(0.0, 0.0))}, camera_from_world)
    return replace(frame, stamp=stamp, fixed_from_camera=camera_from_world.inverse())


def evidence_from(azimuths: tuple[float, ...]) -> Evidence:
    """The evidence of the first direction, with the others."""
    first, *others = (Cut(seen(azimuth, stamp=index)).evidence(1) for index, azimuth in enumerate(azimuths))
    camera_from_world = first.overview.camera_from_fixed
    views = []
    for other in others:
        assert other.overview.fixed_from_camera is not None
        views.append(PosedView(other, camera_from_world @ other.overview.fixed_from_camera))
    return replace(first, others=tuple(views))


def truth_in(evidence: Evidence) -> Mesh:
    """The brick where that view sees it."""
    return transformed(BRICK, evidence.overview.camera_from_fixed)


def made_of(evidence: Evidence) -> tuple[Mesh, np.ndarray]:
    """The posed mesh of the geometric reconstructor, and its sorted extents."""
    (answer,) = GeometricReconstructor().reconstruct([evidence])
    return transformed(answer.mesh, answer.camera_from_object), np.sort(answer.size)


def test_views_from_all_sides_measure_all_sides() -> None:
    """A box from four corners: each face but the one that it stands on is measured, and its extents are true."""
    evidence = evidence_from((30.0, 120.0, 210.0, 300.0))
    (answer,) = GeometricReconstructor().reconstruct([evidence])
    found = appraised(evidence, answer, metric=True)
    np.testing.assert_allclose(np.sort(found.size), np.sort(SIZE), rtol=0.03)
    assert found.verdict.reasons == ()
    standing = SIZE[0] * SIZE[1]
    whole = 2.0 * (SIZE[0] * SIZE[1] + SIZE[1] * SIZE[2] + SIZE[2] * SIZE[0])
    assert found.verdict.seen_share == pytest.approx(1.0 - standing / whole, abs=0.05)


def test_more_views_are_nearer_to_the_truth() -> None:
    truth = truth_in(evidence_from((30.0,)))
    errors = [
        surface_distance(made_of(evidence_from(azimuths))[0], truth)
        for azimuths in ((30.0,), (30.0, 210.0), (30.0, 120.0, 210.0, 300.0))
    ]
    assert errors[1] <= errors[0] + 5e-4
    assert errors[2] < 0.02 * np.linalg.norm(SIZE)


def test_the_order_of_the_others_means_nothing() -> None:
    """The union and the intersection of what views say have no order; the sums of the means have but rounding."""
    evidence = evidence_from((20.0, 110.0, 200.0, 290.0))
    reference, extents = made_of(evidence)
    for order in list(permutations(evidence.others))[1::2]:
        mesh, again = made_of(replace(evidence, others=order))
        assert surface_distance(mesh, reference) < 1e-3
        np.testing.assert_allclose(again, extents, atol=1e-3)


def test_one_view_alone_is_what_it_was() -> None:
    """Evidence without others, and a pipeline that remembers nothing, answer alike to the last bit."""
    frames = [seen(azimuth, stamp=index * SECOND) for index, azimuth in enumerate((0.0, 60.0))]
    answers = []
    for count in (6, 0):
        pipeline = ObjectPipeline(
            GeometricReconstructor(), PipelineConfig(keyframes=KeyframeConfig(count=count))
        )
        observation = pipeline.observe(frames[0])
        answers.append(pipeline.reconstruct([observation.evidence[1]])[0])
    assert_same_estimate(*answers)


def test_refinement_fits_all_views() -> None:
    """What one view looks along another one looks across: a pose is known better than by the first view alone."""
    evidence = evidence_from((0.0, 90.0))
    truth = exact_estimate(1, BRICK, evidence.overview.camera_from_fixed)
    pose = truth.camera_from_object
    shifted = replace(
        truth,
        camera_from_object=Similarity(
            pose.rotation, pose.translation + np.array([0.006, -0.004, 0.008]), pose.scale
        ),
    )
    found = refine(evidence, shifted, metric=True)
    np.testing.assert_allclose(found.camera_from_object.translation, pose.translation, atol=5e-4)
    alone = refine(replace(evidence, others=()), shifted, metric=True)
    assert np.trace(found.covariance[:3, :3]) <= np.trace(alone.covariance[:3, :3]) * 1.05


def test_refinement_finds_the_scale_from_both_sides() -> None:
    evidence = evidence_from((0.0, 180.0, 90.0))
    truth = exact_estimate(1, BRICK, evidence.overview.camera_from_fixed)
    pose = truth.camera_from_object
    larger = replace(truth, camera_from_object=Similarity(pose.rotation, pose.translation, 1.08 * pose.scale))
    found = refine(evidence, larger, RefinementConfig(iterations=20), metric=False)
    np.testing.assert_allclose(found.camera_from_object.scale, pose.scale, rtol=0.01)


def test_each_view_adds_to_what_was_measured() -> None:
    whole = evidence_from((30.0, 210.0))
    truth = exact_estimate(1, BRICK, whole.overview.camera_from_fixed)
    alone = coverage(replace(whole, others=()), truth)
    both = coverage(whole, truth)
    assert (both.measured | ~alone.measured).all()
    assert both.seen_share > 1.4 * alone.seen_share
    assert (np.array(both.size_sigma) <= np.array(alone.size_sigma) + 1e-9).all()


def test_another_view_may_speak_against_a_mesh() -> None:
    """From the front a box that is half as deep looks right; from the side it does not."""
    evidence = evidence_from((0.0, 90.0))
    flat = box(SIZE[0], SIZE[1] / 2.0, SIZE[2])
    place = placed(0.0, -SIZE[1] / 4.0)
    estimate = exact_estimate(1, flat, evidence.overview.camera_from_fixed @ place)
    thresholds = VerdictThresholds()
    together, alone = judged(evidence, estimate, thresholds), judge(evidence, estimate, thresholds)
    assert not set(alone.reasons) - set(together.reasons)
    assert together.state.value >= alone.state.value
    truth = exact_estimate(1, BRICK, evidence.overview.camera_from_fixed)
    assert judged(evidence, truth, thresholds).reasons == judge(evidence, truth, thresholds).reasons
    assert "low_mask_iou" in together.reasons


# What is remembered


def view_of(frame: Frame) -> tuple[Evidence, InstanceView]:
    """The brick as evidence, and as tracking sees it."""
    cut = Cut(frame)
    (view,) = view_instances(cut).views
    return cut.evidence(1), view


@settings(max_examples=8, deadline=None)
@given(
    azimuths=st.lists(st.floats(0.0, 360.0), min_size=1, max_size=5),
    count=st.integers(0, 5),
    angle=st.floats(5.0, 90.0),
)
def test_views_are_few_and_from_different_directions(azimuths: list[float], count: int, angle: float) -> None:
    config = KeyframeConfig(count=count, angle=angle, least_quality=0.0)
    keyframes: tuple[Keyframe, ...] = ()
    for index, azimuth in enumerate(azimuths):
        evidence, view = view_of(seen(azimuth, stamp=index * SECOND))
        keyframes = remembered(keyframes, evidence, view, config)
        assert len(keyframes) <= count
        directions = [keyframe.direction for keyframe in keyframes]
        for i, one in enumerate(directions):
            assert all(one @ other < np.cos(np.deg2rad(angle)) + 1e-9 for other in directions[:i])
        # What is seen of a thing at rest never contradicts what was.
        assert not keyframes or still_hold(keyframes, evidence, view.extent, config)
        assert all(other.evidence.stamp != evidence.stamp for other in others_of(keyframes, evidence))
        # Nothing holds the images.
        assert all(keyframe.evidence.overview.frame is None for keyframe in keyframes)
    assert bool(keyframes) is (count > 0)


@settings(max_examples=8, deadline=None)
@given(
    azimuth=st.floats(0.0, 360.0),
    turned=st.floats(0.0, 90.0),
    heading=st.floats(0.0, 360.0),
    far=st.floats(0.04, 0.12),
)
def test_what_has_moved_is_forgotten(azimuth: float, turned: float, heading: float, far: float) -> None:
    """From any side, wherever it went: what is left is the view of now."""
    config = KeyframeConfig()
    keyframes: tuple[Keyframe, ...] = ()
    for index, before in enumerate((azimuth - 40.0, azimuth + 40.0)):
        keyframes = remembered(keyframes, *view_of(seen(before, stamp=index * SECOND)), config)
    aside = Rotation.from_euler("z", heading, degrees=True).apply((far, 0.0, 0.0))
    frame = seen(azimuth + turned - 45.0, placed(aside[0], aside[1]), stamp=5 * SECOND)
    evidence, view = view_of(frame)
    assert not still_hold(keyframes, evidence, view.extent, config)
    after = remembered(keyframes, evidence, view, config, doubtful=True)
    assert [keyframe.evidence.stamp for keyframe in after] == [5 * SECOND]


def test_without_a_fixed_frame_nothing_is_remembered() -> None:
    evidence, view = view_of(replace(seen(0.0), fixed_from_camera=None))
    assert remembered((), evidence, view, KeyframeConfig()) == ()
    evidence, view = view_of(replace(seen(0.0), is_metric=False))
    assert remembered((), evidence, view, KeyframeConfig()) == ()


# The pipeline


def gone_around(pipeline: ObjectPipeline, azimuths: np.ndarray, *, first: int = 0) -> list[Observation]:
    """Observe the brick from each direction, a second apart; what is asked for is made at once."""
    found = []
    for index, azimuth in enumerate(azimuths.tolist()):
        frame = seen(azimuth, stamp=(first + index) * SECOND)
        observation = pipeline.observe(frame)
        for request in observation.requests:
            pipeline.integrate([request.evidence], pipeline.reconstruct([request.evidence]))
        found.append(observation)
    return found


def test_a_mesh_grows_as_the_camera_goes_around() -> None:
    pipeline = ObjectPipeline(GeometricReconstructor())
    found = gone_around(pipeline, np.arange(0.0, 360.0, 20.0))
    reasons = [request.reason for observation in found for request in observation.requests]
    assert reasons[0] is ReconstructionReason.NEW and ReconstructionReason.MORE_VIEWS in reasons
    (thing,) = pipeline.observe(seen(0.0, stamp=18 * SECOND)).objects
    first = found[1].objects[0]
    assert thing.estimate.verdict.seen_share > 1.3 * first.estimate.verdict.seen_share
    np.testing.assert_allclose(np.sort(thing.estimate.size), np.sort(SIZE), rtol=0.04)
    # A mesh that knows all that can be seen is left alone.
    again = gone_around(pipeline, np.arange(0.0, 360.0, 60.0), first=19)
    assert all(
        request.reason is not ReconstructionReason.MORE_VIEWS for o in again[3:] for request in o.requests
    )
