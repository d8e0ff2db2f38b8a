"""The topic `~/gaussians`: objects as Gaussian splats, where a reconstructor makes them."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2

from sam3d_ros.perception.tracking.tracks import TrackedObject
from sam3d_ros.ros.object_messages import object_frame
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.splat_clouds import splat_cloud
from sam3d_ros.ros.stamps import header_message

#: Clouds kept for those who join late. A cloud of a large object takes tens of megabytes.
CLOUDS_KEPT = 8


class GaussianOutput:
    """Publishes a cloud for each version of each object, in the frame of the object; latched.

    Args:
        node: carries the publisher.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        latched = qos_profile("latched", depth=CLOUDS_KEPT)
        self._publisher = node.create_lifecycle_publisher(PointCloud2, "~/gaussians", latched)
        self._sent: dict[int, int] = {}

    def publish(self, stamp: int, objects: Sequence[TrackedObject]) -> None:
        """Publish what is new; `objects` are all of them, `stamp` is that of the image in nanoseconds."""
        for tracked in objects:
            splats = tracked.estimate.splats
            if splats is not None and self._sent.get(tracked.track_id) != tracked.mesh_version:
                header = header_message(stamp, object_frame(tracked.track_id))
                scale = float(tracked.estimate.camera_from_object.scale.mean())
                self._publisher.publish(splat_cloud(splats, scale, header))
        self._sent = {tracked.track_id: tracked.mesh_version for tracked in objects}

    def clear(self) -> None:
        """Begin anew: what is known is sent again."""
        self._sent.clear()

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
