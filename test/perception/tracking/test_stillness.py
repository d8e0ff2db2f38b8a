"""A judgement holds while nothing changes, and no longer: whatever moves, comes or goes is judged again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tracking_world import CAMERA, Thing, TrueReconstructor, World, box, serve

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.pipeline import ObjectPipeline, PipelineConfig
from sam3d_ros.perception.range_noise import DEPTH_NOISE, RangeSensor
from sam3d_ros.perception.tracking import following
from sam3d_ros.perception.tracking.stillness import Glance

DISTANCE = 1.0
NOISE = DEPTH_NOISE[RangeSensor.STRUCTURED_LIGHT].at(DISTANCE)
#: As `FollowingConfig` has them.
TOLERANCE = {"overlap": 0.02, "residual": 0.3}
#: What a pixel spans at the object, metres.
PIXEL = DISTANCE / CAMERA.fx


def thing() -> Thing:
    return box(1, 0.0, 0.0, DISTANCE, size=0.3)


def seen(world: World, seconds: float, what: Thing, **options: Similarity | PointsSource | None) -> Evidence:
    (evidence,) = cut(world.frame(seconds, [what], **options))
    return evidence


def test_another_noise_on_the_same_view_is_the_same() -> None:
    world = World(noise=NOISE)
    glance = Glance.at(seen(world, 0.0, thing()))
    alike = [glance.is_like(seen(world, 0.1 * i, thing()), **TOLERANCE) for i in range(30)]
    # Of a normal noise, a median beyond 0.3 standard deviations is rare on so many pixels.
    assert np.mean(alike) > 0.9


@given(
    st.floats(0.0, 2.0 * np.pi),
    st.sampled_from([4.0 * PIXEL, 10.0 * PIXEL, 40.0 * PIXEL]),
)
@settings(max_examples=8)
def test_what_moved_across_the_view_is_not_the_same(direction: float, shift: float) -> None:
    world = World(noise=NOISE)
    glance = Glance.at(seen(world, 0.0, thing()))
    moved = thing().moved(shift * np.cos(direction), shift * np.sin(direction), 0.0)
    assert not glance.is_like(seen(world, 0.1, moved), **TOLERANCE)


@given(st.sampled_from([-1.0, 1.0]), st.floats(2.0, 50.0))
@settings(max_examples=8)
def test_what_moved_along_the_view_is_not_the_same(sign: float, deviations: float) -> None:
    world = World(noise=NOISE)
    glance = Glance.at(seen(world, 0.0, thing()))
    moved = thing().moved(0.0, 0.0, sign * deviations * NOISE)
    assert not glance.is_like(seen(world, 0.1, moved), **TOLERANCE)


def test_what_turned_is_not_the_same() -> None:
    world = World(noise=NOISE)
    glance, before = Glance.at(seen(world, 0.0, thing())), thing().fixed_from_object
    for degrees in (8.0, 20.0, 90.0):
        turn = Rotation.from_euler("y", degrees, degrees=True).as_matrix()
        turned = replace(
            thing(), fixed_from_object=Similarity(turn @ before.rotation, before.translation, before.scale)
        )
        assert not glance.is_like(seen(world, 0.1, turned), **TOLERANCE)


def test_what_is_covered_in_part_is_not_the_same() -> None:
    world = World(noise=NOISE)
    glance = Glance.at(seen(world, 0.0, thing()))
    hand = box(2, 0.1, 0.0, 0.8 * DISTANCE, size=0.1)
    evidence = cut(world.frame(0.1, [thing(), hand]), [1])[0]
    assert not glance.is_like(evidence, **TOLERANCE)


def test_a_camera_that_moved_sees_nothing_the_same() -> None:
    world = World(noise=NOISE)
    stand = Similarity(translation=np.array([0.2, 0.0, 0.0]))
    glance = Glance.at(seen(world, 0.0, thing(), fixed_from_camera=stand))
    assert glance.is_like(seen(world, 0.1, thing(), fixed_from_camera=stand), **TOLERANCE)
    # The labels and depth of the very same view, said to be from elsewhere.
    evidence = seen(world, 0.2, thing(), fixed_from_camera=stand)
    for elsewhere in (
        Similarity(translation=np.array([0.2, 0.01, 0.0])),
        Similarity(Rotation.from_euler("z", 0.01).as_matrix(), np.array([0.2, 0.0, 0.0])),
        None,
    ):
        overview = replace(evidence.overview, fixed_from_camera=elsewhere)
        assert not glance.is_like(replace(evidence, overview=overview), **TOLERANCE)


def test_without_a_sensor_the_mask_alone_tells() -> None:
    world = World()
    glance = Glance.at(seen(world, 0.0, thing(), source=PointsSource.NONE))
    assert glance.is_like(seen(world, 0.1, thing(), source=PointsSource.NONE), **TOLERANCE)
    moved = thing().moved(6.0 * PIXEL, 0.0, 0.0)
    assert not glance.is_like(seen(world, 0.1, moved, source=PointsSource.NONE), **TOLERANCE)


def test_a_sensor_that_goes_or_comes_shows_nothing_the_same() -> None:
    world = World(noise=NOISE)
    measured = seen(world, 0.0, thing())
    blind = seen(world, 0.1, thing(), source=PointsSource.NONE)
    assert not Glance.at(measured).is_like(blind, **TOLERANCE)
    assert not Glance.at(blind).is_like(measured, **TOLERANCE)


def test_depth_that_vanishes_or_is_too_sparse_is_not_the_same() -> None:
    world = World(noise=NOISE)
    evidence = seen(world, 0.0, thing())
    glance = Glance.at(evidence)
    gone = evidence.points.copy()
    gone[:, : gone.shape[1] // 2] = np.nan
    assert not glance.is_like(replace(evidence, point_map=PointMap(gone)), **TOLERANCE)
    sparse = np.full_like(evidence.points, np.nan)
    sparse[::16, ::16] = evidence.points[::16, ::16]
    few = replace(evidence, point_map=PointMap(sparse))
    assert not Glance.at(few).is_like(few, **TOLERANCE)


def test_a_glance_holds_no_frame() -> None:
    evidence = seen(World(), 0.0, thing())
    glance = Glance.at(evidence)
    assert not np.shares_memory(glance.depth, evidence.points)
    assert not np.shares_memory(glance.own, evidence.labels)


def pipeline_of(world: World, interval: float) -> ObjectPipeline:
    config = PipelineConfig(following=following.FollowingConfig(judge_interval=interval))
    return ObjectPipeline(TrueReconstructor(world), config)


def observed(pipeline: ObjectPipeline, frame: Frame) -> Similarity:
    (tracked,) = serve(pipeline, frame).objects
    return tracked.fixed_from_object


def test_at_rest_an_object_is_judged_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    judge = following.judge
    monkeypatch.setattr(
        following, "judge", lambda evidence, *rest: judged.append(evidence.stamp) or judge(evidence, *rest)
    )
    world = World(noise=NOISE)
    pipeline = pipeline_of(world, 0.5)
    frames = [world.frame(index / 15.0, [thing()]) for index in range(31)]
    for frame in frames:
        observed(pipeline, frame)
    # Two seconds hold four intervals; noise makes some frames look anew.
    assert 4 <= len(set(judged)) <= 12
    judged.clear()
    pipeline = pipeline_of(world, 0.0)
    for frame in frames[:10]:
        observed(pipeline, frame)
    assert set(judged) >= {frame.stamp for frame in frames[1:10]}


@pytest.mark.parametrize("speed", [0.003, 0.05])
def test_slow_motion_is_followed_as_if_every_frame_were_judged(speed: float) -> None:
    world = World(noise=NOISE)
    quick, thorough = pipeline_of(world, 0.5), pipeline_of(world, 0.0)
    gaps = []
    for index in range(24):
        seconds = index / 12.0
        frame = world.frame(seconds, [thing().moved(speed * seconds, 0.0, 0.0)])
        at = [observed(pipeline, frame).translation for pipeline in (quick, thorough)]
        gaps.append(np.linalg.norm(at[0] - at[1]))
    # Within what a resting object may hide anyhow: about a pixel.
    assert max(gaps) < 2.0 * PIXEL
