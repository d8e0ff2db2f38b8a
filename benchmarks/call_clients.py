"""Clients of services and actions that count what they ask and insist on an answer."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.task import Future

from sam3d_ros.msg import ObjectArray
from sam3d_ros.nodes.lifecycle import quickest_executor
from sam3d_ros.ros.qos import qos_profile
from sam3d_ros.ros.stamps import nanoseconds

#: How long an answer may take, seconds: a transition waits for what is under way, a scene for the one before it.
PATIENCE = 60.0
SPIN_PERIOD = 0.05


class NoAnswerError(RuntimeError):
    """A call was not answered."""


class Clients:
    """A node of real clients.

    Attributes:
        node: carries them.
        newest: stamp of the newest image that became objects, nanoseconds.
    """

    def __init__(self, name: str) -> None:
        self.node = rclpy.create_node(name, start_parameter_services=False)
        self.newest = 0
        self._clients: dict[str, Client] = {}
        self._executor = quickest_executor()
        self._executor.add_node(self.node)
        self.node.create_subscription(
            ObjectArray, "sam3d_objects/objects", self._note, qos_profile("reliable")
        )

    def send(self, service_type: Any, name: str, request: Any) -> Future:
        """Send a request; what its answer will be.

        Raises:
            NoAnswerError: there is no such service.
        """
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        client = self._clients[name]
        end = time.monotonic() + PATIENCE
        while not client.service_is_ready():
            if time.monotonic() > end:
                raise NoAnswerError(f"there is no service {name}")
            self.spin(SPIN_PERIOD)
        return client.call_async(request)

    def ask(self, service_type: Any, name: str, request: Any) -> Any:
        """Send a request and wait for its answer.

        Raises:
            NoAnswerError: it did not come.
        """
        return self.answer(self.send(service_type, name, request), name)

    def answer(self, promised: Future, what: str) -> Any:
        """Wait for an answer; raises NoAnswerError."""
        end = time.monotonic() + PATIENCE
        while not promised.done():
            if time.monotonic() > end:
                raise NoAnswerError(f"{what} was not answered within {PATIENCE:g} s")
            self._executor.spin_once(timeout_sec=SPIN_PERIOD)
        return promised.result()

    def spin(self, seconds: float) -> None:
        """Take in what comes."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=min(left, SPIN_PERIOD))

    def close(self) -> None:
        """End the node."""
        self._executor.shutdown()
        self.node.destroy_node()

    def _note(self, message: ObjectArray) -> None:
        if message.objects:
            self.newest = max(self.newest, nanoseconds(message.header.stamp))
