"""The ROS node of the launch itself, through which it talks to the nodes."""

from __future__ import annotations

import os
import threading
from typing import cast

import rclpy
from launch import LaunchContext
from launch.event_handlers import OnShutdown
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

_KEY = "launch_ros_adapter"


class ROSAdapter:
    """A ROS node that is spun in a thread until the launch shuts down."""

    def __init__(self, *, argv: list[str] | None = None) -> None:
        self._context = Context()
        rclpy.init(
            args=argv,
            context=self._context,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        self.ros_node = Node(f"launch_ros_{os.getpid()}", context=self._context, use_global_arguments=False)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.ros_node)
        self._thread = threading.Thread(target=self._spin, name="launch_ros", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return

    def shutdown(self) -> None:
        """Destroy the node and end the thread."""
        self._executor.shutdown()
        self._thread.join()
        self.ros_node.destroy_node()
        rclpy.shutdown(context=self._context)


def get_ros_adapter(context: LaunchContext) -> ROSAdapter:
    """Return the adapter of the launch, made at the first call."""
    adapter = context.get_locals_as_dict().get(_KEY)
    if adapter is None:
        adapter = ROSAdapter(argv=context.argv)
        context.extend_globals({_KEY: adapter})
        made = adapter
        context.register_event_handler(OnShutdown(on_shutdown=lambda event, context: made.shutdown()))
    return cast(ROSAdapter, adapter)


def get_ros_node(context: LaunchContext) -> Node:
    """Return the ROS node of the launch."""
    return get_ros_adapter(context).ros_node
