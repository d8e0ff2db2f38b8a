"""A node whose callbacks are turns of a boundary, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from sam3d_ros.nodes.boundary import Boundary
from sam3d_ros.ros.faults import Fault, FaultError


class GuardedNode(Node):
    """A node that no message, request or timer ends; to stand before other kinds of nodes among the bases.

    Attributes:
        boundary: where failures of the node end.
    """

    def __init__(self, name: str, **options: Any) -> None:
        # Making the node makes callbacks.
        self.boundary = Boundary(self.failed)
        super().__init__(name, **options)
        for service in self.services:
            # Those of the lifecycle are made without `create_service`.
            if not hasattr(service.callback, "__wrapped__"):
                callback = partial(_answered, service.callback)
                service.callback = self.boundary.guarded_service(service.srv_name, callback)

    def failed(self, what: str, error: Exception, details: str) -> None:
        """What was done raised an error, `details` is its traceback; subclasses report it further than the log."""
        if isinstance(error, FaultError):
            self.get_logger().warning(f"{what}: {error}")
        else:
            self.get_logger().error(f"{what} failed:\n{details}")

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., object], *arguments: Any, **options: Any
    ) -> Subscription:
        turn = self.boundary.guarded(f"subscription {topic}", callback)
        return super().create_subscription(msg_type, topic, turn, *arguments, **options)

    def create_service(
        self, srv_type: Any, srv_name: str, callback: Callable[[Any, Any], Any], **options: Any
    ) -> Service:
        if srv_type in (SetParameters, SetParametersAtomically):
            callback = partial(_of_known_types, callback)
        turn = self.boundary.guarded_service(srv_name, callback)
        if srv_type is SetParameters:
            turn = self.boundary.guarded_service(srv_name, partial(_one_by_one, turn))
        return super().create_service(srv_type, srv_name, turn, **options)

    def create_timer(
        self, timer_period_sec: float, callback: Callable[..., object], *arguments: Any, **options: Any
    ) -> Timer:
        kind = f"timer {getattr(callback, '__qualname__', repr(callback))}"
        turn = self.boundary.guarded(kind, callback)
        return super().create_timer(timer_period_sec, turn, *arguments, **options)


def _answered(callback: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    """The answer of a service of the lifecycle, which raises for a transition that the state does not allow."""
    try:
        return callback(request, response)
    except rclpy_implementation.RCLError as error:
        raise FaultError(Fault.INVALID_REQUEST, f"{request}: {error}") from error


def _of_known_types(callback: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    """The answer of a service that sets parameters, which raises what is no FaultError for a type that is none."""
    known = [kind.value for kind in Parameter.Type]
    for given in request.parameters:
        if given.value.type not in known:
            raise FaultError(
                Fault.INVALID_PARAMETER,
                f"parameter {given.name} has a value of type {given.value.type}: give one of those of "
                f"rcl_interfaces/msg/ParameterType, {min(known)} to {max(known)}",
            )
    return callback(request, response)


def _one_by_one(callback: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    """The answer of `set_parameters`: one that cannot be set says nothing of those before it, which have been."""
    response.results = [
        callback(SetParameters.Request(parameters=[given]), SetParameters.Response()).results[0]
        for given in request.parameters
    ]
    return response
