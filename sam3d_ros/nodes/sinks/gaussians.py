"""The topic `~/gaussians`: objects as Gaussian splats, where a reconstructor makes them."""

from __future__ import annotations

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import PointCloud2

from sam3d_ros.geometry.splats import Splats
from sam3d_ros.nodes.sinks.sink import LatchedSink, Outlet
from sam3d_ros.perception.scenes.joint_scene import SeenObjects
from sam3d_ros.ros.object_messages import object_frame
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.splat_clouds import splat_cloud
from sam3d_ros.ros.stamps import header_message

#: Clouds kept for those who join late. A cloud of a large object takes tens of megabytes.
CLOUDS_KEPT = 8
#: Position, colour, spread, rotation and opacity of no splat.
_NOTHING = Splats(*(np.zeros((0, columns), np.float32) for columns in (3, 3, 3, 4, 1)))


class ObjectGaussians(LatchedSink[SeenObjects]):
    """Publishes a cloud for each version of each object, in the frame of the object; latched.

    Args:
        node: carries the publisher.
        prefix: of the frames of objects.
        rejected: whether objects whose verdict is REJECTED are shown, which they can be only with a frame.
    """

    def __init__(self, node: LifecycleNode, *, prefix: str = "", rejected: bool = True) -> None:
        latched = qos_profile("latched", depth=CLOUDS_KEPT)
        super().__init__(Outlet(node, PointCloud2, "~/gaussians", latched))
        self._prefix, self._rejected = prefix, rejected
        self._sent: dict[int, int] = {}

    def _send(self, moment: SeenObjects) -> None:
        objects = moment.chosen(rejected=self._rejected)
        for tracked in objects:
            splats = tracked.estimate.splats
            if splats is not None and self._sent.get(tracked.track_id) != tracked.mesh_version:
                header = header_message(moment.stamp, object_frame(tracked.track_id, self._prefix))
                scale = float(tracked.estimate.camera_from_object.scale.mean())
                self._outlet.publish(splat_cloud(splats, scale, header))
        self._sent = {tracked.track_id: tracked.mesh_version for tracked in objects}

    def _begin_anew(self) -> None:
        self._sent.clear()

    def _take_back(self, emptied: SeenObjects) -> None:
        # A viewer shows the last cloud until another one comes.
        self._outlet.publish(splat_cloud(_NOTHING, 1.0, header_message(emptied.stamp, emptied.frame_id)))
        self._sent.clear()
