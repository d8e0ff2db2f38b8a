"""tf2_msgs and vision_msgs as published: field by field, by type hash on the wire, and byte by byte.

`DEFINITIONS` states the published packages' fields (tf2_msgs of geometry2, vision_msgs 4.1) a second
time, apart from the .msg files. A type's hash (REP-2016) is derived from it here and compared with the one
that the middleware announces: endpoints of two machines match only if these agree.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import struct
from collections.abc import Iterator

import pytest
import rclpy
import tf2_msgs.action
import tf2_msgs.msg
import tf2_msgs.srv
import vision_msgs.msg
from geometry_msgs.msg import TransformStamped
from rclpy.context import Context
from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message

DOMAIN = 72

HEADER = "std_msgs/msg/Header header"

DEFINITIONS = {
    "tf2_msgs/msg/TFMessage": "geometry_msgs/msg/TransformStamped[] transforms",
    "tf2_msgs/msg/TF2Error": "uint8 error, string error_string",
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/msg/Pose2D center, float64 size_x, float64 size_y",
    "vision_msgs/msg/BoundingBox2DArray": f"{HEADER}, vision_msgs/msg/BoundingBox2D[] boxes",
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/msg/Pose center, geometry_msgs/msg/Vector3 size",
    "vision_msgs/msg/BoundingBox3DArray": f"{HEADER}, vision_msgs/msg/BoundingBox3D[] boxes",
    "vision_msgs/msg/Classification": f"{HEADER}, vision_msgs/msg/ObjectHypothesis[] results",
    "vision_msgs/msg/Detection2D": (
        f"{HEADER}, vision_msgs/msg/ObjectHypothesisWithPose[] results, "
        "vision_msgs/msg/BoundingBox2D bbox, string id"
    ),
    "vision_msgs/msg/Detection2DArray": f"{HEADER}, vision_msgs/msg/Detection2D[] detections",
    "vision_msgs/msg/Detection3D": (
        f"{HEADER}, vision_msgs/msg/ObjectHypothesisWithPose[] results, "
        "vision_msgs/msg/BoundingBox3D bbox, string id"
    ),
    "vision_msgs/msg/Detection3DArray": f"{HEADER}, vision_msgs/msg/Detection3D[] detections",
    "vision_msgs/msg/LabelInfo": (f"{HEADER}, vision_msgs/msg/VisionClass[] class_map, float32 threshold"),
    "vision_msgs/msg/ObjectHypothesis": "string class_id, float64 score",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/msg/ObjectHypothesis hypothesis, geometry_msgs/msg/PoseWithCovariance pose"
    ),
    "vision_msgs/msg/Point2D": "float64 x, float64 y",
    "vision_msgs/msg/Pose2D": "vision_msgs/msg/Point2D position, float64 theta",
    "vision_msgs/msg/VisionClass": "uint16 class_id, string class_name",
    "vision_msgs/msg/VisionInfo": (
        f"{HEADER}, string method, string database_location, int32 database_version"
    ),
}

# The types of the common interfaces that the above contain.
NESTED = {
    "builtin_interfaces/msg/Time": "int32 sec, uint32 nanosec",
    "std_msgs/msg/Header": "builtin_interfaces/msg/Time stamp, string frame_id",
    "geometry_msgs/msg/Point": "float64 x, float64 y, float64 z",
    "geometry_msgs/msg/Vector3": "float64 x, float64 y, float64 z",
    "geometry_msgs/msg/Quaternion": "float64 x, float64 y, float64 z, float64 w",
    "geometry_msgs/msg/Pose": "geometry_msgs/msg/Point position, geometry_msgs/msg/Quaternion orientation",
    "geometry_msgs/msg/PoseWithCovariance": "geometry_msgs/msg/Pose pose, float64[36] covariance",
    "geometry_msgs/msg/Transform": (
        "geometry_msgs/msg/Vector3 translation, geometry_msgs/msg/Quaternion rotation"
    ),
    "geometry_msgs/msg/TransformStamped": (
        f"{HEADER}, string child_frame_id, geometry_msgs/msg/Transform transform"
    ),
}

# type_description_interfaces/msg/FieldType
TYPE_IDS = {"uint8": 3, "uint16": 5, "int32": 6, "uint32": 7, "float32": 10, "float64": 11, "string": 17}
NESTED_ID, ARRAY_OFFSET, SEQUENCE_OFFSET = 1, 48, 144


def description(type_name: str) -> tuple[dict, set[str]]:
    """Return the type's description in the form that REP-2016 hashes, and the types that it names."""
    fields, named = [], set()
    for declaration in (DEFINITIONS | NESTED)[type_name].split(", "):
        kind, name = declaration.split(" ")
        match = re.fullmatch(r"([\w/]+)(?:\[(\d*)\])?", kind)
        assert match is not None
        base, count = match.groups()
        nested = base if "/" in base else ""
        named |= {nested} - {""}
        type_id = NESTED_ID if nested else TYPE_IDS[base]
        if count is not None:
            type_id += ARRAY_OFFSET if count else SEQUENCE_OFFSET
        fields.append(
            {
                "name": name,
                "type": {
                    "type_id": type_id,
                    "capacity": int(count or 0),
                    "string_capacity": 0,
                    "nested_type_name": nested,
                },
            }
        )
    return {"type_name": type_name, "fields": fields}, named


def type_hash(type_name: str) -> str:
    main, open_names = description(type_name)
    referenced: dict[str, dict] = {}
    while open_names:
        name = open_names.pop()
        referenced[name], named = description(name)
        open_names |= named - referenced.keys()
    hashable = {
        "type_description": main,
        "referenced_type_descriptions": [referenced[name] for name in sorted(referenced)],
    }
    text = json.dumps(hashable, separators=(", ", ": "))
    return hashlib.sha256(text.encode()).hexdigest()


def message_class(type_name: str) -> type:
    package, _, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node = Node("interfaces", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.parametrize("type_name", [*DEFINITIONS, *NESTED])
def test_the_type_hash_that_the_middleware_announces(type_name, node):
    """NESTED is there to prove the derivation itself, on types that the wheels bring."""
    topic = "/hash/" + type_name.split("/")[-1].lower()
    publisher = node.create_publisher(message_class(type_name), topic, 1)
    (endpoint,) = node.get_publishers_info_by_topic(topic)
    assert endpoint.topic_type == type_name
    assert bytes(endpoint.topic_type_hash.value).hex() == type_hash(type_name)
    node.destroy_publisher(publisher)


def test_the_hash_of_a_tf_message_is_the_published_one():
    assert type_hash("tf2_msgs/msg/TFMessage") == (
        "e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087"
    )


class Cdr:
    """Little-endian CDR, written independently of the generated type support."""

    def __init__(self) -> None:
        self.body = b""
        self.padding: list[int] = []

    def _put(self, code: str, *values: float) -> Cdr:
        gap = -len(self.body) % struct.calcsize("<" + code)
        self.padding += range(len(self.body), len(self.body) + gap)
        self.body += b"\0" * gap
        self.body += struct.pack(f"<{len(values)}{code}", *values)
        return self

    def u16(self, value: int) -> Cdr:
        return self._put("H", value)

    def i32(self, *values: int) -> Cdr:
        return self._put("i", *values)

    def u32(self, *values: int) -> Cdr:
        return self._put("I", *values)

    def f32(self, *values: float) -> Cdr:
        return self._put("f", *values)

    def f64(self, *values: float) -> Cdr:
        return self._put("d", *values)

    def text(self, value: str) -> Cdr:
        self.u32(len(value) + 1)
        self.body += value.encode() + b"\0"
        return self

    def header(self, sec: int, nanosec: int, frame: str) -> Cdr:
        return self.i32(sec).u32(nanosec).text(frame)

    def message(self) -> bytes:
        return b"\x00\x01\x00\x00" + self.body

    def describes(self, serialized: bytes) -> bool:
        """Whether the bytes are these, padding aside: its content is arbitrary."""
        body = bytearray(serialized[4 : 4 + len(self.body)])
        for i in self.padding:
            body[i] = 0
        return serialized[:2] == b"\x00\x01" and bytes(body) == self.body


def test_a_tf_message_byte_by_byte():
    cdr = Cdr().u32(1).header(12, 34, "map").text("base_link").f64(1, 2, 3, 0.5, -0.5, 0.5, -0.5)
    message = deserialize_message(cdr.message(), tf2_msgs.msg.TFMessage)
    (transform,) = message.transforms
    assert isinstance(transform, TransformStamped)
    assert (transform.header.stamp.sec, transform.header.stamp.nanosec) == (12, 34)
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "base_link")
    assert transform.transform.translation.z == 3.0
    assert transform.transform.rotation.w == -0.5
    assert cdr.describes(serialize_message(message))


def test_detections_byte_by_byte():
    covariance = [float(i) for i in range(36)]
    cdr = Cdr().header(1, 2, "cam").u32(1).header(3, 4, "optical")
    cdr.u32(1).text("mug").f64(0.75).f64(1, 2, 3, 0, 0, 0, 1).f64(*covariance)
    cdr.f64(4, 5, 6, 0, 0, 1, 0).f64(0.1, 0.2, 0.3).text("17")
    message = deserialize_message(cdr.message(), vision_msgs.msg.Detection3DArray)
    (detection,) = message.detections
    assert (message.header.frame_id, detection.header.frame_id, detection.id) == ("cam", "optical", "17")
    (result,) = detection.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("mug", 0.75)
    assert result.pose.pose.position.z == 3.0
    assert list(result.pose.covariance) == covariance
    assert (detection.bbox.center.position.x, detection.bbox.center.orientation.z) == (4.0, 1.0)
    assert (detection.bbox.size.x, detection.bbox.size.z) == (0.1, 0.3)
    assert cdr.describes(serialize_message(message))


def test_label_info_byte_by_byte():
    cdr = Cdr().header(5, 6, "").u32(2).u16(1).text("mug").u16(300).text("person").f32(0.5)
    message = deserialize_message(cdr.message(), vision_msgs.msg.LabelInfo)
    assert [(c.class_id, c.class_name) for c in message.class_map] == [(1, "mug"), (300, "person")]
    assert message.threshold == 0.5
    assert cdr.describes(serialize_message(message))


def test_constants_services_and_actions_of_tf2():
    error = tf2_msgs.msg.TF2Error
    names = ["NO", "LOOKUP", "CONNECTIVITY", "EXTRAPOLATION", "INVALID_ARGUMENT", "TIMEOUT", "TRANSFORM"]
    assert [getattr(error, f"{name}_ERROR") for name in names] == list(range(7))
    assert tf2_msgs.srv.FrameGraph.Request.get_fields_and_field_types() == {}
    assert tf2_msgs.srv.FrameGraph.Response.get_fields_and_field_types() == {"frame_yaml": "string"}
    lookup = tf2_msgs.action.LookupTransform
    assert lookup.Goal.get_fields_and_field_types() == {
        "target_frame": "string",
        "source_frame": "string",
        "source_time": "builtin_interfaces/Time",
        "timeout": "builtin_interfaces/Duration",
        "target_time": "builtin_interfaces/Time",
        "fixed_frame": "string",
        "advanced": "boolean",
    }
    assert lookup.Result.get_fields_and_field_types() == {
        "transform": "geometry_msgs/TransformStamped",
        "error": "tf2_msgs/TF2Error",
    }
    assert lookup.Feedback.get_fields_and_field_types() == {}
