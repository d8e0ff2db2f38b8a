"""Watching a topic: something is measured at every message, and told every second."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Collection
from typing import Any, NoReturn, Protocol

import rclpy
from rclpy.qos import qos_profile_sensor_data

from ros2cli.graph_node import appears, full_name, graph_node, topics
from ros2cli.interface_types import interface_type

_REPORT_PERIOD = 1.0  # seconds


class Meter(Protocol):
    """What has been measured so far."""

    def report(self) -> str | None:
        """Return it in words; None before there is anything to tell."""


def add_watch_arguments(parser: argparse.ArgumentParser, *, window: int) -> None:
    """Add the topic that is watched, and how many messages of it are remembered."""
    parser.add_argument("topic_name", help="Name of the topic, e.g. '/chatter'")
    parser.add_argument(
        "-w", "--window", type=int, default=window, help=f"Window size, in messages (default: {window})"
    )


def spread(times: Collection[float]) -> str:
    """Return how far apart times are, seconds, in words."""
    return (
        f"min: {min(times):.3f}s max: {max(times):.3f}s std dev: {statistics.pstdev(times):.5f}s "
        f"window: {len(times)}"
    )


def watch(verb: str, topic_name: str, meter: Meter, take: Callable[[Any], None], *, raw: bool) -> NoReturn:
    """Print what the meter tells, every second until interrupted.

    Args:
        verb: name of the verb, for the node.
        topic_name: the topic, which is waited for.
        meter: tells what was measured.
        take: is called with each message; it measures.
        raw: messages come as bytes: a large one costs nothing to deserialise.
    """
    with graph_node(f"topic_{verb}") as node:
        topic = full_name(node, topic_name)
        types = appears(node, lambda: dict(topics(node, hidden=True)).get(topic))
        if not types:
            print(f"WARNING: topic [{topic}] does not appear to be published yet", flush=True)
            while not types:
                types = appears(node, lambda: dict(topics(node, hidden=True)).get(topic))
        node.create_subscription(
            interface_type(types[0], "msg"), topic, take, qos_profile_sensor_data, raw=raw
        )
        reported, due = None, time.monotonic() + _REPORT_PERIOD
        while True:
            rclpy.spin_once(node, timeout_sec=max(0.0, due - time.monotonic()))
            if time.monotonic() < due:
                continue
            due += _REPORT_PERIOD
            report = meter.report()
            if report is not None:
                print(report if report != reported else "no new messages", flush=True)
                reported = report
