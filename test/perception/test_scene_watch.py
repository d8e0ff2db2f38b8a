"""The scene around tracked objects, by the pipeline of the graph: surfaces, what stands on them, what cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from standing_solids import box, camera_above, exact_estimate, look, placed

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.judging.scene import FLOATING, PENETRATES
from sam3d_ros.perception.scene_watch import SceneWatch, WatchedScene
from sam3d_ros.perception.surfaces.surface import SurfaceConfig
from sam3d_ros.perception.tracking.tracks import TrackedObject

SECOND = 1_000_000_000
WORLD_FROM_CAMERA = camera_above(1.0, 30.0).inverse()
BOX = box(0.1, 0.08, 0.15)
GOOD = Verdict(VerdictState.ACCEPTED, (), 0.9, 0.001, 0.95, 500, ScaleSource.DEPTH)


def frame(second: float = 0.0, x: float = 0.0) -> Frame:
    """A box on a floor."""
    seen = look({5: (BOX, placed(x, 0.0))}, WORLD_FROM_CAMERA.inverse())
    return replace(seen, stamp=round(second * SECOND), fixed_from_camera=WORLD_FROM_CAMERA)


def tracked(
    height: float = 0.0, version: int = 1, state: VerdictState = VerdictState.ACCEPTED
) -> TrackedObject:
    """The box as track 3, at some height over where it is."""
    camera_from_mesh = WORLD_FROM_CAMERA.inverse() @ placed(0.0, 0.0, z=height)
    estimate: ObjectEstimate = replace(
        exact_estimate(5, BOX, camera_from_mesh),
        covariance=1e-6 * np.eye(6),
        verdict=replace(GOOD, state=state),
    )
    fixed_from_object = WORLD_FROM_CAMERA @ estimate.camera_from_object
    return TrackedObject(3, version, estimate, fixed_from_object, 0, 0)


def watched(watch: SceneWatch, view: Frame, thing: TrackedObject, *, cleared: bool = False) -> WatchedScene:
    cut = Cut(view)
    return watch.look(cut, [thing], {3: cut.evidence(5)}, cleared=cleared)


def test_an_object_stands_on_the_floor_and_nothing_speaks_against_it() -> None:
    thing = tracked()
    scene = watched(SceneWatch(), frame(), thing)
    assert scene.objects == (thing,)
    (floor,) = scene.surfaces
    assert (floor.surface_id, floor.object_ids) == (1, (3,))
    assert np.allclose(floor.fixed_from_surface.rotation[:, 2], (0.0, 0.0, 1.0), atol=0.01)
    assert abs(floor.fixed_from_surface.translation[2]) < 0.003


@pytest.mark.parametrize(("height", "reason"), [(-0.03, PENETRATES), (0.04, FLOATING)])
def test_what_the_scene_does_not_allow_is_not_accepted_until_it_is_right_again(
    height: float, reason: str
) -> None:
    watch = SceneWatch()
    (wrong,) = watched(watch, frame(), tracked(height)).objects
    verdict = wrong.estimate.verdict
    assert (verdict.state, verdict.reasons) == (VerdictState.UNCERTAIN, (reason,))
    # It is not looked at in every frame; what was found holds in between.
    (same,) = watched(watch, frame(0.1), tracked(height)).objects
    assert same.estimate.verdict.reasons == (reason,)
    (better,) = watched(watch, frame(0.2), tracked(version=2)).objects
    assert better.estimate.verdict == GOOD
    (later,) = watched(watch, frame(1.5), tracked(height, version=2)).objects
    assert later.estimate.verdict.reasons == (reason,)


def test_a_rejected_object_is_left_out() -> None:
    (rejected,) = watched(SceneWatch(), frame(), tracked(0.04, state=VerdictState.REJECTED)).objects
    assert rejected.estimate.verdict.reasons == ()


def test_ids_go_on_when_all_tracks_end() -> None:
    watch = SceneWatch(SurfaceConfig(interval=0.0))
    assert [s.surface_id for s in watched(watch, frame(), tracked()).surfaces] == [1]
    assert [s.surface_id for s in watched(watch, frame(1.0), tracked()).surfaces] == [1]
    assert [s.surface_id for s in watched(watch, frame(0.0), tracked(), cleared=True).surfaces] == [2]


def test_without_a_metric_scale_there_is_no_scene() -> None:
    scene = watched(SceneWatch(), replace(frame(), is_metric=False), tracked(0.04))
    assert scene.surfaces == ()
    assert scene.objects[0].estimate.verdict == GOOD


def test_the_surface_of_a_moving_camera_rests() -> None:
    watch = SceneWatch(SurfaceConfig(interval=0.0))
    first = watched(watch, frame(), tracked()).surfaces[0]
    for step in range(1, 4):
        pose = camera_above(1.0, 30.0 + 5.0 * step).inverse() @ Similarity(
            translation=np.array([0.02, 0.0, 0.0])
        )
        seen = look({5: (BOX, placed(0.0, 0.0))}, pose.inverse())
        view = replace(seen, stamp=step * SECOND, fixed_from_camera=pose)
        (surface,) = watched(watch, view, tracked()).surfaces
        assert surface.surface_id == first.surface_id
        assert np.allclose(surface.fixed_from_surface.matrix(), first.fixed_from_surface.matrix(), atol=0.003)
