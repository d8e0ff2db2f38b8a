"""The parameters of what the nodes subscribe to."""

from __future__ import annotations

from dataclasses import dataclass

from sam3d_ros.perception.settings import Settings, parameter
from sam3d_ros.ros.frame_assembler import Input
from sam3d_ros.ros.qos import AUTO, PROFILE_NAMES


@dataclass(frozen=True)
class InputSettings(Settings):
    """How inputs are received."""

    image_transport: str = parameter(
        "raw", "Read the topic image, or its sibling image/compressed.", choices=("raw", "compressed")
    )
    labels_transport: str = parameter(
        "raw",
        "Read the topic labels, or its sibling labels/compressed (PNG, or lossless WebP).",
        choices=("raw", "compressed"),
    )
    depth_transport: str = parameter(
        "raw",
        "Read the topic depth, or its sibling depth/compressedDepth or depth/compressed (PNG of 16 bits).",
        choices=("raw", "compressedDepth", "compressed"),
    )
    input_qos: str = parameter(
        AUTO,
        "Quality of service of the inputs: auto = reliable and latched where every publisher is, looked at again "
        "whenever publishers come and go; the others are asked for whatever is offered.",
        choices=(AUTO, *PROFILE_NAMES),
    )
    tf_timeout: float = parameter(
        0.1, "Longest wait for a transform at the stamp of an image, seconds.", minimum=0.0, maximum=5.0
    )
    auto_range_sensor: bool = parameter(
        True,
        "Wait for depth or points exactly while their topic has a publisher; false = as assembler.expect_depth and "
        "assembler.expect_points say.",
    )


@dataclass(frozen=True)
class PeopleInputSettings(Settings):
    """What tells where people are, and of their keypoints."""

    people_from: str = parameter(
        "labels",
        "What says where people are: the topic labels, or the topic detections (boxes) in its place.",
        choices=(Input.LABELS.value, Input.DETECTIONS.value),
    )
    min_keypoint_confidence: float = parameter(
        0.5,
        "Keypoints of the topic keypoints with a lower confidence are passed over.",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True)
class PeopleInputs:
    """What is read beside images, labels and points where people are reconstructed.

    Attributes:
        settings: parameters.
        keypoints: the names that keypoints may have.
    """

    settings: PeopleInputSettings
    keypoints: tuple[str, ...]
