"""Topics that come and go with a person, while another thread spins the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState
from spinning import EXECUTORS, SpunNodes
from std_msgs.msg import Header

from sam3d_ros.nodes.sinks.person_topics import PersonTopics
from sam3d_ros.ros.qos import qos_profile

#: So often topics are made and destroyed beside the executor, those of so many people by turns.
ROUNDS, PEOPLE = 150, 7


@pytest.fixture(scope="module", params=EXECUTORS)
def node(own_domain: None, request: pytest.FixtureRequest) -> Iterator[Node]:
    """What carries the topics, spun by either executor."""
    process = SpunNodes(request.param)
    yield process.create("people")
    process.close()


@pytest.fixture
def topics(node: Node) -> Iterator[PersonTopics]:
    made = PersonTopics(node, lambda i: f"/person_{i}", {"state": JointState, "seen": Header})
    yield made
    made.keep(())


def test_they_come_with_the_person_and_go_with_it(
    topics: PersonTopics, late_probe: Any, wait_for: Any
) -> None:
    def publishers(topic: str) -> int:
        return late_probe.node.count_publishers(topic)

    topics.publish(3, {"state": lambda: JointState(name=["a"])})
    topics.publish(12, {})
    assert topics.ids == [3, 12]
    for topic in ("/person_3/state", "/person_3/seen", "/person_12/state"):
        assert wait_for(lambda topic=topic: publishers(topic) == 1)
    topics.keep({12, 40})
    assert topics.ids == [12]
    assert wait_for(lambda: publishers("/person_3/state") == publishers("/person_3/seen") == 0)
    assert publishers("/person_12/state") == 1
    topics.keep(())
    assert wait_for(lambda: publishers("/person_12/state") == 0)


def test_what_is_published_arrives_on_the_topic_of_the_person(
    topics: PersonTopics, late_probe: Any, wait_for: Any
) -> None:
    heard = late_probe.hear(JointState, "/person_7/state", qos_profile("reliable"))
    other = late_probe.hear(JointState, "/person_8/state", qos_profile("reliable"))

    def arrived() -> bool:
        topics.publish(7, {"state": lambda: JointState(name=["seven"])})
        topics.publish(8, {"state": lambda: JointState(name=["eight"])})
        return bool(heard and other)

    assert wait_for(arrived)
    assert {name for message in heard for name in message.name} == {"seven"}
    assert {name for message in other for name in message.name} == {"eight"}


def test_nothing_is_made_where_nobody_listens(topics: PersonTopics, late_probe: Any, wait_for: Any) -> None:
    made: list[str] = []

    def state() -> JointState:
        made.append("state")
        return JointState()

    def seen() -> Header:
        made.append("seen")
        return Header()

    for _ in range(3):
        topics.publish(5, {"state": state, "seen": seen})
    assert made == []
    late_probe.hear(Header, "/person_5/seen", qos_profile("reliable"))
    assert wait_for(lambda: topics.publish(5, {"state": state, "seen": seen}) or made)
    assert set(made) == {"seen"}


def test_they_may_come_and_go_while_the_node_is_spun(
    topics: PersonTopics, node: Node, late_probe: Any, wait_for: Any
) -> None:
    heard: list[Header] = []
    node.create_subscription(Header, "/still_spinning", heard.append, qos_profile("reliable"))
    sender = late_probe.node.create_publisher(Header, "/still_spinning", qos_profile("reliable"))
    people = [
        late_probe.hear(JointState, f"/person_{i}/state", qos_profile("reliable")) for i in range(PEOPLE)
    ]
    waited_for = list(node.waitables)
    for count in range(ROUNDS):
        sender.publish(Header())  # the executor is at work, and waits anew
        for track_id in (count % PEOPLE, (count + 1) % PEOPLE):
            topics.publish(track_id, {"state": JointState, "seen": Header})
        topics.keep({count % PEOPLE, (count + 1) % PEOPLE})
    assert topics.ids == sorted((count % PEOPLE, (count + 1) % PEOPLE))
    # With the usual event handlers an executor would wait for publishers, and fail over one that goes meanwhile.
    assert list(node.waitables) == waited_for
    before = len(heard)

    def goes_on() -> bool:
        sender.publish(Header())
        for track_id in topics.ids:
            topics.publish(track_id, {"state": JointState})
        return len(heard) > before and any(people)

    assert wait_for(goes_on), (before, len(heard), [len(p) for p in people], topics.ids)
