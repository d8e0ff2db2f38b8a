"""Listener and broadcasters between processes, over the real middleware."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import pytest
import rclpy
import rclpy.executors
import rclpy.qos
import tf2_ros
from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

DOMAIN = 71
# Discovery has been seen to take 3.5 s; nothing here waits that long when all is well.
PATIENCE = 15.0

BROADCASTER = textwrap.dedent(
    """
    import sys
    import rclpy
    import tf2_ros
    from geometry_msgs.msg import TransformStamped

    def sample(parent, child, x, stamp=None):
        message = TransformStamped()
        message.header.frame_id, message.child_frame_id = parent, child
        if stamp is not None:
            message.header.stamp = stamp
        message.transform.translation.x = x
        message.transform.rotation.w = 1.0
        return message

    rclpy.init()
    node = rclpy.create_node("broadcaster")
    static = tf2_ros.StaticTransformBroadcaster(node)
    static.sendTransform(sample("base", "camera", 1.0))
    static.sendTransform([sample("base", "lidar", 2.0), sample("camera", "optical", 3.0)])
    static.sendTransform(sample("base", "lidar", 4.0))
    moving = tf2_ros.TransformBroadcaster(node)

    def tick():
        now = node.get_clock().now()
        moving.sendTransform([sample("map", "base", now.nanoseconds / 1e9 % 1000.0, now.to_msg())])

    node.create_timer(0.05, tick)
    print("ready", flush=True)
    rclpy.spin(node)
    """
)


@pytest.fixture(scope="module")
def broadcaster() -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {
        "ROS_DOMAIN_ID": str(DOMAIN),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", BROADCASTER], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = Node("listener", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_a_late_listener_gets_all_static_transforms(broadcaster, node):
    """The broadcaster has sent everything before the listener exists: only latching can deliver it."""
    time.sleep(0.3)
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node)
    executor = rclpy.executors.SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    deadline = time.monotonic() + PATIENCE
    while not buffer.can_transform("base", "optical", Time()) and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    assert buffer.lookup_transform("base", "camera", Time()).transform.translation.x == 1.0
    assert buffer.lookup_transform("base", "optical", Time()).transform.translation.x == 4.0
    assert buffer.lookup_transform("base", "lidar", Time()).transform.translation.x == 2.0  # the first one
    listener.unregister()
    assert not [s for s in node.subscriptions if s.topic_name in ("/tf", "/tf_static")]


def test_a_spinning_listener_lets_a_look_up_wait_for_the_stamp(broadcaster, node):
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, node, spin_thread=True)
    assert buffer.can_transform("map", "optical", Time(), timeout=Duration(seconds=PATIENCE))
    soon = Time(nanoseconds=time.time_ns() + 200_000_000)  # a stamp that no sample has reached yet
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform("map", "optical", soon)
    found = buffer.lookup_transform("map", "optical", soon, timeout=Duration(seconds=PATIENCE))
    # base moves along x by one metre a second, and the samples around the stamp are interpolated.
    expected = soon.nanoseconds / 1e9 % 1000.0 + 4.0
    assert found.transform.translation.x == pytest.approx(expected, abs=1e-3)
    thread = listener.dedicated_listener_thread
    listener.__del__()
    assert not thread.is_alive()


def test_the_topics_have_the_qos_that_tf2_uses(node):
    static = tf2_ros.StaticTransformBroadcaster(node)
    moving = tf2_ros.TransformBroadcaster(node)
    listener = tf2_ros.TransformListener(tf2_ros.Buffer(), node)
    transient, volatile = rclpy.qos.DurabilityPolicy.TRANSIENT_LOCAL, rclpy.qos.DurabilityPolicy.VOLATILE
    reliable = rclpy.qos.ReliabilityPolicy.RELIABLE
    expected = {
        static.pub_tf: ("/tf_static", transient, 1),
        moving.pub_tf: ("/tf", volatile, 100),
        listener.tf_sub: ("/tf", volatile, 100),
        listener.tf_static_sub: ("/tf_static", transient, 100),
    }
    for endpoint, (topic, durability, depth) in expected.items():
        name = endpoint.topic_name if hasattr(endpoint, "topic_name") else endpoint.topic
        profile = endpoint.qos_profile
        assert (name, profile.durability, profile.depth) == (topic, durability, depth)
        assert profile.reliability == reliable
