"""The topic `~/gaussians`: objects as Gaussian splats, where a reconstructor makes them."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2

from sam3d_ros.nodes.sinks.sink import LatchedSink, Outlet
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.ros.object_messages import object_frame
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.splat_clouds import splat_cloud
from sam3d_ros.ros.stamps import header_message

#: Clouds kept for those who join late. A cloud of a large object takes tens of megabytes.
CLOUDS_KEPT = 8


class ObjectGaussians(LatchedSink[SeenObjects]):
    """Publishes a cloud for each version of each object, in the frame of the object; latched.

    Args:
        node: carries the publisher.
    """

    def __init__(self, node: LifecycleNode) -> None:
        latched = qos_profile("latched", depth=CLOUDS_KEPT)
        super().__init__(Outlet(node, PointCloud2, "~/gaussians", latched))
        self._sent: dict[int, int] = {}

    def _send(self, moment: SeenObjects) -> None:
        for tracked in moment.objects:
            splats = tracked.estimate.splats
            if splats is not None and self._sent.get(tracked.track_id) != tracked.mesh_version:
                header = header_message(moment.stamp, object_frame(tracked.track_id))
                scale = float(tracked.estimate.camera_from_object.scale.mean())
                self._outlet.publish(splat_cloud(splats, scale, header))
        self._sent = {tracked.track_id: tracked.mesh_version for tracked in moment.objects}

    def _begin_anew(self) -> None:
        self._sent.clear()

    def _take_back(self) -> None:
        self._sent.clear()
