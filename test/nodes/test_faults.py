"""Every bad input is named on /diagnostics, and does no harm to the good input after it; over real topics."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from sam3d_ros.geometry.cameras import Camera
from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.msg import ObjectArray
from sam3d_ros.ros.camera_info import info_from_camera
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import header_message, nanoseconds
from sam3d_ros.ros.transforms import transform_message
from sam3d_ros.simulation.rendering import render
from sam3d_ros.simulation.scenes import random_scene
from sam3d_ros.simulation.trajectories import viewpoint

NODE = "/sam3d_objects"
OBJECTS = 3
FRAME, OTHER_FRAME = "camera_optical_frame", "depth_optical_frame"
PERIOD = 0.1
#: A fault is to be named within a second; the rest is slack for a busy machine. Seconds.
PATIENCE = 15.0

Messages = dict[str, Any]


class Feed:
    """A camera with a segmenter that the test can spoil."""

    def __init__(self, probe: Any) -> None:
        self._clock = probe.node.get_clock()
        sensor = qos_profile("sensor_data")
        types = {"image": Image, "labels": Image, "camera_info": CameraInfo, "depth": Image}
        self._publishers = {
            name: probe.node.create_publisher(message_type, name, sensor)
            for name, message_type in (types | {"depth/camera_info": CameraInfo}).items()
        }
        self.tf = probe.node.create_publisher(TFMessage, "/tf", 10)
        self.objects = probe.hear(ObjectArray, f"{NODE}/objects", qos_profile("reliable"))
        self.diagnostics = probe.hear(DiagnosticArray, "/diagnostics", 10)
        scene = random_scene(3, OBJECTS)
        camera = Camera.from_field_of_view(192, 144, np.deg2rad(60.0))
        self.picture = render(scene, camera, viewpoint(0.85, 0.0, np.deg2rad(35.0)))

    def now(self) -> int:
        return int(self._clock.now().nanoseconds)

    def good(self, stamp: int) -> Messages:
        """A set of messages that nothing is wrong with."""
        header, picture = header_message(stamp, FRAME), self.picture
        return {
            "camera_info": info_from_camera(picture.camera, header),
            "depth": image_message(picture.depth, "32FC1", header),
            "image": image_message(picture.rgb, "rgb8", header),
            "labels": image_message(picture.labels, "mono16", header),
        }

    def send(self, spoil: Callable[[Feed, Messages], None] | None = None) -> int:
        """Publish a set; its stamp."""
        messages = self.good(self.now())
        if spoil is not None:
            spoil(self, messages)
        for name, message in messages.items():
            self._publishers[name].publish(message)
        time.sleep(PERIOD)
        return nanoseconds(messages["image"].header.stamp)

    def fault_count(self, name: str) -> int:
        """How often the node has named a fault so far, by its newest diagnostics."""
        status = self.status("faults")
        counts = {} if status is None else {pair.key: pair.value for pair in status.values}
        return int(re.match(r"(\d+) x", counts[name])[1]) if name in counts else 0

    def status(self, name: str) -> DiagnosticStatus | None:
        """The newest status of a kind, such as `inputs`."""
        for message in reversed(self.diagnostics):
            for status in message.status:
                if status.name == f"{NODE[1:]}: {name}":
                    return status
        return None

    def answered(self, stamp: int) -> ObjectArray | None:
        """The ObjectArray of a stamp that shows all objects."""
        for message in reversed(self.objects):
            if nanoseconds(message.header.stamp) == stamp and len(message.objects) >= OBJECTS:
                return message
        return None


@pytest.fixture(scope="module")
def feed(probe: Any, run: Any, wait_for: Any) -> Iterator[Feed]:
    """The node as a process of its own, with all objects of good input found."""
    process = run("sam3d_objects", "--ros-args", "-p", "tracker.max_objects:=3", "-p", "tf_timeout:=0.05")
    made = Feed(probe)
    assert wait_for(lambda: made.answered(made.send()) is not None, 60.0), process.log.read_text()
    yield made
    assert process.alive(), process.log.read_text()
    assert process.stop() == 0, process.log.read_text()


def unknown_encoding(_feed: Feed, messages: Messages) -> None:
    messages["image"].encoding = "rgb99"


def truncated_image(_feed: Feed, messages: Messages) -> None:
    messages["image"].data = messages["image"].data[:-7]


def truncated_depth(_feed: Feed, messages: Messages) -> None:
    messages["depth"].data = messages["depth"].data[: len(messages["depth"].data) // 2]


def camera_info_of_another_size(_feed: Feed, messages: Messages) -> None:
    messages["camera_info"].width //= 2


def depth_of_another_shape(_feed: Feed, messages: Messages) -> None:
    depth = messages["depth"]
    depth.height //= 2
    depth.data = depth.data[: depth.height * depth.step]


def depth_with_longer_rows(_feed: Feed, messages: Messages) -> None:
    messages["depth"].width -= 10
    messages["depth"].step -= 10 * 4


def uncalibrated(_feed: Feed, messages: Messages) -> None:
    messages["camera_info"].k = [0.0] * 9


def labels_of_half_size(feed: Feed, messages: Messages) -> None:
    messages["labels"] = image_message(feed.picture.labels[::2, ::2], "mono16", messages["labels"].header)


def letterboxed_labels(feed: Feed, messages: Messages) -> None:
    height, width = feed.picture.labels.shape
    border = (width - height) // 2
    labels = np.pad(feed.picture.labels, ((border, border), (0, 0)))
    messages["labels"] = image_message(labels, "mono16", messages["labels"].header)


def labels_of_unknown_encoding(_feed: Feed, messages: Messages) -> None:
    messages["labels"].encoding = "rgb8"


def tiny_mask(feed: Feed, messages: Messages) -> None:
    labels = feed.picture.labels.copy()
    labels[:2, :2] = 40
    messages["labels"] = image_message(labels, "mono16", messages["labels"].header)


def no_depth_in_a_mask(feed: Feed, messages: Messages) -> None:
    depth = np.where(feed.picture.labels == 1, np.float32(np.nan), feed.picture.depth)
    messages["depth"] = image_message(depth, "32FC1", messages["depth"].header)


def no_measurement_in_a_mask(feed: Feed, messages: Messages) -> None:
    millimetres = np.rint(np.nan_to_num(feed.picture.depth) * 1000).astype(np.uint16)
    depth = np.where(feed.picture.labels == 1, np.uint16(65535), millimetres)
    messages["depth"] = image_message(depth, "16UC1", messages["depth"].header)


def depth_in_millimetres(feed: Feed, messages: Messages) -> None:
    messages["depth"] = image_message(feed.picture.depth * 1000, "32FC1", messages["depth"].header)


def labels_of_another_camera(_feed: Feed, messages: Messages) -> None:
    header = Header(stamp=messages["labels"].header.stamp, frame_id="right_camera_optical_frame")
    messages["labels"].header = header


def depth_of_another_lens(_feed: Feed, messages: Messages) -> None:
    lens = Camera.from_field_of_view(192, 144, np.deg2rad(70.0))
    messages["depth/camera_info"] = info_from_camera(lens, messages["depth"].header)


def missing_transform(_feed: Feed, messages: Messages) -> None:
    messages["depth"].header = Header(stamp=messages["depth"].header.stamp, frame_id=OTHER_FRAME)
    messages["depth/camera_info"] = messages["camera_info"]


def old_transform(feed: Feed, messages: Messages) -> None:
    missing_transform(feed, messages)
    for age in (3.0, 2.0):
        header = header_message(feed.now() - round(age * 1e9), FRAME)
        feed.tf.publish(TFMessage(transforms=[transform_message(header, OTHER_FRAME, Similarity())]))


def time_that_jumps_back(feed: Feed, messages: Messages) -> None:
    messages.update(feed.good(feed.now() - 100_000_000_000))


def more_instances_than_max_objects(feed: Feed, messages: Messages) -> None:
    labels = feed.picture.labels.copy()
    labels[:12, :12] = 50
    messages["labels"] = image_message(labels, "mono16", messages["labels"].header)


@dataclass(frozen=True)
class Case:
    """How to spoil the input, the name of the fault, and whether the frame is still answered."""

    spoil: Callable[[Feed, Messages], None]
    fault: str
    answered: bool


CASES = (
    Case(unknown_encoding, "unknown_encoding", answered=False),
    Case(labels_of_unknown_encoding, "unknown_encoding", answered=False),
    Case(truncated_image, "truncated_data", answered=False),
    Case(truncated_depth, "truncated_data", answered=True),
    Case(camera_info_of_another_size, "size_mismatch", answered=False),
    Case(depth_of_another_shape, "size_mismatch", answered=True),
    Case(depth_with_longer_rows, "size_mismatch", answered=True),
    Case(letterboxed_labels, "size_mismatch", answered=False),
    Case(uncalibrated, "uncalibrated_camera", answered=False),
    Case(labels_of_half_size, "labels_resized", answered=True),
    Case(tiny_mask, "empty_mask", answered=True),
    Case(no_depth_in_a_mask, "no_depth_in_mask", answered=True),
    Case(no_measurement_in_a_mask, "no_depth_in_mask", answered=True),
    Case(depth_in_millimetres, "implausible_depth", answered=True),
    Case(labels_of_another_camera, "frame_conflict", answered=True),
    Case(depth_of_another_lens, "calibration_conflict", answered=True),
    Case(missing_transform, "missing_transform", answered=True),
    Case(old_transform, "old_transform", answered=True),
    Case(more_instances_than_max_objects, "too_many_objects", answered=True),
    Case(time_that_jumps_back, "time_jump", answered=False),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.spoil.__name__)
def test_bad_input_is_named_and_the_next_good_frame_works(feed: Feed, case: Case, wait_for: Any) -> None:
    before = feed.fault_count(case.fault)
    began = time.monotonic()
    stamp = feed.send(case.spoil)
    while feed.fault_count(case.fault) == before and time.monotonic() - began < PATIENCE:
        stamp = feed.send(case.spoil)
    named = time.monotonic() - began
    assert feed.fault_count(case.fault) > before, f"{case.fault} was not named in {PATIENCE:.0f} s"
    print(f"{case.fault} named after {named:.2f} s")
    if case.answered:
        assert wait_for(lambda: feed.answered(stamp) or feed.answered(feed.send(case.spoil)))
    assert wait_for(lambda: feed.answered(feed.send())), "good input is not answered any more"


def test_diagnostics_tell_rates_drops_and_latencies_and_silence(feed: Feed, wait_for: Any) -> None:
    assert wait_for(lambda: feed.answered(feed.send()))
    assert wait_for(lambda: feed.send() and feed.status("inputs").level == DiagnosticStatus.OK)
    rates = {pair.key: pair.value for pair in feed.status("inputs").values}
    assert {"/image", "/labels", "/camera_info", "/depth", "/points"} <= set(rates)
    assert re.fullmatch(r"ok, [\d.]+ Hz, [\d.]+ s ago", rates["/image"])
    assert rates["/points"].startswith("never seen")
    stages = {pair.key for pair in feed.status("latency").values}
    assert {"wait", "decode", "track", "publish", "reconstruct", "stamp to objects"} <= stages
    assert feed.status("unused messages") is not None
    assert "active" in feed.status("state").message
    # Nothing is sent any more.
    assert wait_for(lambda: feed.status("inputs").level == DiagnosticStatus.ERROR)
    assert "/image" in feed.status("inputs").message


def test_camera_info_that_never_comes_is_named(feed: Feed, call: Any, wait_for: Any) -> None:
    restart(call)

    def without_camera_info(_feed: Feed, messages: Messages) -> None:
        del messages["camera_info"]

    before = feed.fault_count("missing_camera_info")
    named = wait_for(
        lambda: feed.send(without_camera_info) and feed.fault_count("missing_camera_info") > before
    )
    assert named
    assert wait_for(lambda: feed.answered(feed.send())), "good input is not answered any more"


def test_a_reconstructor_that_does_not_exist_is_refused_with_those_that_do(
    feed: Feed, call: Any, wait_for: Any
) -> None:
    before = feed.fault_count("invalid_parameter")
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="sam4d")
    request = SetParameters.Request(parameters=[Parameter(name="reconstructor", value=value)])
    answer = call(SetParameters, f"{NODE}/set_parameters", request).results[0]
    assert not answer.successful
    assert "reconstructor is 'sam4d': give one of auto, geometric, sam3d" in answer.reason
    assert wait_for(lambda: feed.fault_count("invalid_parameter") > before)
    assert "sam4d" in str(feed.diagnostics[-1])
    assert wait_for(lambda: feed.answered(feed.send())), "good input is not answered any more"


def restart(call: Any) -> bool:
    """Take the node down to unconfigured and up again as far as it goes; whether it is active then."""
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    ):
        if not change(call, transition):
            return False
    return True


def change(call: Any, transition: int) -> bool:
    """Ask for a transition; whether it succeeded."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return bool(call(ChangeState, f"{NODE}/change_state", request).success)
