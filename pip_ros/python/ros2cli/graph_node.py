"""The node through which a command looks at the graph."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.expand_topic_name import expand_topic_name
from rclpy.node import Node
from rclpy.task import Future
from rclpy.topic_or_service_is_hidden import topic_or_service_is_hidden

from ros2cli.command import CommandError

# Discovery takes 0.7 s as a rule, and took 3.5 s once: a list is complete when it has not changed for a while.
_SETTLED_AFTER = 1.0  # seconds
_SETTLE_TIMEOUT = 5.0  # seconds
APPEAR_TIMEOUT = 10.0  # seconds
_SPIN_PERIOD = 0.05  # seconds
_MATCHING_TIME = 0.2  # seconds
_ANSWER_TIMEOUT = 2.0  # seconds
_ATTEMPTS = 15


@contextlib.contextmanager
def graph_node(name: str) -> Iterator[Node]:
    """Make a node with a hidden name; it ends with the context.

    Raises:
        KeyboardInterrupt: a signal ended the context.
    """
    rclpy.init(args=[])
    node = rclpy.create_node(
        f"_ros2cli_{name}_{os.getpid()}", start_parameter_services=False, enable_rosout=False
    )
    try:
        yield node
    except ExternalShutdownException as error:  # rclpy noticed the signal before Python did
        raise KeyboardInterrupt from error
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def settled(node: Node, look: Callable[[], Any], spin_time: float | None) -> Any:
    """Return what there is to see when discovery has had its time.

    Args:
        node: the node that looks.
        look: returns what can be seen now.
        spin_time: seconds; None: until nothing has changed for a second.
    """
    begin = changed = time.monotonic()
    seen = look()
    while True:
        rclpy.spin_once(node, timeout_sec=_SPIN_PERIOD)
        now = time.monotonic()
        if spin_time is not None:
            if now - begin >= spin_time:
                return look()
            continue
        before, seen = seen, look()
        if seen != before:
            changed = now
        is_alone = len(node.get_node_names()) == 1
        if (now - changed >= _SETTLED_AFTER and not is_alone) or now - begin >= _SETTLE_TIMEOUT:
            return seen


def appears(node: Node, look: Callable[[], Any], timeout: float | None = None) -> Any:
    """Return what there is to see as soon as it is true, or when the time (seconds; None: 10) is over."""
    timeout = APPEAR_TIMEOUT if timeout is None else timeout
    begin = time.monotonic()
    while not (seen := look()) and time.monotonic() - begin < timeout:
        rclpy.spin_once(node, timeout_sec=_SPIN_PERIOD)
    return seen


def answer(node: Node, ask: Callable[[], Future], *, repeat: bool = False) -> Any:
    """Return the answer of a service or action server that is ready.

    Args:
        node: the node that asks.
        ask: sends the request.
        repeat: the request has no effect: send it again where no answer comes.

    Raises:
        CommandError: no answer comes although the request is repeated.
    """
    # DDS drops an answer for a reader that the server has not discovered yet, and nothing tells when it has.
    settling = time.monotonic() + _MATCHING_TIME
    while time.monotonic() < settling:
        rclpy.spin_once(node, timeout_sec=_SPIN_PERIOD)
    for _ in range(_ATTEMPTS):
        future = ask()
        rclpy.spin_until_future_complete(node, future, timeout_sec=_ANSWER_TIMEOUT if repeat else None)
        if future.done():
            return future.result()
    raise CommandError("No answer came: the node may be gone or busy")


def full_name(node: Node, name: str) -> str:
    """Return the absolute name of a topic or service; CommandError where it is none."""
    try:
        return str(expand_topic_name(name, node.get_name(), node.get_namespace()))
    except ValueError as error:
        raise CommandError(str(error)) from error


def node_names(node: Node, *, hidden: bool = False) -> list[str]:
    """Return the full names of all other nodes that can be seen."""
    return sorted(
        f"{namespace.rstrip('/')}/{name}"
        for name, namespace in node.get_node_names_and_namespaces()
        if name != node.get_name() and (hidden or not name.startswith("_"))
    )


def topics(node: Node, *, hidden: bool = False) -> list[tuple[str, list[str]]]:
    """Return names and types of all topics that can be seen."""
    return visible(node.get_topic_names_and_types(), hidden=hidden)


def services(node: Node, *, hidden: bool = False) -> list[tuple[str, list[str]]]:
    """Return names and types of all services that can be seen."""
    return visible(node.get_service_names_and_types(), hidden=hidden)


def visible(names_and_types: list[tuple[str, list[str]]], *, hidden: bool) -> list[tuple[str, list[str]]]:
    """Return those that are not hidden, or all, by name."""
    return sorted(
        (name, types) for name, types in names_and_types if hidden or not topic_or_service_is_hidden(name)
    )


def require_node(node: Node, name: str) -> str:
    """Return the full name of a node; CommandError where there is no such node."""
    wanted = name if name.startswith("/") else f"/{name}"
    if not appears(node, lambda: wanted in node_names(node, hidden=True)):
        raise CommandError("Node not found")
    return wanted
