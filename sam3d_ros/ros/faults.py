"""Names of everything that can be wrong with the input, and a log that counts it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum


class Level(IntEnum):
    """How bad it is; the values are those of diagnostic_msgs/DiagnosticStatus."""

    WARN = 1
    ERROR = 2


class Fault(Enum):
    """What can go wrong, by name: (name in /diagnostics, level, what the user can do)."""

    UNKNOWN_ENCODING = ("unknown_encoding", Level.ERROR, "publish one of the encodings in the README")
    TRUNCATED_DATA = ("truncated_data", Level.ERROR, "check the driver and the transport: bytes are missing")
    CORRUPT_DATA = ("corrupt_data", Level.ERROR, "check the driver: the content cannot be decoded")
    SIZE_MISMATCH = (
        "size_mismatch",
        Level.ERROR,
        "publish images, labels and camera_info of one size, and data of as many bytes as size and step say",
    )
    IMPLAUSIBLE_DEPTH = (
        "implausible_depth",
        Level.ERROR,
        "publish depth in metres as floats or in millimetres as integers (REP-118), and points in metres; raise "
        "max_depth for what is truly so far, or set relative_depth for depth without a scale",
    )
    MISSING_FIELDS = ("missing_fields", Level.ERROR, "publish a cloud with float x, y and z")
    LABEL_OUT_OF_RANGE = ("label_out_of_range", Level.ERROR, "number the instances from 1 to 65535, 0 = none")
    UNCALIBRATED_CAMERA = (
        "uncalibrated_camera",
        Level.ERROR,
        "calibrate the camera at the size it runs at, and let its camera_info hold K (and P) in pixels",
    )
    UNSUPPORTED_CAMERA = (
        "unsupported_camera",
        Level.ERROR,
        "use the first (left) camera of a rectified stereo pair, and pixels without skew: P[3], P[7] and K[1] are 0",
    )
    UNKNOWN_DISTORTION = (
        "unknown_distortion",
        Level.ERROR,
        "use plumb_bob, rational_polynomial or equidistant, or rectify the image and set rectified:=true",
    )
    MISSING_CAMERA_INFO = ("missing_camera_info", Level.ERROR, "publish or remap the topic camera_info")
    MISSING_INPUT = ("missing_input", Level.WARN, "check that the topic is published and remapped")
    UNSTAMPED_INPUT = (
        "unstamped_input",
        Level.ERROR,
        "give what is made of an image the header of the image, and images the time of their exposure",
    )
    MISMATCHED_STAMPS = (
        "mismatched_stamps",
        Level.ERROR,
        "stamp labels, detections and keypoints with the stamp of their image; where depth or points are late by as "
        "much as the fault says, let the driver synchronise them, or raise assembler.tolerance or points_tolerance",
    )
    FOREIGN_CLOCK = (
        "foreign_clock",
        Level.ERROR,
        "stamp all inputs by one clock: a LiDAR by that of the host, what is made of a recorded image with its header, "
        "use_sim_time where a bag or simulator publishes /clock",
    )
    TWO_CLOCKS = (
        "two_clocks",
        Level.ERROR,
        "let one publisher alone write the topic image: ros2 topic info -v names them",
    )
    LOST_MESSAGES = (
        "lost_messages",
        Level.ERROR,
        "export the profile of Fast DDS to the camera's process, or publish reliable or compressed images: see "
        "'With your camera driver'",
    )
    WRONG_TYPE = (
        "wrong_type",
        Level.ERROR,
        "name a topic of the type that is read; for a CompressedImage leave /compressed out of the name and set "
        "image_transport, labels_transport or depth_transport",
    )
    INCOMPATIBLE_QOS = (
        "incompatible_qos",
        Level.ERROR,
        "set input_qos to auto, which takes what is offered, or let the publisher offer what is asked for",
    )
    NAME_CONFLICT = (
        "name_conflict",
        Level.ERROR,
        "start the graph once, or each in a namespace of its own (sam3d_namespace)",
    )
    LABELS_TOO_LATE = (
        "labels_too_late",
        Level.WARN,
        "raise assembler.queue_size, or segment (or detect) in fewer images",
    )
    LABELS_RESIZED = ("labels_resized", Level.WARN, "publish the labels in the size of the image")
    EMPTY_MASK = ("empty_mask", Level.WARN, "lower min_mask_pixels, or let the segmenter drop small masks")
    NO_DEPTH_IN_MASK = (
        "no_depth_in_mask",
        Level.WARN,
        "check the range of the depth sensor and its registration",
    )
    INVALID_BOX = ("invalid_box", Level.ERROR, "publish finite boxes that overlap the image, in its pixels")
    UNKNOWN_KEYPOINT = (
        "unknown_keypoint",
        Level.ERROR,
        "name keypoints as keypoint_names of BodyArray does; the names of COCO are among them",
    )
    INVALID_KEYPOINTS = (
        "invalid_keypoints",
        Level.ERROR,
        "give x and y of every named keypoint, and one confidence for each or none",
    )
    UNMATCHED_KEYPOINTS = (
        "unmatched_keypoints",
        Level.WARN,
        "check that keypoints and people are of the same image; people need a mask or a box to be posed",
    )
    MISSING_FRAME_ID = (
        "missing_frame_id",
        Level.ERROR,
        "let the driver name its optical frame in the header",
    )
    SLASHED_FRAME_ID = (
        "slashed_frame_id",
        Level.WARN,
        "let the driver name its frame without a leading slash, as tf2 does; it was left out",
    )
    FRAME_CONFLICT = (
        "frame_conflict",
        Level.WARN,
        "let an image, its camera_info and what is made of it name one frame, the optical one",
    )
    CALIBRATION_CONFLICT = (
        "calibration_conflict",
        Level.WARN,
        "publish depth that is registered with the camera_info of the image, and other depth in a frame of its own",
    )
    RECTIFIED_IMAGE = (
        "rectified_image",
        Level.WARN,
        "set rectified to true for an image that is rectified, or give a raw one another name",
    )
    MISSING_TRANSFORM = ("missing_transform", Level.ERROR, "publish the transform on /tf or /tf_static")
    OLD_TRANSFORM = (
        "old_transform",
        Level.ERROR,
        "publish /tf at the rate of the images, or raise tf_timeout",
    )
    INVALID_TRANSFORM = (
        "invalid_transform",
        Level.ERROR,
        "publish translations of finite metres and quaternions of length 1",
    )
    TIME_JUMP = ("time_jump", Level.WARN, "nothing: caches were cleared because the clock jumped back")
    REPEATED_STAMP = ("repeated_stamp", Level.WARN, "stamp each image with the time of its exposure")
    TOO_MANY_OBJECTS = (
        "too_many_objects",
        Level.WARN,
        "raise max_objects or max_people; the largest ones were kept",
    )
    OUT_OF_MEMORY = (
        "out_of_memory",
        Level.ERROR,
        "lower max_objects, max_people or the resolution, or free GPU memory",
    )
    INVALID_PARAMETER = (
        "invalid_parameter",
        Level.ERROR,
        "give what the message says is allowed",
    )
    INVALID_REQUEST = (
        "invalid_request",
        Level.WARN,
        "ask for what the answer says: a file below scene_folder, or a transition that the state allows",
    )
    INTERNAL_ERROR = ("internal_error", Level.ERROR, "report it with the traceback from the log")
    MISSING_WEIGHTS = ("missing_weights", Level.ERROR, "put the weights where checkpoints/README.md says")

    def __init__(self, label: str, level: Level, remedy: str) -> None:
        self.label = label
        self.level = level
        self.remedy = remedy


class FaultError(ValueError):
    """An input that cannot be used, for a reason with a name.

    Attributes:
        fault: what is wrong.
    """

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class FaultRecord:
    """What the log knows of one fault.

    Attributes:
        fault: which.
        count: how often it was reported.
        message: the last report.
        age: seconds since then.
    """

    fault: Fault
    count: int
    message: str
    age: float


class FaultLog:
    """Counts faults and keeps the last message of each; may be used from any thread.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reports: dict[Fault, tuple[int, str, float]] = {}

    def report(self, fault: Fault, message: str, *, times: int = 1) -> None:
        """Count a fault.

        Args:
            message: expected, given and the place; the general remedy is added by whoever shows it.
            times: how many it stands for.
        """
        now = self._clock()
        with self._lock:
            count = self._reports[fault][0] if fault in self._reports else 0
            self._reports[fault] = (count + times, message, now)

    def report_error(self, error: FaultError) -> None:
        """Count the fault that an error carries."""
        self.report(error.fault, str(error))

    def count(self, fault: Fault) -> int:
        """How often a fault was reported."""
        with self._lock:
            return self._reports[fault][0] if fault in self._reports else 0

    def records(self, *, newer_than: float | None = None) -> tuple[FaultRecord, ...]:
        """The faults reported so far, errors first, then the most recent first.

        Args:
            newer_than: only those of the last so many seconds.
        """
        now = self._clock()
        with self._lock:
            records = [
                FaultRecord(fault, count, message, now - when)
                for fault, (count, message, when) in self._reports.items()
            ]
        if newer_than is not None:
            records = [record for record in records if record.age <= newer_than]
        return tuple(sorted(records, key=lambda record: (-record.fault.level, record.age)))
