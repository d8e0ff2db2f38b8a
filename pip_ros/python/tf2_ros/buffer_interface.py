"""What every source of transforms offers."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from tf2_py._times import SomeTime


class BufferInterface:
    """Look-ups with an optional wait; `Buffer` is the one implementation here."""

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: SomeTime, timeout: Duration | None = None
    ) -> TransformStamped:
        raise NotImplementedError("BufferInterface is abstract: use Buffer")

    def can_transform(
        self, target_frame: str, source_frame: str, time: SomeTime, timeout: Duration | None = None
    ) -> Any:
        raise NotImplementedError("BufferInterface is abstract: use Buffer")

    def transform(
        self,
        object_stamped: Any,
        target_frame: str,
        timeout: Duration | None = None,
        new_type: type | None = None,
    ) -> Any:
        raise NotImplementedError(
            "pip_ros' tf2_ros does not transform messages: look the transform up and apply it to plain arrays"
        )
