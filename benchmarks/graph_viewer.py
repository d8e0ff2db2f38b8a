"""Takes in what RViz would show of the objects, and drops it: `python benchmarks/graph_viewer.py`."""

from __future__ import annotations

import signal

import rclpy
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sam3d_ros.msg import ObjectMesh
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.ros.qos import qos_profile

#: Messages that RViz keeps, as config/perception.rviz says.
DEPTH = 100
#: How long the executor waits at a time, seconds.
SPIN_PERIOD = 0.5


class Viewer(Node):
    """Messages stay as they are serialised: the viewer is to cost the graph something, not the machine."""

    def __init__(self) -> None:
        super().__init__("bench_viewer", enable_rosout=False, start_parameter_services=False)
        latched, reliable = qos_profile("latched", depth=DEPTH), qos_profile("reliable")
        self.create_subscription(MarkerArray, "sam3d_objects/markers", self._drop, latched, raw=True)
        self.create_subscription(ObjectMesh, "sam3d_objects/meshes", self._drop, latched, raw=True)
        self.create_subscription(Detection3DArray, "sam3d_objects/detections", self._drop, reliable, raw=True)

    def _drop(self, _message: bytes) -> None:
        pass


def main() -> int:
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda caught, _stack: stopped.append(caught))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    viewer, executor = Viewer(), quickest_executor()
    executor.add_node(viewer)
    while not stopped:
        executor.spin_once(timeout_sec=SPIN_PERIOD)
    executor.shutdown()
    viewer.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
