"""The board that nodes of a process share: what it remembers, and what it must not."""

from __future__ import annotations

import threading
import weakref

import numpy as np
from analytic_bodies import labelled_frame, standing_body

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.geometry.meshes import Mesh
from sam3d_ros.nodes.sinks.scene_board import LONGEST_MEMORY, BoardedObjects, BoardedPeople, SceneBoard
from sam3d_ros.perception.estimates import ObjectEstimate, ScaleSource, Verdict, VerdictState
from sam3d_ros.perception.people.pipeline import TrackedBody
from sam3d_ros.perception.scenes.joint_scene import SeenObjects, SeenPeople
from sam3d_ros.perception.tracking.tracks import TrackedObject

SECOND = 1_000_000_000


def objects(stamp: int) -> SeenObjects:
    """A triangle that lies at the stamp, in metres for seconds."""
    verdict = Verdict(VerdictState.ACCEPTED, (), 0.9, 0.01, 0.9, 100, ScaleSource.DEPTH)
    mesh = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]]), np.zeros((3, 3), np.uint8))
    pose = Similarity(translation=np.array([stamp / SECOND, 0.0, 2.0]))
    estimate = ObjectEstimate(1, "", mesh, pose, np.eye(6), verdict)
    thing = TrackedObject(1, 1, estimate, pose, stamp, stamp)
    return SeenObjects(stamp, "camera", False, "camera", True, (thing,))


def people(stamp: int, count: int = 1) -> SeenPeople:
    """People whose id is the stamp in seconds."""
    frame = labelled_frame(stamp, np.zeros((4, 4)), {})
    estimate = standing_body(1)
    bodies = tuple(
        TrackedBody(stamp // SECOND, 1, estimate, Similarity(), estimate.keypoints) for _ in range(count)
    )
    return SeenPeople(frame, "camera", False, bodies)


def place(board: SceneBoard) -> float:
    (thing,) = board.scene().objects
    return float(thing.fixed_from_object.translation[0])


def test_without_people_the_newest_objects_are_the_scene_and_the_only_ones_kept() -> None:
    board, first = SceneBoard(), objects(0)
    board.show_objects(first)
    forgotten = weakref.ref(first)
    del first
    board.show_objects(objects(SECOND))
    assert place(board) == 1.0 and forgotten() is None


def test_objects_wait_for_the_people_of_their_image_and_no_longer() -> None:
    board = SceneBoard()
    board.await_people()
    shown = {}
    for second in range(1, 6):
        seen = objects(second * SECOND)
        board.show_objects(seen)
        shown[second] = weakref.ref(seen)
        del seen
    assert board.scene().bodies == () and place(board) == 5.0
    board.show_people(people(3 * SECOND))
    assert len(board.scene().bodies) == 1 and place(board) == 3.0
    assert [second for second, seen in shown.items() if seen() is not None] == [3, 4, 5]
    board.show_people(people(6 * SECOND, count=0))
    assert place(board) == 5.0
    assert [second for second, seen in shown.items() if seen() is not None] == [5]


def test_memory_is_bounded_when_people_never_come() -> None:
    board = SceneBoard()
    board.await_people()
    first = objects(SECOND)
    board.show_objects(first)
    forgotten = weakref.ref(first)
    del first
    for number in range(LONGEST_MEMORY):
        board.show_objects(objects(2 * SECOND + number))
    assert forgotten() is None


def test_a_clock_that_jumps_back_and_a_node_that_leaves_take_all_down() -> None:
    board = SceneBoard()
    board.show_people(people(10 * SECOND))
    board.show_objects(objects(10 * SECOND))
    assert board.scene().bodies
    board.show_objects(objects(SECOND))
    board.show_objects(objects(2 * SECOND))
    assert board.scene().bodies == () and place(board) == 2.0
    board.show_people(people(SECOND))
    assert len(board.scene().bodies) == 1 and place(board) == 1.0
    board.show_objects(None)
    assert board.scene().objects == () and len(board.scene().bodies) == 1
    board.show_people(None)
    assert board.scene().bodies == ()


def test_sinks_put_up_what_they_are_shown_and_take_down_their_own_alone() -> None:
    board = SceneBoard()
    things, persons = BoardedObjects(board), BoardedPeople(board)
    board.await_people()
    things.show(objects(SECOND))
    persons.show(people(SECOND))
    things.show(objects(2 * SECOND))
    for sink in (things, persons):
        sink.refresh()
    assert place(board) == 1.0 and len(board.scene().bodies) == 1
    persons.clear(people(SECOND).emptied())
    assert place(board) == 2.0 and board.scene().bodies == ()
    persons.show(people(2 * SECOND))
    things.clear(objects(2 * SECOND).emptied())
    assert board.scene().objects == () and len(board.scene().bodies) == 1
    for sink in (things, persons):
        sink.close()


def test_a_scene_is_of_one_moment_while_both_nodes_show() -> None:
    board, stop = SceneBoard(), threading.Event()
    board.show_objects(objects(0))
    board.show_people(people(0))

    def show() -> None:
        for number in range(1, 400):
            board.show_objects(objects(number * SECOND))
            board.show_people(people(number * SECOND))
        stop.set()

    thread = threading.Thread(target=show)
    thread.start()
    looks = 0
    while not stop.is_set() or looks == 0:
        scene = board.scene()
        (thing,), (body,) = scene.objects, scene.bodies
        assert thing.last_seen == body.track_id * SECOND
        looks += 1
    thread.join()
