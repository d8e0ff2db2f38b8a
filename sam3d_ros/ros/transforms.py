"""Similarity transforms as messages, and look-ups in a tf2 buffer that fail with the name of a fault."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from geometry_msgs.msg import Pose, Transform, TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from std_msgs.msg import Header
from tf2_ros import Buffer, ExtrapolationException, TransformException

from sam3d_ros.geometry.frames import Similarity
from sam3d_ros.ros.faults import Fault, FaultError

#: Farther apart than this are no two frames on Earth, whatever its coordinates are; metres. Points of float32 overflow
#: long after.
FARTHEST = 1e9


class TransformLookup(Protocol):
    """Where frames are relative to each other."""

    def __call__(
        self, target: str, source: str, stamp: int, *, source_stamp: int | None = None, fixed: str = ""
    ) -> Similarity:
        """The rigid transform `target_from_source`.

        Args:
            target, source: names of the frames.
            stamp: time of the target frame, nanoseconds.
            source_stamp: time of the source frame where that is another; then `fixed` is what stood still in
                between.
            fixed: a frame fixed in the world; without one the target and source are taken at `source_stamp`.

        Raises:
            FaultError: missing_transform, old_transform or invalid_transform.
        """
        ...


class BufferLookup:
    """Look-ups in a tf2 buffer.

    Args:
        buffer: fed by a listener.
        timeout: seconds to wait for a transform that has not come yet; somebody else must spin meanwhile.
    """

    def __init__(self, buffer: Buffer, timeout: float = 0.0) -> None:
        self._buffer = buffer
        self._timeout = Duration(nanoseconds=round(timeout * 1e9))

    def __call__(
        self, target: str, source: str, stamp: int, *, source_stamp: int | None = None, fixed: str = ""
    ) -> Similarity:
        """See `TransformLookup`."""
        stamps = (stamp, stamp if source_stamp is None else source_stamp)
        if target == source and (not fixed or stamps[0] == stamps[1]):
            return Similarity()  # nobody has to publish where a frame is in itself
        if min(stamps) < 0:
            raise FaultError(
                Fault.OLD_TRANSFORM,
                f"no transform from {source!r} to {target!r} at a stamp before 0: {min(stamps)} ns",
            )
        try:
            if source_stamp is None or source_stamp == stamp or not fixed:
                time = Time(nanoseconds=stamp if source_stamp is None else source_stamp)
                message = self._buffer.lookup_transform(target, source, time, timeout=self._timeout)
            else:
                message = self._buffer.lookup_transform_full(
                    target,
                    Time(nanoseconds=stamp),
                    source,
                    Time(nanoseconds=source_stamp),
                    fixed,
                    timeout=self._timeout,
                )
        except ExtrapolationException as error:
            raise FaultError(
                Fault.OLD_TRANSFORM, f"no transform from {source!r} to {target!r} at the stamp: {error}"
            ) from error
        except TransformException as error:
            raise FaultError(
                Fault.MISSING_TRANSFORM, f"no transform from {source!r} to {target!r}: {error}"
            ) from error
        what = f"the transform from {source!r} to {target!r} cannot be used"
        try:
            found = similarity_from_transform(message.transform)
        except ValueError as error:
            raise FaultError(Fault.INVALID_TRANSFORM, f"{what}: {error}") from error
        if (distance := float(np.abs(found.translation).max())) > FARTHEST:
            raise FaultError(Fault.INVALID_TRANSFORM, f"{what}: it is {distance:g} m, at most {FARTHEST:g} m")
        return found


def similarity_from_transform(message: Transform) -> Similarity:
    """The rigid transform in a message.

    Raises:
        ValueError: the quaternion has zero length, or a number is not finite.
    """
    t, q = message.translation, message.rotation
    return Similarity.from_quaternion((q.x, q.y, q.z, q.w), (t.x, t.y, t.z))


def similarity_from_pose(message: Pose) -> Similarity:
    """The rigid transform in a pose.

    Raises:
        ValueError: the quaternion has zero length, or a number is not finite.
    """
    p, q = message.position, message.orientation
    return Similarity.from_quaternion((q.x, q.y, q.z, q.w), (p.x, p.y, p.z))


def pose_message(transform: Similarity) -> Pose:
    """Rotation and translation as a pose; the scale has no place in it."""
    message = Pose()
    p, q = message.position, message.orientation
    p.x, p.y, p.z = transform.translation.tolist()
    q.x, q.y, q.z, q.w = transform.quaternion().tolist()
    return message


def transform_message(header: Header, child_frame_id: str, header_from_child: Similarity) -> TransformStamped:
    """The pose of a frame in that of the header; the scale has no place in it."""
    return TransformStamped(
        header=header, child_frame_id=child_frame_id, transform=transform_fields(header_from_child)
    )


def transform_fields(transform: Similarity) -> Transform:
    """Rotation and translation as a transform that names no frames; the scale has no place in it."""
    message = Transform()
    t, q = message.translation, message.rotation
    t.x, t.y, t.z = transform.translation.tolist()
    q.x, q.y, q.z, q.w = transform.quaternion().tolist()
    return message
