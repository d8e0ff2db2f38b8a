"""Stable ids: whatever the segmenter calls the instances, wherever the camera goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tracking_world import CAMERA, SECOND, THREE_APART, Thing, World, box

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.point_map import PointMap
from sam3d_ros.perception.evidence import Cut
from sam3d_ros.perception.frame import Frame, PointsSource
from sam3d_ros.perception.tracking.tracker import Tracker, TrackerConfig, TrackUpdate


def ids_by_thing(update: TrackUpdate) -> dict[int, int]:
    """Instance id -> track id."""
    return {track.view.instance_id: track.track_id for track in update.seen}


def mask_frame(
    seconds: float, rectangles: dict[int, tuple[int, int, int, int]], size: tuple[int, int] = (120, 160)
) -> Frame:
    """Rectangles x y w h on a flat wall one metre away."""
    height, width = size
    camera = Camera(width, height, 150.0, 150.0, width / 2, height / 2)
    labels = np.zeros(size, np.uint16)
    for instance_id, (x, y, w, h) in rectangles.items():
        labels[y : y + h, x : x + w] = instance_id
    points = camera.rays() * np.float32(1.0)
    rgb = np.zeros((*size, 3), np.uint8)
    return Frame(round(seconds * SECOND), "camera", rgb, labels, PointMap(points), PointsSource.DEPTH, camera)


def test_ids_survive_a_renumbering_segmenter() -> None:
    world, tracker = World(), Tracker()
    first = ids_by_thing(tracker.update(Cut(world.frame(0.0, THREE_APART))))
    assert sorted(first.values()) == [1, 2, 3]
    numberings = ([3, 1, 2], [40, 7, 1], [2, 3, 1], [65535, 5, 1])
    for step, numbers in enumerate(numberings, start=1):
        things = [
            thing.numbered(number).moved(0.005 * step, 0.0, 0.002 * step)
            for thing, number in zip(THREE_APART, numbers, strict=True)
        ]
        update = tracker.update(Cut(world.frame(0.1 * step, things)))
        assert update.created == ()
        assert update.deleted == ()
        found = ids_by_thing(update)
        for thing, number in zip(THREE_APART, numbers, strict=True):
            assert found[number] == first[thing.instance_id]


@settings(max_examples=40, deadline=None)
@given(
    cells=st.lists(st.integers(0, 11), min_size=1, max_size=8, unique=True),
    steps=st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=5),
    numbers=st.lists(st.integers(1, 65535), min_size=8, max_size=8, unique=True),
    seed=st.integers(0, 2**31),
)
def test_a_permutation_of_labels_changes_no_id(
    cells: list[int], steps: list[tuple[int, int]], numbers: list[int], seed: int
) -> None:
    """Two trackers see the same masks, one with constant ids, one with new ids in every frame."""
    random = np.random.default_rng(seed)
    steady, renumbered = Tracker(), Tracker()
    offset = np.zeros(2, dtype=int)
    for index, step in enumerate([(0, 0), *steps]):
        offset += step
        places = {
            cell: (
                int(12 + 36 * (cell % 4) + offset[0]),
                int(12 + 34 * (cell // 4) + offset[1]),
                24 + cell,
                24,
            )
            for cell in cells
        }
        renaming = dict(zip(cells, random.permutation(numbers)[: len(cells)].tolist(), strict=True))
        plain = steady.update(
            Cut(mask_frame(0.1 * index, {cell + 1: place for cell, place in places.items()}))
        )
        other = renumbered.update(
            Cut(mask_frame(0.1 * index, {renaming[cell]: places[cell] for cell in cells}))
        )
        tracks, again = ids_by_thing(plain), ids_by_thing(other)
        assert {cell: tracks[cell + 1] for cell in cells} == {cell: again[renaming[cell]] for cell in cells}
        assert sorted(tracks.values()) == list(range(1, len(cells) + 1))
        assert (plain.created, plain.deleted) == (other.created, other.deleted)


@settings(max_examples=40, deadline=None)
@given(
    frames=st.lists(
        st.dictionaries(
            st.integers(1, 300),
            st.tuples(st.integers(0, 150), st.integers(0, 110), st.integers(1, 80), st.integers(1, 80)),
            max_size=8,
        ),
        min_size=1,
        max_size=6,
    ),
    period=st.sampled_from([0.1, 1.0, 5.0]),
    limit=st.integers(1, 6),
)
def test_any_masks_give_one_track_each(
    frames: list[dict[int, tuple[int, int, int, int]]], period: float, limit: int
) -> None:
    tracker = Tracker(TrackerConfig(max_objects=limit, min_mask_pixels=4))
    living: set[int] = set()
    ever: set[int] = set()
    for index, rectangles in enumerate(frames):
        frame = mask_frame(period * index, rectangles)
        update = tracker.update(Cut(frame))
        instances = [track.view.instance_id for track in update.seen]
        assert len(set(instances)) == len(instances) <= limit
        assert len(instances) + update.tiny + update.too_many == len(frame.instance_ids())
        assert living.isdisjoint(update.created)
        assert ever.isdisjoint(update.created), "an id was given twice"
        assert set(update.deleted) <= living
        living = (living | set(update.created)) - set(update.deleted)
        ever |= set(update.created)
        assert living == {track.track_id for track in tracker.tracks}


def test_an_object_hidden_for_a_while_keeps_its_id() -> None:
    world, tracker = World(), Tracker()
    before = ids_by_thing(tracker.update(Cut(world.frame(0.0, THREE_APART))))
    # A hand, which nobody labels, passes between the camera and the second object.
    hand = box(0, 0.0, 0.02, 0.3, size=0.12)
    for step in range(1, 15):
        update = tracker.update(Cut(world.frame(0.1 * step, [*THREE_APART, hand])))
        assert before[2] not in {track.track_id for track in update.seen}
        assert update.deleted == ()
    update = tracker.update(
        Cut(world.frame(1.5, [thing.numbered(10 - thing.instance_id) for thing in THREE_APART]))
    )
    assert ids_by_thing(update) == {10 - instance: track for instance, track in before.items()}


def test_a_labelled_occluder_does_not_take_over_an_id() -> None:
    world, tracker = World(), Tracker()
    before = ids_by_thing(tracker.update(Cut(world.frame(0.0, [THREE_APART[1]]))))
    for step in range(-12, 13):
        occluder = box(9, 0.04 * step, 0.03, 0.35, size=0.09)
        update = tracker.update(Cut(world.frame(0.1 * (step + 13), [THREE_APART[1], occluder])))
        found = ids_by_thing(update)
        assert found.get(2, before[2]) == before[2]
        assert found.get(9, 2) == 2
    assert ids_by_thing(update)[2] == before[2]


def test_an_object_that_leaves_is_deleted_once_and_its_id_never_returns() -> None:
    world, tracker = World(), Tracker(TrackerConfig(lost_timeout=1.0))
    first = ids_by_thing(tracker.update(Cut(world.frame(0.0, THREE_APART))))
    deleted = []
    for step in range(1, 20):
        deleted += tracker.update(Cut(world.frame(0.1 * step, THREE_APART[:2]))).deleted
    assert deleted == [first[3]]
    update = tracker.update(Cut(world.frame(2.0, THREE_APART)))
    assert update.created == (4,)
    assert ids_by_thing(update) == {1: first[1], 2: first[2], 3: 4}


def test_a_slow_source_keeps_its_ids() -> None:
    """With seconds between all frames an object is known again; the first gap is as long as any, and ends tracks."""
    world, tracker = World(), Tracker(TrackerConfig(lost_timeout=1.0))
    tracker.update(Cut(world.frame(0.0, THREE_APART)))
    first = ids_by_thing(tracker.update(Cut(world.frame(60.0, THREE_APART))))
    for seconds in (120.0, 200.0, 250.0):
        assert ids_by_thing(tracker.update(Cut(world.frame(seconds, THREE_APART)))) == first


@pytest.mark.parametrize("pause", [1.5, 3600.0])
@pytest.mark.parametrize("lost_timeout", [0.1, 1.0])
def test_after_a_time_without_frames_objects_are_new(pause: float, lost_timeout: float) -> None:
    world, tracker = World(), Tracker(TrackerConfig(lost_timeout=lost_timeout))
    for step in range(4):
        update = tracker.update(Cut(world.frame(0.1 * step, THREE_APART)))
        assert update.deleted == ()
    update = tracker.update(Cut(world.frame(0.3 + pause, THREE_APART[:1])))
    assert (update.created, update.deleted, update.cleared) == ((4,), (1, 2, 3), False)
    update = tracker.update(Cut(world.frame(0.4 + pause, THREE_APART[:1])))
    assert (update.created, update.deleted) == ((), ())


def test_a_clock_that_jumps_back_clears_all() -> None:
    world, tracker = World(), Tracker()
    tracker.update(Cut(world.frame(100.0, THREE_APART)))
    update = tracker.update(Cut(world.frame(1.0, THREE_APART)))
    assert update.cleared
    assert update.deleted == (1, 2, 3)
    assert sorted(ids_by_thing(update).values()) == [4, 5, 6]
    assert not tracker.update(Cut(world.frame(1.1, THREE_APART))).cleared


def test_the_same_stamp_twice_is_no_jump() -> None:
    world, tracker = World(), Tracker()
    frame = world.frame(5.0, THREE_APART)
    first = tracker.update(Cut(frame))
    again = tracker.update(Cut(frame))
    assert not again.cleared
    assert ids_by_thing(again) == ids_by_thing(first)


def test_losing_the_fixed_frame_clears_all() -> None:
    world, tracker = World(), Tracker()
    tracker.update(Cut(world.frame(0.0, THREE_APART, fixed_from_camera=orbit(0.1))))
    update = tracker.update(Cut(world.frame(0.1, THREE_APART)))
    assert update.cleared
    assert update.deleted == (1, 2, 3)


def orbit(angle: float, center: tuple[float, float, float] = (0.0, 0.0, 0.8)) -> Similarity:
    """A camera that goes around a point of the first camera's frame and keeps looking at it."""
    turn = Rotation.from_rotvec([0.0, angle, 0.0]).as_matrix()
    return Similarity(turn, np.array(center) - turn @ np.array(center))


def test_a_moving_camera_keeps_ids_through_the_fixed_frame() -> None:
    """The camera swings 60 degrees in 3 s and jumps while nothing is seen; masks alone would be lost."""
    world, tracker = World(), Tracker()
    first = ids_by_thing(tracker.update(Cut(world.frame(0.0, THREE_APART, fixed_from_camera=orbit(0.0)))))
    for step in range(1, 31):
        numbers = np.random.default_rng(step).permutation([4, 5, 6])
        things = [thing.numbered(int(number)) for thing, number in zip(THREE_APART, numbers, strict=True)]
        update = tracker.update(
            Cut(world.frame(0.1 * step, things, fixed_from_camera=orbit(np.radians(2 * step))))
        )
        found = ids_by_thing(update)
        assert update.created == ()
        for thing, number in zip(THREE_APART, numbers, strict=True):
            assert found.get(int(number), first[thing.instance_id]) == first[thing.instance_id]
    away = Similarity(Rotation.from_rotvec([0.0, np.pi, 0.0]).as_matrix())
    assert tracker.update(Cut(world.frame(3.1, THREE_APART, fixed_from_camera=away))).seen == ()
    back = tracker.update(Cut(world.frame(4.0, THREE_APART, fixed_from_camera=orbit(np.radians(-20)))))
    assert ids_by_thing(back) == first


def test_without_any_points_masks_alone_are_followed() -> None:
    world, tracker = World(), Tracker()
    first = ids_by_thing(tracker.update(Cut(world.frame(0.0, THREE_APART, source=PointsSource.NONE))))
    for step in range(1, 10):
        things = [thing.moved(0.01 * step, 0.0, 0.0) for thing in THREE_APART]
        update = tracker.update(Cut(world.frame(0.1 * step, things, source=PointsSource.NONE)))
        assert ids_by_thing(update) == first
        assert update.without_points == 0


def test_masks_without_a_point_are_counted() -> None:
    world, tracker = World(), Tracker()
    frame = world.frame(0.0, THREE_APART)
    points = frame.points.copy()
    points[frame.mask(2)] = np.nan
    assert tracker.update(Cut(replace(frame, point_map=PointMap(points)))).without_points == 1


def test_the_largest_objects_come_first_and_the_rest_is_counted() -> None:
    tracker = Tracker(TrackerConfig(max_objects=2))
    rectangles = {1: (10, 10, 12, 12), 2: (60, 10, 30, 30), 3: (10, 60, 20, 20), 4: (110, 60, 40, 40)}
    update = tracker.update(Cut(mask_frame(0.0, rectangles)))
    assert ids_by_thing(update) == {4: 1, 2: 2}
    assert update.too_many == 2
    # One that is known keeps its place when a larger one comes.
    rectangles[5] = (60, 60, 45, 55)
    assert ids_by_thing(tracker.update(Cut(mask_frame(0.1, rectangles)))) == {4: 1, 2: 2}


def test_people_and_tiny_masks_are_not_objects() -> None:
    frame = mask_frame(0.0, {1: (10, 10, 30, 30), 2: (60, 10, 30, 30), 3: (100, 100, 3, 3)})
    update = Tracker().update(Cut(replace(frame, label_names={1: "person", 2: "cup"})))
    assert [track.label for track in update.seen] == ["cup"]
    assert update.tiny == 1


def test_a_flickering_class_name_changes_neither_id_nor_name() -> None:
    world, tracker = World(), Tracker()
    names = ["cup", "cup", "bowl", "cup", "", "bowl", "cup"]
    for step, name in enumerate(names):
        things = [Thing(1, THREE_APART[1].mesh, THREE_APART[1].fixed_from_object, name)]
        update = tracker.update(Cut(world.frame(0.1 * step, things)))
        assert ids_by_thing(update) == {1: 1}
        assert update.seen[0].label == "cup"


def test_names_settle_what_masks_and_distance_leave_open() -> None:
    """Two things turn by a quarter around their middle: each is now equally far from both old places."""
    tracker = Tracker()
    names = {1: "cup", 2: "bowl"}
    before = tracker.update(
        Cut(replace(mask_frame(0.0, {1: (50, 50, 20, 20), 2: (90, 50, 20, 20)}), label_names=names))
    )
    for first, second in ((1, 2), (2, 1)):
        places = {first: (70, 30, 20, 20), second: (70, 70, 20, 20)}
        after = Tracker()
        after.update(
            Cut(replace(mask_frame(0.0, {1: (50, 50, 20, 20), 2: (90, 50, 20, 20)}), label_names=names))
        )
        update = after.update(Cut(replace(mask_frame(0.5, places), label_names=names)))
        assert ids_by_thing(update) == ids_by_thing(before)


@pytest.mark.parametrize("stride_width", [80, 160, 1920])
def test_images_of_any_size_are_tracked(stride_width: int) -> None:
    scale = stride_width / 160
    rectangles = {
        number: (round(x * scale), round(20 * scale), round(30 * scale), round(40 * scale))
        for number, x in ((1, 10), (2, 60), (3, 110))
    }
    size = (round(120 * scale), stride_width)
    tracker = Tracker()
    first = ids_by_thing(tracker.update(Cut(mask_frame(0.0, rectangles, size))))
    renamed = {4 - number: place for number, place in rectangles.items()}
    again = ids_by_thing(tracker.update(Cut(mask_frame(0.1, renamed, size))))
    assert again == {4 - number: track for number, track in first.items()}
    assert CAMERA.width != stride_width
