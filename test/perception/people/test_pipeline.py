"""People keep their ids, and smoothing is a low pass of the time constant that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from analytic_bodies import FACING, KEYPOINTS, SKELETON, labelled_frame, standing_body
from hypothesis import given
from hypothesis import strategies as st

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame
from sam3d_ros.perception.people.estimates import BodyEstimate, camera_from_body
from sam3d_ros.perception.people.pipeline import BodyPipeline, PeopleConfig
from sam3d_ros.perception.reconstructor import Progress
from sam3d_ros.perception.tracking.instances import view_instances

SECOND = 1_000_000_000
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)


class Standing:
    """Puts a body into the middle of each mask, facing the camera."""

    name = "standing"

    def reconstruct(
        self, frame: Frame, instance_ids: Sequence[int], *, progress: Progress | None = None
    ) -> list[BodyEstimate]:
        places = [np.nanmedian(frame.points[frame.mask(i)], axis=0) for i in instance_ids]
        poses = [Similarity(FACING.rotation, place) for place in places]
        return [standing_body(i, pose) for i, pose in zip(instance_ids, poses, strict=True)]


def frame_of(
    stamp: float, boxes: dict[int, tuple[int, int]], names: dict[int, str], **changes: object
) -> Frame:
    """A frame with a mask of 30x60 pixels for each instance, from a row and a column on."""
    labels = np.zeros((120, 160), np.uint16)
    for instance, (row, column) in boxes.items():
        labels[row : row + 60, column : column + 30] = instance
    return replace(labelled_frame(round(stamp * SECOND), labels, names), **changes)


@given(quaternions, st.tuples(*[st.floats(-5, 5)] * 3))
def test_the_body_frame_is_found_in_any_pose(quaternion: tuple, translation: tuple) -> None:
    truth = Similarity.from_quaternion(quaternion, translation)
    found = camera_from_body(SKELETON, truth.apply(list(KEYPOINTS.values())))
    assert np.allclose(found.matrix(), truth.matrix(), atol=1e-9)


@pytest.mark.parametrize("unknown", ["left_hip", "right_shoulder"])
def test_a_body_without_hips_or_shoulders_has_no_frame(unknown: str) -> None:
    with pytest.raises(ValueError, match="do not make a frame"):
        camera_from_body(SKELETON, standing_body(unknown=(unknown,)).keypoints)


def test_keypoints_that_the_skeleton_does_not_name_are_refused() -> None:
    with pytest.raises(ValueError, match="6 keypoints"):
        replace(standing_body(), keypoints=np.zeros((5, 3), np.float32))


def test_people_are_those_of_the_class_or_of_the_value() -> None:
    frame = frame_of(0, {1: (0, 0), 2: (0, 40), 7: (0, 80)}, {1: "person", 2: "cup", 7: ""})
    assert PeopleConfig().instances_of(frame) == [1]
    assert PeopleConfig(people=("person", "7")).instances_of(frame) == [1, 7]
    assert PeopleConfig(people=("cup",)).instances_of(frame) == [2]


@pytest.mark.parametrize("name", ["person", "Person", "PERSON", " person", "person\n"])
def test_a_person_is_one_however_the_class_is_written(name: str) -> None:
    frame = frame_of(0, {1: (0, 0), 2: (0, 40)}, {1: name, 2: "persons"})
    assert PeopleConfig().instances_of(frame) == [1]
    assert PeopleConfig(people=("PERSON ", "²", "٣")).instances_of(frame) == [1]
    # Who is a person is no object.
    views = view_instances(Cut(frame), excluded_labels=frozenset({"person"})).views
    assert [view.instance_id for view in views] == [2]


def test_ids_stay_when_the_segmenter_numbers_anew() -> None:
    pipeline = BodyPipeline(Standing())
    names = {1: "person", 2: "person"}
    first = pipeline.reconstruct(pipeline.observe(frame_of(0, {1: (10, 10), 2: (10, 100)}, names)))
    second = pipeline.reconstruct(pipeline.observe(frame_of(0.1, {2: (10, 12), 1: (10, 98)}, names)))
    assert [b.track_id for b in first] == [b.track_id for b in second] == [1, 2]
    assert [b.estimate.instance_id for b in first] == [1, 2]
    assert [b.estimate.instance_id for b in second] == [2, 1]
    assert [b.version for b in second] == [2, 2]
    assert np.abs(second[0].fixed_from_body.translation - first[0].fixed_from_body.translation).max() < 0.05


def test_a_person_who_is_hidden_for_a_moment_keeps_the_id_and_one_who_is_gone_does_not() -> None:
    pipeline = BodyPipeline(Standing(), PeopleConfig(lost_timeout=1.0))
    names, here = {1: "person"}, {1: (10, 10)}
    assert pipeline.observe(frame_of(0, here, names)).instances == {1: 1}
    hidden = pipeline.observe(frame_of(0.5, {}, names))
    assert (dict(hidden.instances), hidden.alive) == ({}, {1})
    assert pipeline.reconstruct(hidden) == ()
    assert pipeline.observe(frame_of(0.9, here, names)).instances == {1: 1}
    assert pipeline.observe(frame_of(2.5, {}, names)).alive == frozenset()
    assert pipeline.observe(frame_of(2.6, here, names)).instances == {2: 1}


def test_more_people_than_wanted_and_tiny_masks_are_counted() -> None:
    pipeline = BodyPipeline(Standing(), PeopleConfig(max_people=1))
    frame = frame_of(0, {1: (10, 10), 2: (10, 60)}, {1: "person", 2: "person", 3: "person"})
    frame.labels[0, 0] = 3
    sighting = pipeline.observe(frame)
    assert len(sighting.instances) == 1
    assert sighting.faults == {"empty_mask": 1, "too_many_objects": 1}


def test_everything_is_told_in_the_frame_of_tracking() -> None:
    fixed_from_camera = Similarity.from_quaternion((0.1, -0.4, 0.2, 0.8), (1.0, 2.0, 3.0))
    frame = frame_of(0, {1: (10, 10)}, {1: "person"}, fixed_from_camera=fixed_from_camera)
    pipeline = BodyPipeline(Standing())
    (body,) = pipeline.reconstruct(pipeline.observe(frame))
    expected = fixed_from_camera @ body.estimate.camera_from_body
    assert np.allclose(body.fixed_from_body.matrix(), expected.matrix())
    assert np.allclose(body.keypoints, expected.apply(list(KEYPOINTS.values())), atol=1e-5)
    assert np.allclose(
        camera_from_body(SKELETON, body.keypoints).matrix(), body.fixed_from_body.matrix(), atol=1e-5
    )


def walk(constant: float, seconds: float, rate: float) -> float:
    """How far the nose of somebody who walks with 1 m/s lags behind, metres, in a steady state."""
    pipeline = BodyPipeline(Standing(), PeopleConfig(keypoint_smoothing=constant))
    lag = 0.0
    for step in range(round(seconds * rate)):
        shift = Similarity(translation=np.array([step / rate, 0.0, 0.0]))
        frame = frame_of(step / rate, {1: (10, 60)}, {1: "person"}, fixed_from_camera=shift)
        (body,) = pipeline.reconstruct(pipeline.observe(frame))
        lag = float((shift.apply(body.estimate.keypoints) - body.keypoints)[0, 0])
    return lag


def test_smoothing_is_off_by_default_and_delays_by_its_time_constant() -> None:
    assert walk(PeopleConfig().keypoint_smoothing, 0.5, 20) == pytest.approx(0.0, abs=1e-6)
    # A sampled ramp lags by T k / (1 - k) with k = exp(-T / constant), which goes to the constant with T to 0.
    kept = np.exp(-0.05 / 0.2)
    assert walk(0.2, 3.0, 20) == pytest.approx(0.05 * kept / (1 - kept), rel=1e-3)


def test_a_keypoint_that_comes_and_goes_is_shown_as_it_is() -> None:
    class Blinking(Standing):
        unknown: tuple[str, ...] = ("nose",)

        def reconstruct(self, frame, instance_ids, *, progress=None):  # type: ignore[no-untyped-def]
            return [standing_body(i, unknown=self.unknown) for i in instance_ids]

    reconstructor = Blinking()
    pipeline = BodyPipeline(reconstructor, PeopleConfig(keypoint_smoothing=1.0))
    noses = []
    for step, unknown in enumerate([("nose",), (), ("nose",)]):
        reconstructor.unknown = unknown
        frame = frame_of(0.1 * step, {1: (10, 10)}, {1: "person"})
        noses.append(pipeline.reconstruct(pipeline.observe(frame))[0].keypoints[0])
    assert np.isnan(noses[0]).all()
    assert np.allclose(noses[1], FACING.apply(KEYPOINTS["nose"]), atol=1e-6)
    assert np.isnan(noses[2]).all()
