"""Whatever quality of service publishers offer, their messages come; what keeps them from coming has a name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_bench import CAMERA, FRAME, Pipeline, SmallCamera, both_read
from rclpy.qos import (
    DurabilityPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from spinning import SpunNodes
from vision_msgs.msg import Detection2DArray, LabelInfo

from sam3d_ros.nodes.player_messages import label_info_message
from sam3d_ros.nodes.sources import frame_source
from sam3d_ros.nodes.sources.frame_source import LOSS_WINDOWS
from sam3d_ros.nodes.sources.inlet import followed
from sam3d_ros.nodes.sources.input_settings import InputSettings
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.diagnostics import InputHealth, InputState
from sam3d_ros.ros.faults import Fault, FaultError
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.qos import PROFILE_NAMES, qos_profile
from sam3d_ros.ros.stamps import header_message

Pipelines = Callable[..., Pipeline]

profiles = st.builds(
    QoSProfile,
    depth=st.integers(1, 20),
    reliability=st.sampled_from([ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT]),
    durability=st.sampled_from([DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL]),
)


@given(st.lists(profiles, min_size=1, max_size=4), st.sampled_from(PROFILE_NAMES))
def test_what_is_asked_for_fits_every_publisher_and_no_less_than_all_offer(
    offers: list[QoSProfile], name: str
) -> None:
    asked = followed(qos_profile(name), offers)
    assert all(qos_check_compatible(offer, asked)[0] != QoSCompatibility.ERROR for offer in offers)
    assert asked.depth == qos_profile(name).depth
    if all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers):
        assert asked.reliability == ReliabilityPolicy.RELIABLE
        if all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers):
            assert asked.durability == DurabilityPolicy.TRANSIENT_LOCAL


def asked_for(probe: Any, topic: str) -> set[tuple[ReliabilityPolicy, DurabilityPolicy]]:
    ends = probe.node.get_subscriptions_info_by_topic(topic)
    return {(end.qos_profile.reliability, end.qos_profile.durability) for end in ends}


BEST_EFFORT = (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
RELIABLE = (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
LATCHED = (ReliabilityPolicy.RELIABLE, DurabilityPolicy.TRANSIENT_LOCAL)


def test_a_subscription_follows_publishers_that_come_and_go(
    pipelines: Pipelines, probe: Any, wait_for: Any
) -> None:
    pipeline = pipelines("follower")
    pipeline.open()
    assert wait_for(lambda: asked_for(probe, "image") == {BEST_EFFORT})

    def follows(policies: tuple[ReliabilityPolicy, DurabilityPolicy]) -> bool:
        def seen() -> bool:
            pipeline.follow()
            return asked_for(probe, "image") == {policies}

        return bool(wait_for(seen))

    made = []
    for name, expected in (("reliable", RELIABLE), ("latched", RELIABLE), ("sensor_data", BEST_EFFORT)):
        made.append(probe.node.create_publisher(Image, "image", qos_profile(name)))
        assert follows(expected), name
    for expected in (LATCHED, RELIABLE):  # without the first, and then with what is left of the last two
        publisher = made.pop(0) if expected is LATCHED else None
        if publisher is not None:
            probe.do(lambda gone=publisher: probe.node.destroy_publisher(gone))
            last = made.pop()
            probe.do(lambda gone=last: probe.node.destroy_publisher(gone))
            assert follows(LATCHED)
    probe.do(lambda: probe.node.destroy_publisher(made.pop()))
    # Nobody is left: nothing changes until somebody comes.
    pipeline.follow()
    assert wait_for(lambda: asked_for(probe, "image") == {LATCHED})


def health(pipeline: Pipeline, kind: Input) -> InputHealth:
    pipeline.follow()
    topic = pipeline.source.topic(kind, pipeline.node)
    return next(item for item in pipeline.reader.health() if item.topic == topic)


def test_a_calibration_told_once_before_the_node_began_holds(
    pipelines: Pipelines, camera: SmallCamera, probe: Any, wait_for: Any
) -> None:
    camera.remove("camera_info")
    once = probe.node.create_publisher(CameraInfo, "camera_info", qos_profile("latched"))
    once.publish(info_from_camera(CAMERA, header_message(0, FRAME)))
    pipeline = pipelines("late")
    pipeline.open()

    def read() -> bool:
        pipeline.follow()
        stamp = camera.send()
        return bool(wait_for(lambda: stamp in pipeline.stamps(), 0.5))

    assert wait_for(read)
    assert health(pipeline, Input.CAMERA_INFO).state is InputState.OK
    probe.do(lambda: probe.node.destroy_publisher(once))


@pytest.mark.parametrize("quality", PROFILE_NAMES)
def test_names_come_from_publishers_of_any_quality(
    quality: str, pipelines: Pipelines, probe: Any, wait_for: Any
) -> None:
    pipeline = pipelines("reader")
    pipeline.open()
    names = probe.node.create_publisher(LabelInfo, "label_info", qos_profile(quality))

    def told() -> bool:
        pipeline.follow()
        names.publish(label_info_message({1: "mug"}, header_message(0, "")))
        return bool(wait_for(lambda: pipeline.source.names, 0.5))

    assert wait_for(told) and pipeline.source.names == {Input.LABELS: {1: "mug"}}
    probe.do(lambda: probe.node.destroy_publisher(names))


def told(pipeline: Pipeline, fault: Fault) -> str:
    """The last message of a fault; empty if it was not reported."""
    return next((r.message for r in pipeline.report.faults.records() if r.fault is fault), "")


def test_what_is_asked_for_and_not_offered_is_named(
    pipelines: Pipelines, camera: SmallCamera, wait_for: Any
) -> None:
    pipeline = pipelines("strict", settings=InputSettings(input_qos="reliable"))
    pipeline.open()

    def named() -> str:
        pipeline.follow()
        return told(pipeline, Fault.INCOMPATIBLE_QOS)

    assert wait_for(named)
    assert "Best effort publisher and reliable subscription" in named()
    assert any(named().startswith(f"/{topic}:") for topic in ("image", "labels", "camera_info"))
    assert health(pipeline, Input.IMAGE).state is InputState.NEVER_SEEN


def test_images_that_are_lost_while_their_calibration_comes_are_named(
    pipelines: Pipelines, camera: SmallCamera, wait_for: Any
) -> None:
    pipeline = pipelines("looser")
    pipeline.open()
    both_read(camera, wait_for, pipeline)

    def named() -> str:
        camera.send()
        time.sleep(0.05)
        pipeline.follow()
        return told(pipeline, Fault.LOST_MESSAGES)

    assert not wait_for(named, 2.5)
    camera.remove("image")
    assert wait_for(lambda: named().startswith("0 of /image came in 1."))
    assert "of /camera_info, which are small" in named()


def test_one_image_lost_in_ten_is_named_in_the_long_run(
    pipelines: Pipelines, camera: SmallCamera, wait_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    short, long = LOSS_WINDOWS
    monkeypatch.setattr(frame_source, "LOSS_WINDOWS", (short, replace(long, seconds=3.0)))
    pipeline = pipelines("patient")
    pipeline.open()
    both_read(camera, wait_for, pipeline)
    sent = itertools.count()

    def named(one_in: int) -> str:
        camera.send(lost="image" if one_in and next(sent) % one_in == 0 else "")
        time.sleep(0.02)
        pipeline.follow()
        return told(pipeline, Fault.LOST_MESSAGES)

    assert not wait_for(lambda: named(0), 4.0)
    assert wait_for(lambda: named(10), 10.0)


def test_every_input_has_the_state_that_it_is_in(
    pipelines: Pipelines, camera: SmallCamera, probe: Any, wait_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = pipelines("watched")
    pipeline.open()
    assert {item.state for item in pipeline.reader.health()} == {InputState.NEVER_SEEN}
    camera.add("depth")
    both_read(camera, wait_for, pipeline)
    states = {kind: health(pipeline, kind).state for kind in (Input.IMAGE, Input.LABELS, Input.DEPTH)}
    assert set(states.values()) == {InputState.OK}
    assert health(pipeline, Input.DEPTH_INFO).state is InputState.NEVER_SEEN
    assert health(pipeline, Input.DEPTH_INFO).publishers == 0
    # Depth is there, and sweeps are left alone.
    assert wait_for(lambda: health(pipeline, Input.POINTS).state is InputState.NOT_READ)
    monkeypatch.setattr("sam3d_ros.nodes.sources.frame_reader.STALE_AFTER", 0.0)
    assert health(pipeline, Input.IMAGE).state is InputState.STALE
    assert health(pipeline, Input.CAMERA_INFO).state is InputState.OK


def test_two_inputs_of_one_name_are_refused_and_others_go_on(
    host: SpunNodes, pipelines: Pipelines, camera: SmallCamera, wait_for: Any
) -> None:
    sound = pipelines("sound")
    sound.open()
    twice = pipelines("twice", cli_args=["--ros-args", "-r", "points:=/cam/depth", "-r", "depth:=/cam/depth"])
    raised: list[FaultError] = []

    def opened() -> None:
        try:
            twice.reader.open()
        except FaultError as error:
            raised.append(error)

    for _ in range(2):
        host.do(opened)
        twice.follow()
    assert [error.fault for error in raised] == 2 * [Fault.WRONG_TYPE]
    assert "/cam/depth cannot be read as sensor_msgs/msg/" in str(raised[0])
    both_read(camera, wait_for, sound)
    assert twice.frames == []


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("image", CompressedImage, "sensor_msgs/msg/CompressedImage, and read as sensor_msgs/msg/Image"),
        ("depth", PointCloud2, "sensor_msgs/msg/PointCloud2, and read as sensor_msgs/msg/Image"),
        (
            "label_info",
            Detection2DArray,
            "vision_msgs/msg/Detection2DArray, and read as vision_msgs/msg/LabelInfo",
        ),
    ],
)
def test_a_topic_of_another_type_is_named_and_not_waited_for(
    pipelines: Pipelines, camera: SmallCamera, late_probe: Any, wait_for: Any, name: str, kind: Any, told: str
) -> None:
    # A process has a topic as one type alone.
    publisher = late_probe.node.create_publisher(kind, name, qos_profile("sensor_data"))
    pipeline = pipelines("reader")
    pipeline.open()

    def named() -> bool:
        pipeline.follow()
        return pipeline.report.faults.count(Fault.WRONG_TYPE) > 0

    assert wait_for(named)
    (record,) = [r for r in pipeline.report.faults.records() if r.fault is Fault.WRONG_TYPE]
    assert record.message.startswith(f"/{name} is published as {told}")
    assert not pipeline.reader.assembler.config.expect_depth
    both_read(camera, wait_for, pipeline)
    late_probe.do(lambda: late_probe.node.destroy_publisher(publisher))

    def silent() -> bool:
        before = pipeline.report.faults.count(Fault.WRONG_TYPE)
        pipeline.follow()
        return pipeline.report.faults.count(Fault.WRONG_TYPE) == before

    assert wait_for(silent)
