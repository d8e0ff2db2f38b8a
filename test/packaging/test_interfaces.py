"""The generated interfaces: the constants and fields that are promised, and bytes that other ROS 2 nodes understand."""

from __future__ import annotations

import array
import json
import struct
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_share_directory
from geometry_msgs.msg import TransformStamped
from rclpy.serialization import deserialize_message, serialize_message
from tf2_msgs.msg import TF2Error, TFMessage
from vision_msgs.msg import Detection3DArray, LabelInfo, ObjectHypothesisWithPose, VisionClass

from sam3d_ros.action import Reconstruct
from sam3d_ros.msg import (
    ObjectArray,
    ObjectMesh,
    ReconstructedObject,
    SupportSurface,
    SupportSurfaceArray,
    Verdict,
)
from sam3d_ros.srv import SaveScene

# Hashes of the published definitions (REP-2016), computed by an implementation that is not ROS's own (rosbags 0.11.9).
PUBLISHED_HASHES = {
    "tf2_msgs/msg/TFMessage": "RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087",
    "tf2_msgs/msg/TF2Error": "RIHS01_db2485e7d6a0ec75bf087e058ee45df682acc3a621ca7780503d10aac141809a",
}


def test_verdict_constants() -> None:
    assert (Verdict.ACCEPTED, Verdict.UNCERTAIN, Verdict.REJECTED) == (0, 1, 2)
    assert (Verdict.DEPTH, Verdict.LIDAR, Verdict.PRIOR) == (0, 1, 2)


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            ObjectArray,
            {
                "header": "std_msgs/Header",
                "objects": "sequence<sam3d_ros/ReconstructedObject>",
                "session": "uint64",
                "revision": "uint32",
            },
        ),
        (
            ReconstructedObject,
            {
                "id": "uint32",
                "label": "string",
                "pose": "geometry_msgs/PoseWithCovariance",
                "scale": "geometry_msgs/Vector3",
                "size": "geometry_msgs/Vector3",
                "verdict": "sam3d_ros/Verdict",
                "mesh_version": "uint32",
                "symmetries_continuous": "sequence<sam3d_ros/ContinuousSymmetry>",
                "symmetries_discrete": "sequence<geometry_msgs/Transform>",
                "surface_id": "uint32",
            },
        ),
        (
            SupportSurface,
            {
                "id": "uint32",
                "label": "string",
                "pose": "geometry_msgs/Pose",
                "convex_hull": "sequence<geometry_msgs/Point>",
                "residual": "float",
                "objects": "sequence<uint32>",
            },
        ),
        (
            SupportSurfaceArray,
            {
                "header": "std_msgs/Header",
                "surfaces": "sequence<sam3d_ros/SupportSurface>",
                "session": "uint64",
                "revision": "uint32",
            },
        ),
        (
            Verdict,
            {
                "state": "uint8",
                "reasons": "sequence<string>",
                "mask_iou": "float",
                "depth_residual": "float",
                "inlier_ratio": "float",
                "point_count": "uint32",
                "scale_source": "uint8",
                "seen_share": "float",
                "size_sigma": "geometry_msgs/Vector3",
            },
        ),
        (
            ObjectMesh,
            {
                "header": "std_msgs/Header",
                "id": "uint32",
                "version": "uint32",
                "vertices": "sequence<float>",
                "triangles": "sequence<uint32>",
                "colors": "sequence<uint8>",
                "session": "uint64",
                "measured": "sequence<uint8>",
            },
        ),
        (Reconstruct.Goal, {"ids": "sequence<uint32>"}),
        (Reconstruct.Feedback, {"stage": "string", "progress": "float"}),
        (Reconstruct.Result, {"success": "boolean", "message": "string", "objects": "sam3d_ros/ObjectArray"}),
        (SaveScene.Request, {"path": "string"}),
        (SaveScene.Response, {"success": "boolean", "message": "string", "object_count": "uint32"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_fields_and_their_order(message: type, fields: dict[str, str]) -> None:
    assert list(message.get_fields_and_field_types().items()) == list(fields.items())


@pytest.mark.parametrize("name", PUBLISHED_HASHES)
def test_tf2_msgs_is_the_published_one(name: str) -> None:
    package, kind, message = name.split("/")
    description = Path(get_package_share_directory(package), kind, f"{message}.json")
    hashes = json.loads(description.read_text(encoding="utf-8"))["type_hashes"]
    assert {entry["type_name"]: entry["hash_string"] for entry in hashes}[name] == PUBLISHED_HASHES[name]


def test_tf2_error_constants() -> None:
    names = ["NO", "LOOKUP", "CONNECTIVITY", "EXTRAPOLATION", "INVALID_ARGUMENT", "TIMEOUT", "TRANSFORM"]
    assert [getattr(TF2Error, f"{name}_ERROR") for name in names] == list(range(7))


# Bytes are read, not compared: the padding that CDR asks for may hold anything.


def test_tf_message_bytes() -> None:
    """CDR (little endian) written by hand: sequence length, stamp, two strings, translation, rotation."""
    transform = TransformStamped()
    transform.header.stamp.sec, transform.header.stamp.nanosec = 7, 8
    transform.header.frame_id, transform.child_frame_id = "map", "cam"
    transform.transform.translation.x = 1.5
    text = [struct.pack("<I4s", 4, name) for name in (b"map\0", b"cam\0")]
    wire = b"\0\1\0\0" + struct.pack("<IiI", 1, 7, 8) + b"".join(text) + b"\0" * 4
    wire += struct.pack("<7d", 1.5, 0, 0, 0, 0, 0, 1)
    assert deserialize_message(wire, TFMessage) == TFMessage(transforms=[transform])


def test_label_info_bytes() -> None:
    """CDR (little endian) written by hand: empty header, one class (uint16 padded to 4, string), threshold."""
    label_info = LabelInfo(class_map=[VisionClass(class_id=3, class_name="mug")], threshold=0.5)
    wire = b"\0\1\0\0" + struct.pack("<iIIxxxx", 0, 0, 1) + struct.pack("<IHxxI4sf", 1, 3, 4, b"mug\0", 0.5)
    assert deserialize_message(wire, LabelInfo) == label_info


def test_vision_msgs_nests_the_hypothesis() -> None:
    """As in version 4: the result of a detection holds class and score in ``hypothesis``, the box is oriented."""
    fields = ObjectHypothesisWithPose.get_fields_and_field_types()
    assert list(fields.values()) == ["vision_msgs/ObjectHypothesis", "geometry_msgs/PoseWithCovariance"]
    assert Detection3DArray.get_fields_and_field_types()["detections"] == "sequence<vision_msgs/Detection3D>"


def test_mesh_arrays_survive_the_wire() -> None:
    mesh = ObjectMesh(
        vertices=array.array("f", [0.5, -0.5, 0.25]),
        triangles=array.array("I", [0, 1, 2**32 - 1]),
        colors=array.array("B", [0, 127, 255]),
    )
    received = deserialize_message(serialize_message(mesh), ObjectMesh)
    assert received == mesh
