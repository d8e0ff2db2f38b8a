"""What the frame player publishes: messages to stamp, and those beside plain images: labels, names and truth."""

from __future__ import annotations

import array
import ctypes
import re
import struct
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from vision_msgs.msg import (
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesisWithPose,
    VisionClass,
)

from sam3d_ros.nodes.player_sources import TrueBox
from sam3d_ros.ros.images import image_message
from sam3d_ros.ros.transforms import pose_message

#: numpy type of the label encodings that the player writes.
LABEL_TYPES = {"mono8": np.uint8, "mono16": np.uint16, "32SC1": np.int32}
JPEG_QUALITY = 95
#: Zeroed header of a 16UC1 compressedDepth message: compression format and two quantisation parameters, 4 bytes each.
COMPRESSED_DEPTH_HEADER = bytes(12)
#: The first bytes of a serialised message, the kind of its encoding -> int32 seconds and uint32 nanoseconds in it (OMG
#: DDSI-RTPS 10.2: plain CDR, big and little endian).
STAMP_LAYOUTS = {b"\x00\x00": struct.Struct(">iI"), b"\x00\x01": struct.Struct("<iI")}
#: A stamp whose bytes are not found anywhere else, neither in a picture nor in what fills the gaps between numbers.
MARK = Time(sec=-0x2D5A6E1B, nanosec=0xD83C9F47)


class StampedMessage:
    """A message that is serialised once and differs from one publication to the next by its stamp alone.

    A picture goes out with a copy less than as a message object, which would be serialised every time.

    Args:
        message: with a header. Others inside it follow its stamp where they are the same object. It is not needed any
            more.

    Raises:
        RuntimeError: the middleware serialises in another form than plain CDR.
    """

    def __init__(self, message: Any) -> None:
        message.header.stamp = MARK
        self._content: bytes = serialize_message(message)
        layout = STAMP_LAYOUTS.get(self._content[:2])
        if layout is None:
            raise RuntimeError(
                f"the middleware serialises messages as {self._content[:4].hex()}, not as plain CDR: use "
                "rmw_fastrtps_cpp, rmw_cyclonedds_cpp or rmw_zenoh_cpp"
            )
        self._layout = layout
        mark = re.escape(layout.pack(MARK.sec, MARK.nanosec))
        self._places = [found.start() for found in re.finditer(mark, self._content)]
        # rclpy publishes nothing but bytes as they are, and new ones for every stamp would be the copy to save. Nobody
        # else has seen this object, so that nothing relies on its content.
        memory = ctypes.c_char * len(self._content)
        self._memory = ctypes.cast(self._content, ctypes.POINTER(memory)).contents

    def at(self, stamp: Time) -> bytes:
        """The serialised message with a stamp: the same object every time, good until the next call."""
        for place in self._places:
            self._layout.pack_into(self._memory, place, stamp.sec, stamp.nanosec)
        return self._content


def labels_message(labels: NDArray[np.uint16], encoding: str, header: Header) -> Image:
    """(H, W) instance ids in one of the encodings of `LABEL_TYPES`; 8 bits keep ids up to 255."""
    return image_message(labels.astype(LABEL_TYPES[encoding]), encoding, header)


def depth_message(depth: NDArray[np.float32], encoding: str, header: Header) -> Image:
    """(H, W) metres as 32FC1, or as 16UC1 millimetres."""
    return image_message(millimetres(depth) if encoding == "16UC1" else depth, encoding, header)


def jpeg_message(rgb: NDArray[np.uint8], header: Header) -> CompressedImage:
    """(H, W, 3) RGB as a JPEG."""
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return CompressedImage(header=header, format="rgb8; jpeg compressed bgr8", data=_bytes(data))


def compressed_depth_message(depth: NDArray[np.float32], header: Header) -> CompressedImage:
    """(H, W) metres as a compressedDepth PNG of millimetres."""
    _, data = cv2.imencode(".png", millimetres(depth))
    content = np.frombuffer(COMPRESSED_DEPTH_HEADER + data.tobytes(), dtype=np.uint8)
    return CompressedImage(header=header, format="16UC1; compressedDepth png", data=_bytes(content))


def millimetres(depth: NDArray[np.float32]) -> NDArray[np.uint16]:
    """(H, W) metres as whole millimetres; unknown and out of range become 0."""
    known = np.isfinite(depth) & (depth > 0) & (depth < 65.535)
    return np.where(known, np.round(np.where(known, depth, 0) * 1000), 0).astype(np.uint16)


def label_info_message(names: Mapping[int, str], header: Header) -> LabelInfo:
    """Instance id -> class name."""
    classes = [VisionClass(class_id=number, class_name=name) for number, name in sorted(names.items())]
    return LabelInfo(header=header, class_map=classes)


def truth_message(boxes: tuple[TrueBox, ...], header: Header) -> Detection3DArray:
    """The true boxes, centre and full size, in the optical frame."""
    message = Detection3DArray(header=header)
    for box in boxes:
        detection = Detection3D(header=header, id=str(box.instance_id))
        detection.bbox.center = pose_message(box.camera_from_box)
        detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z = (float(v) for v in box.size)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = box.label
        hypothesis.hypothesis.score = 1.0
        hypothesis.pose.pose = detection.bbox.center
        detection.results.append(hypothesis)
        message.detections.append(detection)
    return message


def _bytes(data: NDArray[np.generic]) -> array.array[int]:
    """The memory of an array as message data: a numpy array given directly is walked element by element."""
    content = array.array("B")
    content.frombytes(np.ascontiguousarray(data).data.cast("B"))
    return content
