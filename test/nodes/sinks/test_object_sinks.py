"""The topics of the objects: nothing is made that nobody hears, and whoever comes late has everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2
from sink_bench import SECOND, SESSION, Ear, Made, Stage, shown, things
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import ObjectArray, ObjectMesh, SupportSurfaceArray
from sam3d_ros.nodes.sinks.gaussians import CLOUDS_KEPT, ObjectGaussians
from sam3d_ros.nodes.sinks.objects import MARKER_MESSAGES, SPARE_MESHES, object_topics
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.ros.markers import NAMESPACES
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

MODULE = "sam3d_ros.nodes.sinks.objects"
RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
MOST = 12
#: Topic -> type, and what makes its messages.
TOPICS = {
    "objects": (ObjectArray, "object_array"),
    "detections": (Detection3DArray, "detection_array"),
    "surfaces": (SupportSurfaceArray, "surface_array"),
    "meshes": (ObjectMesh, "object_mesh"),
    "markers": (MarkerArray, "MarkerBoard.update"),
}
#: What those who come late get, too.
LATE_TOPICS = ("meshes", "markers")
Play = Callable[[Callable[[LifecycleNode], Sequence[Sink[SeenObjects]]]], Stage]
Listen = Callable[..., Ear[Any]]


@pytest.fixture
def stage(play: Play) -> Stage:
    """The topics that every node has."""
    return play(lambda node: object_topics(node, MOST))


def markers_of(*ids: int) -> set[tuple[str, int]]:
    return {(namespace, track_id) for namespace in NAMESPACES for track_id in ids}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_message_is_made_for_who_listens_and_no_other(
    topic: str, monkeypatch: pytest.MonkeyPatch, play: Play, listen: Listen, wait_for: Any
) -> None:
    made = Made(monkeypatch, MODULE, *(name for _, name in TOPICS.values()))
    stage = play(lambda node: object_topics(node, MOST))
    for second in range(1, 4):
        assert made.by(lambda second=second: stage.show(things(second * SECOND, [1, 2]))) == {}
    message_type, name = TOPICS[topic]
    ear = listen(message_type, topic, LATCHED if topic in ("meshes", "markers") else RELIABLE)
    assert wait_for(lambda: set(made.by(lambda: stage.show(things(4 * SECOND, [1, 2])))) == {name})
    assert wait_for(lambda: stage.show(things(5 * SECOND, [1, 2])) or ear.heard)
    ear.leave()
    assert wait_for(lambda: made.by(lambda: stage.show(things(6 * SECOND, [1, 2], versions={1: 2}))) == {})


def test_splats_are_packed_for_who_listens(
    monkeypatch: pytest.MonkeyPatch, play: Play, listen: Listen, wait_for: Any
) -> None:
    made = Made(monkeypatch, "sam3d_ros.nodes.sinks.gaussians", "splat_cloud")
    stage = play(lambda node: [ObjectGaussians(node)])
    moment = things(SECOND, range(1, CLOUDS_KEPT + 1), splats=True)
    assert made.by(lambda: stage.show(moment)) == {}
    wanted = {f"object_{i}" for i in range(1, CLOUDS_KEPT + 1)}

    def everything(ear: Ear[PointCloud2]) -> bool:
        stage.refresh()
        return {cloud.header.frame_id for cloud in list(ear.heard)} == wanted

    first = listen(PointCloud2, "gaussians", LATCHED)
    assert wait_for(lambda: everything(first))
    assert made.counts["splat_cloud"] == len(first.heard) == CLOUDS_KEPT
    late = listen(PointCloud2, "gaussians", LATCHED)
    assert wait_for(lambda: everything(late))
    stage.show(things(2 * SECOND, [1], splats=True, versions={1: 2}))
    assert wait_for(lambda: len(first.heard) == CLOUDS_KEPT + 1)
    for ear in (first, late):
        ear.leave()
    assert wait_for(lambda: made.by(lambda: stage.show(moment)) == {})


def test_frames_are_told_to_everybody_as_soon_as_there_are_objects(
    stage: Stage, listen: Listen, wait_for: Any
) -> None:
    ear = listen(TFMessage, "/tf", RELIABLE)
    stage.show(things(SECOND, []))
    assert wait_for(lambda: stage.show(things(2 * SECOND, [1, 2])) or ear.heard)
    for message in list(ear.heard):
        assert [t.child_frame_id for t in message.transforms] == ["object_1", "object_2"]


def test_a_frame_is_told_once_for_an_image_that_is_looked_at_again(
    stage: Stage, listen: Listen, wait_for: Any
) -> None:
    ear = listen(TFMessage, "/tf", RELIABLE)
    assert wait_for(lambda: stage.show(things(SECOND, [9])) or ear.heard)
    for revision, ids in enumerate([[1], [1, 2], [1, 2], [1, 2, 3]], start=1):
        stage.show(replace(things(2 * SECOND, ids), revision=revision))
    stage.show(things(3 * SECOND, [1, 2, 3]))

    def told() -> list[tuple[int, str]]:
        transforms = [t for message in list(ear.heard) for t in message.transforms]
        return [(nanoseconds(t.header.stamp) // SECOND, t.child_frame_id) for t in transforms]

    wanted = [(2, "object_1"), (2, "object_2"), (2, "object_3")]
    wanted += [(3, "object_1"), (3, "object_2"), (3, "object_3")]
    assert wait_for(lambda: [item for item in told() if item[0] > 1] == wanted), told()


class Viewer:
    """Whoever wants the meshes and the markers."""

    def __init__(self, listen: Listen) -> None:
        self._meshes, self._markers = (listen(TOPICS[topic][0], topic, LATCHED) for topic in LATE_TOPICS)

    def has(self, stage: Stage, ids: Sequence[int]) -> bool:
        """Whether these objects have arrived, and no other is shown; the stage only looks who listens."""
        stage.refresh()
        return {m.id for m in list(self._meshes.heard)} == set(ids) and shown(
            self._markers.heard
        ) == markers_of(*ids)

    def stamps(self) -> set[int]:
        """Of the meshes."""
        return {nanoseconds(m.header.stamp) for m in list(self._meshes.heard)}

    def leave(self) -> None:
        self._meshes.leave()
        self._markers.leave()


@pytest.mark.parametrize("count", [1, MARKER_MESSAGES - 1, MOST])
def test_who_comes_late_gets_everything_though_nothing_moves_any_more(
    count: int, stage: Stage, listen: Listen, wait_for: Any
) -> None:
    ids = range(1, count + 1)
    stage.show(things(SECOND, ids))
    first = Viewer(listen)
    assert wait_for(lambda: first.has(stage, ids))
    assert first.stamps() == {0}  # of the image that they were made from
    if count < MARKER_MESSAGES:
        beside = Viewer(listen)
        assert wait_for(lambda: beside.has(stage, ids))
        beside.leave()
    first.leave()
    assert wait_for(lambda: not any(map(stage.is_heard, LATE_TOPICS)))
    stage.refresh()
    last = Viewer(listen)
    assert wait_for(lambda: last.has(stage, ids))


def test_who_comes_back_is_not_shown_what_is_gone(stage: Stage, listen: Listen, wait_for: Any) -> None:
    before = listen(MarkerArray, "markers", LATCHED)
    stage.show(things(SECOND, [1, 2]))
    assert wait_for(lambda: stage.refresh() or shown(before.heard) == markers_of(1, 2))
    before.leave()
    assert wait_for(lambda: not stage.is_heard("markers"))
    stage.show(things(2 * SECOND, [2, 3]))
    # What is latched tells of the first object still.
    late = listen(MarkerArray, "markers", LATCHED)
    assert wait_for(lambda: stage.refresh() or shown(late.heard) == markers_of(2, 3)), shown(late.heard)


def test_a_mesh_is_sent_once_for_a_version_while_somebody_listens(
    stage: Stage, listen: Listen, wait_for: Any
) -> None:
    ear = listen(ObjectMesh, "meshes", LATCHED)
    stage.show(things(SECOND, [1, 2]))
    assert wait_for(lambda: stage.refresh() or len(ear.heard) == 2)
    for second in range(2, 6):
        stage.show(things(second * SECOND, [1, 2]))
    stage.show(things(6 * SECOND, [1, 2], versions={2: 2}))
    assert wait_for(lambda: len(ear.heard) == 3)
    told = [(m.id, m.version, nanoseconds(m.header.stamp)) for m in ear.heard]
    assert told == [(1, 1, 0), (2, 1, 0), (2, 2, 5 * SECOND)]


def test_who_comes_back_has_the_meshes_that_are_latched_and_none_is_made_again(
    monkeypatch: pytest.MonkeyPatch, play: Play, listen: Listen, wait_for: Any
) -> None:
    made = Made(monkeypatch, MODULE, "object_mesh")
    stage = play(lambda node: object_topics(node, MOST))
    stage.show(things(SECOND, [1, 2]))
    first = listen(ObjectMesh, "meshes", LATCHED)
    assert wait_for(lambda: stage.refresh() or {m.id for m in list(first.heard)} == {1, 2})
    first.leave()
    assert wait_for(lambda: not stage.is_heard("meshes"))
    stage.show(things(2 * SECOND, [1, 2, 3], versions={2: 2}))
    last = listen(ObjectMesh, "meshes", LATCHED)
    wanted = {(SESSION, 1, 1), (SESSION, 2, 2), (SESSION, 3, 1)}
    assert wait_for(
        lambda: stage.refresh() or wanted <= {(m.session, m.id, m.version) for m in list(last.heard)}
    )
    # Both versions of the second, one of the others.
    assert made.counts["object_mesh"] == 4


@pytest.mark.parametrize("rejected", [True, False])
def test_rejected_objects_are_frames_detections_and_markers_only_where_they_are_wanted(
    rejected: bool, play: Play, listen: Listen, wait_for: Any
) -> None:
    stage = play(
        lambda node: [*object_topics(node, MOST, rejected=rejected), ObjectGaussians(node, rejected=rejected)]
    )
    objects, meshes = (
        listen(ObjectArray, "objects", RELIABLE).heard,
        listen(ObjectMesh, "meshes", LATCHED).heard,
    )
    detections, frames = (
        listen(Detection3DArray, "detections", RELIABLE).heard,
        listen(TFMessage, "/tf", RELIABLE).heard,
    )
    markers, clouds = (
        listen(MarkerArray, "markers", LATCHED).heard,
        listen(PointCloud2, "gaussians", LATCHED).heard,
    )
    moment = things(SECOND, [1, 2], rejected=[2], splats=True)
    wanted = {1, 2} if rejected else {1}
    assert wait_for(lambda: stage.show(moment) or all((objects, meshes, detections, frames, markers, clouds)))
    assert wait_for(lambda: stage.show(moment) or shown(markers) == markers_of(*wanted))
    assert wait_for(lambda: {m.id for m in list(meshes)} == {1, 2})
    assert {thing.id for thing in objects[-1].objects} == {1, 2}
    assert {int(found.id) for found in detections[-1].detections} == wanted
    assert {t.child_frame_id for t in frames[-1].transforms} == {f"object_{i}" for i in wanted}
    assert wait_for(lambda: {c.header.frame_id for c in list(clouds)} == {f"object_{i}" for i in wanted})
    # What was shown goes when the verdict does.
    assert wait_for(
        lambda: (
            stage.show(things(2 * SECOND, [1, 2], rejected=[1, 2]))
            or shown(markers) == (markers_of(1, 2) if rejected else set())
        )
    )


def test_frames_of_objects_have_the_prefix_wherever_they_are_named(
    play: Play, listen: Listen, wait_for: Any
) -> None:
    stage = play(
        lambda node: [*object_topics(node, MOST, prefix="robot1/"), ObjectGaussians(node, prefix="robot1/")]
    )
    frames, clouds = listen(TFMessage, "/tf", RELIABLE).heard, listen(PointCloud2, "gaussians", LATCHED).heard
    markers = listen(MarkerArray, "markers", LATCHED).heard
    moment = things(SECOND, [7], splats=True)
    assert wait_for(lambda: stage.show(moment) or (frames and clouds and shown(markers)))
    assert {(t.header.frame_id, t.child_frame_id) for t in frames[-1].transforms} == {
        ("camera", "robot1/object_7")
    }
    assert clouds[-1].header.frame_id == "robot1/object_7"
    assert wait_for(
        lambda: (
            {m.header.frame_id for said in list(markers) for m in said.markers if m.ns == "mesh"}
            == {"robot1/object_7"}
        )
    )


def test_splats_are_taken_back_by_an_empty_cloud(play: Play, listen: Listen, wait_for: Any) -> None:
    stage = play(lambda node: [ObjectGaussians(node)])
    moment = things(SECOND, [1], splats=True)
    clouds = listen(PointCloud2, "gaussians", LATCHED).heard
    assert wait_for(lambda: stage.show(moment) or clouds)
    stage.clear(moment)
    assert wait_for(lambda: clouds[-1].width == 0)
    assert (clouds[-1].header.frame_id, nanoseconds(clouds[-1].header.stamp)) == ("camera", SECOND)
    late = listen(PointCloud2, "gaussians", LATCHED).heard
    assert wait_for(lambda: late and late[-1].width == 0)


def test_a_mesh_that_others_would_push_out_is_sent_again(stage: Stage, listen: Listen, wait_for: Any) -> None:
    ear = listen(ObjectMesh, "meshes", LATCHED)
    stage.show(things(SECOND, [1, 2]))
    assert wait_for(lambda: stage.refresh() or len(ear.heard) == 2)
    last = 2 * (MOST + SPARE_MESHES)
    for version in range(2, last + 1):
        stage.show(things(version * SECOND, [1, 2], versions={1: version}))
    assert wait_for(lambda: ear.heard[-1].version == last)
    late = listen(ObjectMesh, "meshes", LATCHED)
    assert wait_for(lambda: {(m.id, m.version) for m in list(late.heard)} >= {(1, last), (2, 1)})


def test_what_is_taken_back_stays_away(stage: Stage, listen: Listen, wait_for: Any) -> None:
    objects = listen(ObjectArray, "objects", RELIABLE).heard
    detections = listen(Detection3DArray, "detections", RELIABLE).heard
    markers = listen(MarkerArray, "markers", LATCHED).heard
    moment = things(SECOND, [1, 2])
    assert wait_for(lambda: stage.show(moment) or (objects and detections))
    assert wait_for(lambda: stage.show(moment) or shown(markers) == markers_of(1, 2))
    assert (objects[-1].session, objects[-1].revision) == (SESSION, 1)
    stage.clear(things(9 * SECOND, [1, 2]))
    assert wait_for(lambda: not objects[-1].objects and not detections[-1].detections)
    assert {nanoseconds(said[-1].header.stamp) for said in (objects, detections)} == {9 * SECOND}
    assert (objects[-1].session, objects[-1].revision) == (SESSION, 2)
    assert wait_for(lambda: shown(markers) == set())
    late = listen(MarkerArray, "markers", LATCHED).heard
    assert wait_for(lambda: stage.refresh() or late)
    assert wait_for(lambda: shown(late) == set())
    # And it comes again with the next image.
    assert wait_for(lambda: stage.show(moment) or shown(late) == markers_of(1, 2))
