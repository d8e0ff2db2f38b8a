"""The pipeline on moving, hiding, returning objects: meshes once, poses always, nothing lost between two threads."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from tracking_world import (
    SECOND,
    THREE_APART,
    Thing,
    TrueReconstructor,
    World,
    box,
    offset_between,
    serve,
    turn_between,
    wedge,
)

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.estimates import ScaleSource, VerdictState
from sam3d_ros.perception.evidence import Evidence, cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.judging.determination import HIDDEN_SIDE_UNKNOWN
from sam3d_ros.perception.judging.verdict import NOT_MEASURED
from sam3d_ros.perception.pipeline import STAGES, ObjectPipeline, PipelineConfig
from sam3d_ros.perception.tracking.tracker import TrackerConfig
from sam3d_ros.perception.tracking.tracks import NOT_SEEN, TrackedObject
from sam3d_ros.perception.tracking.versions import ReconstructionReason, VersionConfig
from sam3d_ros.reconstruction.reconstructors import make_reconstructor
from sam3d_ros.simulation.frames import frame_from_depth
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.sensors import DepthSensor
from sam3d_ros.simulation.trajectories import arc


def test_every_object_is_reconstructed_once_and_followed_exactly() -> None:
    world = World(noise=0.001)
    reconstructor = TrueReconstructor(world)
    pipeline = ObjectPipeline(reconstructor)
    first = pipeline.observe(world.frame(0.0, THREE_APART))
    assert first.created == (1, 2, 3)
    assert first.objects == ()
    assert {request.reason for request in first.requests} == {ReconstructionReason.NEW}
    for request in first.requests:
        assert request.evidence is first.evidence[request.track_id]
    for step in range(1, 13):
        # All move and turn at different speeds, and are renumbered in every frame.
        numbers = np.random.default_rng(step).permutation([11, 12, 13])
        things = []
        for speed, (thing, number) in enumerate(zip(THREE_APART, numbers, strict=True)):
            pose = thing.fixed_from_object
            turn = Rotation.from_rotvec([0.0, 0.03 * speed * step, 0.01 * step]).as_matrix()
            shift = np.array([0.004 * speed, 0.002, -0.003 * speed]) * step
            moved = Similarity(turn @ pose.rotation, pose.translation + shift, pose.scale)
            things.append(replace(thing, instance_id=int(number), fixed_from_object=moved))
        seen = serve(pipeline, world.frame(0.1 * step, things))
        assert [thing.track_id for thing in seen.objects] == [1, 2, 3] if step > 1 else True
        for tracked in seen.objects:
            truth = next(thing for thing in things if thing.label == tracked.estimate.label)
            assert tracked.estimate.instance_id == truth.instance_id
            assert tracked.mesh_version == 1
            assert offset_between(tracked.fixed_from_object, truth.fixed_from_object) < 0.004
            assert turn_between(tracked.fixed_from_object, truth.fixed_from_object) < 4.0
            assert tracked.estimate.verdict.state is VerdictState.ACCEPTED
    assert len(reconstructor.calls) == 1
    assert sorted(reconstructor.calls[0]) == [11, 12, 13]


def test_a_resting_object_does_not_tremble() -> None:
    world = World(noise=0.002)
    pipeline = ObjectPipeline(TrueReconstructor(world))
    serve(pipeline, world.frame(0.0, THREE_APART))
    poses = [
        [
            thing.fixed_from_object.matrix()
            for thing in pipeline.observe(world.frame(0.1 * step, THREE_APART)).objects
        ]
        for step in range(1, 11)
    ]
    assert np.ptp(np.array(poses)[2:], axis=0).max() == 0.0


@pytest.mark.parametrize("velocity", [(0.0005, 0.0, 0.0), (0.0, 0.0, 0.0005)])
def test_an_object_that_creeps_is_not_taken_for_resting(velocity: tuple[float, float, float]) -> None:
    """Half a millimetre a frame, a quarter of the sensor's noise: the pose never lags by more than the noise allows."""
    world = World(noise=0.002)
    pipeline = ObjectPipeline(TrueReconstructor(world))
    for step in range(30):
        thing = THREE_APART[1].moved(*(step * np.array(velocity)))
        (found,) = serve(pipeline, world.frame(0.07 * step, [thing])).objects
        assert offset_between(found.fixed_from_object, thing.fixed_from_object) < 0.005


def test_an_imprecise_camera_pose_does_not_accumulate() -> None:
    """The fixed frame's pose errs by 2 mm and a quarter degree at random in every frame."""
    world = World(noise=0.001)
    random = np.random.default_rng(2)
    pipeline = ObjectPipeline(TrueReconstructor(world))
    for step in range(12):
        seen = world.frame(0.1 * step, THREE_APART)
        turn = Rotation.from_rotvec(np.radians(0.25) * random.normal(size=3)).as_matrix()
        error = Similarity(turn, 0.002 * random.normal(size=3))
        for found in serve(pipeline, _with_pose(world, seen, error)).objects:
            truth = THREE_APART[found.estimate.instance_id - 1].fixed_from_object
            assert offset_between(found.fixed_from_object, truth) < 0.03
            assert found.estimate.verdict.state is VerdictState.ACCEPTED
            in_camera = found.estimate.camera_from_object
            assert offset_between(in_camera, truth) < 0.006


def _with_pose(world: World, frame: Frame, fixed_from_camera: Similarity) -> Frame:
    """The frame with another pose of its camera than the true one, which is the identity."""
    told = replace(frame, fixed_from_camera=fixed_from_camera)
    # What the true reconstructor answers is in the camera, which did not move.
    things = {
        number: replace(thing, fixed_from_object=fixed_from_camera @ thing.fixed_from_object)
        for number, thing in world.things(frame).items()
    }
    world.remember(told, things)
    return told


def test_resting_objects_stay_in_the_fixed_frame_while_the_camera_swings() -> None:
    """Objects of a simulated table, meshed by `geometric` from one view, seen from an arc of 40 degrees."""
    random = np.random.default_rng(0)
    scene = random_scene(3, 4)
    world = World()
    camera = world.camera
    pipeline = ObjectPipeline(
        make_reconstructor("geometric"), PipelineConfig(versions=VersionConfig(improvement=1e6))
    )
    path: dict[tuple[int, int], list[np.ndarray]] = {}
    for step, pose in enumerate(arc(12, start=np.radians(-20), end=np.radians(20))):
        rendering = render(scene, camera, pose)
        depth = DepthSensor().measure(rendering, random)
        seen = serve(pipeline, frame_from_depth(scene, rendering, depth, stamp=step * SECOND // 10))
        assert step == 0 or seen.created == ()
        assert len(seen.objects) == 4
        for thing in seen.objects:
            # One view does not tell how deep some of them are, which moves nothing.
            if set(thing.estimate.verdict.reasons) <= {HIDDEN_SIDE_UNKNOWN}:
                center = thing.fixed_from_object.apply(thing.estimate.mesh.bounds.mean(axis=0))
                path.setdefault((thing.track_id, thing.mesh_version), []).append(center)
    steady = [np.array(centers) for centers in path.values() if len(centers) >= 6]
    assert len(steady) >= 3
    for centers in steady:
        assert np.linalg.norm(centers - np.median(centers, axis=0), axis=1).max() < 0.004


def test_what_is_not_seen_says_so_and_keeps_its_place_in_the_world() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world), PipelineConfig(TrackerConfig(lost_timeout=1.0)))
    here = Similarity()
    before = serve(pipeline, world.frame(0.0, THREE_APART, fixed_from_camera=here))
    there = Similarity(translation=np.array([0.02, 0.0, 0.0]))
    after = pipeline.observe(world.frame(0.5, THREE_APART[:2], fixed_from_camera=there))
    gone = after.objects[2]
    assert not gone.is_seen
    assert gone.estimate.instance_id == 0
    assert gone.last_seen == 0
    assert gone.estimate.verdict.state is VerdictState.UNCERTAIN
    assert gone.estimate.verdict.reasons == (NOT_SEEN,)
    np.testing.assert_allclose(
        gone.fixed_from_object.matrix(), before.objects[2].fixed_from_object.matrix(), atol=1e-12
    )
    expected = gone.fixed_from_object.translation - there.translation
    np.testing.assert_allclose(gone.estimate.camera_from_object.translation, expected, atol=1e-12)
    assert 3 not in after.evidence
    later = pipeline.observe(world.frame(1.2, THREE_APART[:2], fixed_from_camera=there))
    assert later.deleted == (3,)
    assert [thing.track_id for thing in later.objects] == [1, 2]
    assert pipeline.observe(world.frame(1.3, THREE_APART[:2], fixed_from_camera=there)).deleted == ()


def test_what_is_not_seen_is_known_ever_less() -> None:
    """As fast as things may move that nobody watches; once it is seen again it is known as before."""
    world = World()
    config = TrackerConfig(unseen_speed=0.03, unseen_turn=0.2)
    pipeline = ObjectPipeline(TrueReconstructor(world), PipelineConfig(tracker=config))
    (seen,) = serve(pipeline, world.frame(0.0, THREE_APART[:1])).objects
    for seconds in (0.5, 1.0, 2.5):
        (lost,) = pipeline.observe(world.frame(seconds, [])).objects
        grown = np.diag(lost.estimate.covariance - seen.estimate.covariance)
        np.testing.assert_allclose(grown, np.repeat([0.03, 0.2], 3) ** 2 * seconds**2, rtol=1e-6)
    (again,) = pipeline.observe(world.frame(2.6, THREE_APART[:1])).objects
    assert np.trace(again.estimate.covariance) < 1.5 * np.trace(seen.estimate.covariance)


def test_an_answer_from_an_old_frame_is_carried_to_the_present() -> None:
    """The worker needs a second, in which the object moves by 12 cm."""
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    thing = box(1, -0.06, 0.0, 0.7)
    old = world.frame(0.0, [thing])
    (request,) = pipeline.observe(old).requests
    for step in range(1, 11):
        moved = thing.moved(0.012 * step, 0.0, 0.0).numbered(step + 1)
        seen = pipeline.observe(world.frame(0.1 * step, [moved])).evidence
        assert {track_id: piece.instance_id for track_id, piece in seen.items()} == {1: step + 1}
    assert pipeline.integrate([request.evidence], pipeline.reconstruct([request.evidence])) == (1,)
    moved = thing.moved(0.132, 0.0, 0.0)
    (found,) = pipeline.observe(world.frame(1.1, [moved])).objects
    assert offset_between(found.fixed_from_object, moved.fixed_from_object) < 0.003
    assert found.estimate.verdict.state is VerdictState.ACCEPTED
    assert (found.mesh_stamp, found.last_seen) == (old.stamp, round(1.1 * SECOND))


def test_a_pose_that_was_lost_is_found_again_from_the_points() -> None:
    """The object jumps by its own size between two frames: too far for the refinement alone."""
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    thing = box(1, -0.05, 0.0, 0.7)
    serve(pipeline, world.frame(0.0, [thing]))
    moved = thing.moved(0.1, 0.02, 0.03)
    (found,) = pipeline.observe(world.frame(0.1, [moved])).objects
    assert found.track_id == 1
    assert offset_between(found.fixed_from_object, moved.fixed_from_object) < 0.004
    assert turn_between(found.fixed_from_object, moved.fixed_from_object) < 5.0


def test_answers_of_ended_tracks_and_unknown_frames_are_dropped() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world), PipelineConfig(TrackerConfig(lost_timeout=0.5)))
    frame = world.frame(0.0, THREE_APART)
    seen = pipeline.observe(frame).evidence
    evidence = [seen[1], seen[2], seen[3]]
    answers = pipeline.reconstruct(evidence)
    for seconds in (0.4, 0.8):
        pipeline.observe(world.frame(seconds, THREE_APART[:1]))
    assert len(pipeline.integrate(evidence, answers)) == 1
    assert pipeline.counters["dropped"] == 2
    assert pipeline.integrate(cut(world.frame(1.1, THREE_APART)), answers) == ()
    assert pipeline.counters["dropped"] == 5
    # What was cut by somebody else is not what a track was seen in, although it shows the same.
    assert pipeline.integrate(cut(frame), answers) == ()
    assert pipeline.counters["dropped"] == 8


def test_a_clock_that_jumps_back_ends_all_tracks_and_drops_their_answers() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    frame = world.frame(9.0, THREE_APART)
    before = serve(pipeline, frame)
    again = pipeline.observe(world.frame(0.0, THREE_APART))
    assert again.cleared
    assert again.deleted == (1, 2, 3)
    assert again.created == (4, 5, 6)
    assert again.objects == ()
    evidence = [before.evidence[1]]
    assert pipeline.integrate(evidence, pipeline.reconstruct(evidence)) == ()
    assert pipeline.counters["dropped"] == 1


def test_a_frame_without_depth_says_so_and_harms_no_later_frame() -> None:
    world = World(noise=0.001)
    reconstructor = TrueReconstructor(world)
    pipeline = ObjectPipeline(reconstructor)
    for step in range(12):
        blind = step in (4, 5, 9)
        source = PointsSource.NONE if blind else PointsSource.DEPTH
        seen = serve(pipeline, world.frame(0.5 * step, THREE_APART, source=source))
        for found, truth in zip(sorted(seen.objects, key=_instance), THREE_APART, strict=True):
            verdict = found.estimate.verdict
            assert verdict.state is (VerdictState.UNCERTAIN if blind else VerdictState.ACCEPTED)
            assert verdict.reasons == ((NOT_MEASURED,) if blind else ())
            assert verdict.scale_source is ScaleSource.DEPTH, "the size was measured before"
            assert offset_between(found.fixed_from_object, truth.fixed_from_object) < 0.003
            assert found.mesh_version == 1
    assert len(reconstructor.calls) == 1


def test_what_was_never_measured_is_rejected() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    for step in range(3):
        seen = serve(pipeline, world.frame(0.1 * step, THREE_APART, source=PointsSource.NONE))
        assert [thing.estimate.verdict.state for thing in seen.objects] == [VerdictState.REJECTED] * 3
        assert all(thing.estimate.verdict.reasons == ("no_points",) for thing in seen.objects)


def test_an_object_whose_points_are_lost_goes_with_its_mask() -> None:
    """The others are measured all the time, and what is measured again is found where it is."""
    world = World(noise=0.001)
    pipeline = ObjectPipeline(TrueReconstructor(world))
    serve(pipeline, world.frame(0.0, THREE_APART))
    for step in range(1, 7):
        things = [THREE_APART[0].moved(0.01 * step, 0.0, 0.0), *THREE_APART[1:]]
        frame = world.frame(0.1 * step, things)
        blind = step < 5
        if blind:
            points = frame.points.copy()
            points[frame.mask(1)] = np.nan
            frame = replace(frame, point_map=PointMap(points))
            world.remember(frame, {thing.instance_id: thing for thing in things})
        moved, *others = sorted(serve(pipeline, frame).objects, key=_instance)
        assert {other.estimate.verdict.state for other in others} == {VerdictState.ACCEPTED}
        assert moved.estimate.verdict.state is (VerdictState.UNCERTAIN if blind else VerdictState.ACCEPTED)
        assert (moved.estimate.verdict.reasons[:1] == (NOT_MEASURED,)) == blind
        assert offset_between(moved.fixed_from_object, things[0].fixed_from_object) < 0.02
        assert moved.mesh_version == 1
    assert offset_between(moved.fixed_from_object, things[0].fixed_from_object) < 0.004


def test_after_an_hour_another_thing_in_the_same_place_is_another_object() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    for step in range(3):
        before = serve(pipeline, world.frame(0.1 * step, [box(1, 0.0, 0.0, 0.8, label="mug")]))
    assert [thing.track_id for thing in before.objects] == [1]
    frame = world.frame(3600.0, [box(1, 0.0, 0.0, 0.8, label="brick")])
    after = pipeline.observe(frame)
    assert (after.created, after.deleted, after.objects) == ((2,), (1,), ())
    (brick,) = serve(pipeline, frame).objects
    assert (brick.track_id, brick.estimate.label) == (2, "brick")


def _instance(thing: TrackedObject) -> int:
    return thing.estimate.instance_id


def test_faults_are_counted_by_frame_and_in_total() -> None:
    world = World()
    config = PipelineConfig(TrackerConfig(max_objects=2, min_mask_pixels=50))
    pipeline = ObjectPipeline(TrueReconstructor(world), config)
    frame = world.frame(0.0, [*THREE_APART, box(7, 0.0, -0.3, 1.9, size=0.02)])
    points = frame.points.copy()
    points[frame.mask(2)] = np.nan
    faults = pipeline.observe(replace(frame, point_map=PointMap(points))).faults
    assert dict(faults) == {"empty_mask": 1, "too_many_objects": 1, "no_depth_in_mask": 1}
    assert dict(pipeline.observe(world.frame(0.1, THREE_APART[:2])).faults) == {}
    assert dict(pipeline.counters) == dict(faults)


def test_progress_grows_from_zero_to_one() -> None:
    world = World()
    pipeline = ObjectPipeline(make_reconstructor("geometric"))
    told: list[tuple[str, float]] = []
    pipeline.reconstruct(
        cut(world.frame(0.0, THREE_APART)), progress=lambda stage, share: told.append((stage, share))
    )
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] >= 0.0
    assert told[-1] == ("done", 1.0)


def test_stages_are_timed() -> None:
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    seen = serve(pipeline, world.frame(0.0, THREE_APART))
    assert tuple(seen.milliseconds) == STAGES
    assert all(value > 0 for value in seen.milliseconds.values())
    parts = sum(value for name, value in seen.milliseconds.items() if name != "total")
    assert parts <= seen.milliseconds["total"]


def test_an_instance_without_a_pixel_is_refused() -> None:
    world = World()
    frame = world.frame(0.0, THREE_APART)
    with pytest.raises(ValueError, match="no pixel"):
        ObjectPipeline(make_reconstructor("geometric")).reconstruct(cut(frame, [99]))


def test_a_worker_thread_and_the_tracking_thread_lose_nothing() -> None:
    """Objects come one by one while a worker reconstructs the newest request as fast as it can."""
    world = World()
    pipeline = ObjectPipeline(TrueReconstructor(world))
    newest: list[list[Evidence]] = []
    done, failures = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            while not done.is_set():
                if newest:
                    evidence = newest[-1]
                    pipeline.integrate(evidence, pipeline.reconstruct(evidence))
        except BaseException as error:
            failures.append(error)
            raise

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for step in range(30):
            things = [thing.moved(0.002 * step, 0.0, 0.0) for thing in THREE_APART[: 1 + step // 10]]
            frame = world.frame(0.1 * step, things)
            seen = pipeline.observe(frame)
            if seen.requests:
                newest.append([request.evidence for request in seen.requests])
    finally:
        done.set()
        worker.join(timeout=30)
    assert not worker.is_alive()
    assert failures == []
    final = pipeline.observe(world.frame(3.0, [thing.moved(0.06, 0.0, 0.0) for thing in THREE_APART]))
    assert [thing.track_id for thing in final.objects] == [1, 2, 3]


def test_the_world_of_these_tests_is_what_it_says() -> None:
    """The mesh that all oracles rest on is closed, and fills its cube."""
    mesh = wedge()
    assert mesh.is_watertight()
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0).max(), 1.0, rtol=1e-6)
    assert Thing(1, mesh, Similarity()).moved(1.0, 0.0, 0.0).fixed_from_object.translation[0] == 1.0
