"""What the frame player publishes beside plain images: labels, compressed images, names and truth."""

from __future__ import annotations

import array
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
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
