"""The topics of the people: nothing is made that nobody hears, and whoever comes late has everybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import JointState
from sink_bench import NODE, SECOND, SESSION, Ear, Made, Stage, people, shown
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import BodyArray, BodyMesh
from sam3d_ros.nodes.sinks.bodies import body_topics
from sam3d_ros.nodes.sinks.humans import NAMESPACE, HumansTopics
from sam3d_ros.nodes.sinks.sink import Sink
from sam3d_ros.perception.scenes.joint_scene import SeenPeople
from sam3d_ros.ros.body_markers import NAMESPACES
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

RELIABLE, LATCHED = qos_profile("reliable"), qos_profile("latched", depth=100)
MOST = 4
#: Topic -> type, and what makes its messages.
TOPICS = {
    "bodies": (BodyArray, "body_array"),
    "meshes": (BodyMesh, "body_mesh"),
    "markers": (MarkerArray, "BodyMarkerBoard.update"),
    "body_1/joint_states": (JointState, "joint_state"),
}
HUMANS_TOPICS = {"roi": "region_of", "skeleton2d": "skeleton_of", "joint_states": "joint_state"}
#: What those who come late get, too.
LATE_TOPICS = ("meshes", "markers")
Play = Callable[[Callable[[LifecycleNode], Sequence[Sink[SeenPeople]]]], Stage]
Listen = Callable[..., Ear[Any]]


class Humans:
    """Stands in for the messages of hri_msgs, which few machines have.

    Args:
        made: counts what is made of a person.
    """

    ids_list = region = skeleton = Header

    def __init__(self, made: Counter[str] | None = None) -> None:
        self._made: Counter[str] = Counter() if made is None else made

    def tracked(self, ids: Sequence[int], header: Header) -> Header:
        return Header(stamp=header.stamp, frame_id=" ".join(map(str, ids)))

    def region_of(self, _tracked: Any, _frame: Any) -> Header:
        self._made["region_of"] += 1
        return Header()

    def skeleton_of(self, _tracked: Any, _frame: Any) -> Header:
        self._made["skeleton_of"] += 1
        return Header()


def topics_of(node: LifecycleNode, **options: Any) -> Sequence[Sink[SeenPeople]]:
    return body_topics(node, MOST, **({"joint_frames": False, "surface_markers": True} | options))


@pytest.fixture
def stage(play: Play) -> Stage:
    """The topics that every node has."""
    return play(topics_of)


def markers_of(*ids: int) -> set[tuple[str, int]]:
    return {(namespace, track_id) for namespace in NAMESPACES for track_id in ids}


@pytest.mark.parametrize("topic", TOPICS)
def test_a_message_is_made_for_who_listens_and_no_other(
    topic: str, monkeypatch: pytest.MonkeyPatch, play: Play, listen: Listen, wait_for: Any
) -> None:
    made = Made(monkeypatch, "sam3d_ros.nodes.sinks.bodies", *(name for _, name in TOPICS.values()))
    stage = play(topics_of)
    for second in range(1, 4):
        assert made.by(lambda second=second: stage.show(people(second * SECOND, [1, 2]))) == {}
    message_type, name = TOPICS[topic]
    ear = listen(message_type, topic, LATCHED if topic in LATE_TOPICS else RELIABLE)
    assert wait_for(lambda: set(made.by(lambda: stage.show(people(4 * SECOND, [1, 2])))) == {name})
    assert wait_for(lambda: stage.show(people(5 * SECOND, [1, 2])) or ear.heard)
    ear.leave()
    assert wait_for(lambda: made.by(lambda: stage.show(people(6 * SECOND, [1, 2]))) == {})


@pytest.mark.parametrize("topic", HUMANS_TOPICS)
def test_what_rep_155_wants_of_a_person_is_made_for_who_listens(
    topic: str, monkeypatch: pytest.MonkeyPatch, play: Play, listen: Listen, wait_for: Any
) -> None:
    made = Made(monkeypatch, "sam3d_ros.nodes.sinks.humans", "joint_state")
    stage = play(lambda node: [HumansTopics(node, Humans(made.counts))])
    assert made.by(lambda: stage.show(people(SECOND, [1, 2]))) == {}
    kind = JointState if topic == "joint_states" else Header
    ear = listen(kind, f"/{NAMESPACE}/b0002/{topic}", RELIABLE)
    moment = people(2 * SECOND, [1, 2])
    assert wait_for(lambda: made.by(lambda: stage.show(moment)) == {HUMANS_TOPICS[topic]: 1})
    assert wait_for(lambda: stage.show(moment) or ear.heard)
    ear.leave()
    assert wait_for(lambda: made.by(lambda: stage.show(moment)) == {})


def test_who_is_tracked_stays_listed_while_out_of_sight_and_comes_late_to_everybody(
    play: Play, listen: Listen, wait_for: Any
) -> None:
    stage = play(lambda node: [HumansTopics(node, Humans())])
    stage.show(people(SECOND, [1, 2]))
    stage.show(people(2 * SECOND, [2], alive=[1]))
    ear = listen(Header, f"/{NAMESPACE}/tracked", qos_profile("latched"))
    assert wait_for(lambda: [m.frame_id for m in ear.heard] == ["1 2"])
    last = people(3 * SECOND, [2])
    stage.show(last)
    assert wait_for(lambda: ear.heard[-1].frame_id == "2")
    stage.clear(last)
    assert wait_for(lambda: ear.heard[-1].frame_id == "")


@pytest.mark.parametrize(
    ("namespace", "root"), [("", ""), ("robot1", "/robot1"), ("/fleet/robot1", "/fleet/robot1")]
)
def test_rep_155_is_in_the_namespace_of_the_node(
    namespace: str, root: str, play: Callable[..., Stage], listen: Listen, wait_for: Any
) -> None:
    stage = play(lambda node: [HumansTopics(node, Humans())], namespace)
    moment = people(SECOND, [7])
    stage.show(moment)
    ear = listen(Header, f"{root}/humans/bodies/tracked", qos_profile("latched"))
    assert wait_for(lambda: [m.frame_id for m in ear.heard] == ["7"])
    for topic in HUMANS_TOPICS:
        assert stage.node.count_publishers(f"{root}/humans/bodies/b0007/{topic}") == 1


@pytest.mark.parametrize("joint_frames", [False, True])
def test_frames_are_told_to_everybody_as_soon_as_there_are_people(
    joint_frames: bool, play: Play, listen: Listen, wait_for: Any
) -> None:
    stage = play(lambda node: topics_of(node, joint_frames=joint_frames, humans=Humans()))
    ear = listen(TFMessage, "/tf", RELIABLE)
    stage.show(people(SECOND, []))
    assert wait_for(lambda: stage.show(people(2 * SECOND, [3])) or ear.heard)
    wanted = {"body_3", "body_b0003"}
    if joint_frames:
        wanted |= {"root_3", "l_upleg_3", "c_head_3"}
    for message in list(ear.heard):
        assert {t.child_frame_id for t in message.transforms} == wanted


@pytest.mark.parametrize("prefix", ["", "robot1/"])
def test_frames_of_people_have_the_prefix_wherever_they_are_named_and_topics_do_not(
    prefix: str, play: Play, listen: Listen, wait_for: Any
) -> None:
    stage = play(lambda node: topics_of(node, joint_frames=True, humans=Humans(), prefix=prefix))
    frames = listen(TFMessage, "/tf", RELIABLE).heard
    meshes = listen(BodyMesh, "meshes", LATCHED).heard
    markers = listen(MarkerArray, "markers", LATCHED).heard
    moment = people(SECOND, [3])
    assert wait_for(lambda: stage.show(moment) or (frames and meshes and shown(markers)))
    told = {t.child_frame_id: t.header.frame_id for t in frames[-1].transforms}
    assert {f"{prefix}body_3", f"{prefix}body_b0003", f"{prefix}root_3"} <= set(told)
    assert all(name.startswith(prefix) for name in told)
    assert set(told.values()) == {"camera", f"{prefix}body_3"}
    assert {(m.header.frame_id, m.session) for m in list(meshes)} == {(f"{prefix}body_3", SESSION)}
    assert wait_for(
        lambda: (
            {m.header.frame_id for said in list(markers) for m in said.markers if m.ns == "surface"}
            == {f"{prefix}body_3"}
        )
    )
    assert stage.node.count_publishers(f"{NODE}/body_3/joint_states") == 1
    assert stage.node.count_publishers("/humans/bodies/b0003/joint_states") == 1


def test_who_comes_late_gets_everybody_though_nothing_moves_any_more(
    stage: Stage, listen: Listen, wait_for: Any
) -> None:
    ids = range(1, MOST + 1)
    stage.show(people(SECOND, ids))

    def viewer() -> tuple[Ear[BodyMesh], Ear[MarkerArray]]:
        return listen(BodyMesh, "meshes", LATCHED), listen(MarkerArray, "markers", LATCHED)

    def has_everybody(meshes: Ear[BodyMesh], markers: Ear[MarkerArray]) -> bool:
        stage.refresh()
        told = {(m.id, nanoseconds(m.header.stamp)) for m in list(meshes.heard)}
        return told == {(i, SECOND) for i in ids} and shown(markers.heard) == markers_of(*ids)

    first = viewer()
    assert wait_for(lambda: has_everybody(*first))
    beside = viewer()
    assert wait_for(lambda: has_everybody(*beside))
    for ear in (*first, *beside):
        ear.leave()
    assert wait_for(lambda: not any(map(stage.is_heard, LATE_TOPICS)))
    last = viewer()
    assert wait_for(lambda: has_everybody(*last))
    # As long as somebody listens a moment is published once, whoever comes.
    assert all(len(meshes.heard) == MOST for meshes, _ in (first, beside))


def test_who_comes_back_is_not_shown_who_is_gone(stage: Stage, listen: Listen, wait_for: Any) -> None:
    before = listen(MarkerArray, "markers", LATCHED)
    stage.show(people(SECOND, [1, 2]))
    assert wait_for(lambda: stage.refresh() or shown(before.heard) == markers_of(1, 2))
    before.leave()
    assert wait_for(lambda: not stage.is_heard("markers"))
    stage.show(people(2 * SECOND, [2, 3]))
    late = listen(MarkerArray, "markers", LATCHED)
    assert wait_for(lambda: stage.refresh() or shown(late.heard) == markers_of(2, 3)), shown(late.heard)


def test_topics_of_who_is_out_of_sight_for_a_moment_stay(stage: Stage) -> None:
    def people_with_topics() -> set[int]:
        return {i for i in range(1, 4) if stage.node.count_publishers(f"{NODE}/body_{i}/joint_states")}

    stage.show(people(SECOND, [1, 2]))
    assert people_with_topics() == {1, 2}
    stage.show(people(2 * SECOND, [2, 3], alive=[1]))
    assert people_with_topics() == {1, 2, 3}
    stage.show(people(3 * SECOND, [3], alive=[2]))
    assert people_with_topics() == {2, 3}


def test_surfaces_are_shown_only_where_they_are_wanted(play: Play, listen: Listen, wait_for: Any) -> None:
    stage = play(lambda node: topics_of(node, surface_markers=False))
    ear = listen(MarkerArray, "markers", LATCHED)
    stage.show(people(SECOND, [1]))
    assert wait_for(lambda: stage.refresh() or shown(ear.heard))
    assert shown(ear.heard) == {(namespace, 1) for namespace in NAMESPACES if namespace != "surface"}


def test_everybody_is_taken_back(stage: Stage, listen: Listen, wait_for: Any) -> None:
    bodies = listen(BodyArray, "bodies", RELIABLE).heard
    markers = listen(MarkerArray, "markers", LATCHED).heard
    moment = people(SECOND, [1, 2])
    assert wait_for(lambda: stage.show(moment) or bodies)
    assert wait_for(lambda: stage.show(moment) or shown(markers) == markers_of(1, 2))
    topic = f"{NODE}/body_1/joint_states"
    assert stage.node.count_publishers(topic) == 1
    assert bodies[-1].session == SESSION
    stage.clear(people(9 * SECOND, [1]))
    assert wait_for(lambda: not bodies[-1].bodies and nanoseconds(bodies[-1].header.stamp) == 9 * SECOND)
    assert bodies[-1].session == SESSION
    assert wait_for(lambda: shown(markers) == set())
    assert wait_for(lambda: not stage.node.count_publishers(topic))
    late = listen(MarkerArray, "markers", LATCHED).heard
    assert wait_for(lambda: stage.refresh() or late)
    assert wait_for(lambda: shown(late) == set())
