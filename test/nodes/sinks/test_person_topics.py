"""Topics that come and go with a person, while another thread spins the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from sam3d_ros.nodes.person_topics import PersonTopics
from sam3d_ros.ros.qos import qos_profile

#: So often topics are made and destroyed beside the executor.
ROUNDS = 150


@pytest.fixture
def topics(probe: Any) -> Iterator[PersonTopics]:
    made = PersonTopics(probe.node, lambda i: f"/person_{i}", {"state": JointState, "seen": Header})
    yield made
    made.keep(())


def test_they_come_with_the_person_and_go_with_it(
    topics: PersonTopics, late_probe: Any, wait_for: Any
) -> None:
    def publishers(topic: str) -> int:
        return late_probe.node.count_publishers(topic)

    topics.publish(3, {"state": JointState(name=["a"])})
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
        topics.publish(7, {"state": JointState(name=["seven"])})
        topics.publish(8, {"state": JointState(name=["eight"])})
        return bool(heard and other)

    assert wait_for(arrived)
    assert {name for message in heard for name in message.name} == {"seven"}
    assert {name for message in other for name in message.name} == {"eight"}


def test_they_may_come_and_go_while_the_node_is_spun(
    topics: PersonTopics, probe: Any, late_probe: Any, wait_for: Any
) -> None:
    heard = probe.hear(Header, "/still_spinning", qos_profile("reliable"))
    sender = late_probe.node.create_publisher(Header, "/still_spinning", qos_profile("reliable"))
    waited_for = list(probe.node.waitables)
    for track_id in range(ROUNDS):
        sender.publish(Header())  # the executor is at work, and waits anew
        topics.publish(track_id, {"state": JointState(), "seen": Header()})
        topics.keep({track_id - 1, track_id})
    assert topics.ids == [ROUNDS - 2, ROUNDS - 1]
    # With the usual event handlers an executor would wait for publishers, and fail over one that goes meanwhile.
    assert list(probe.node.waitables) == waited_for
    before = len(heard)

    def goes_on() -> bool:
        sender.publish(Header())
        return len(heard) > before

    assert wait_for(goes_on)
